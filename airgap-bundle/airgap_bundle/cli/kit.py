"""What the commands of every program here share: global options, help that teaches, errors as two lines.

    class Settings(kit.Settings): ...

    @group.command("show", example="airgap-bundle root show metadata/")
    @click.argument("folder")
    def show(folder: Path) -> None:  # its docstring is its help
        output.show({"version": 3})

stdout is data and stderr is narration. An error is two lines on stderr and an exit code; with `--output json`
it is one line, {"error": {"type": ..., "detail": ..., "hint": ..., "exit_code": ...}}. Global options may
stand anywhere: before the noun, before the verb, after it.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar

import click

from airgap_bundle.errors import Problem, printable

FORMATS = ("table", "json")
USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


@dataclass
class Settings:
    """What the global options and the environment say."""

    output: str = "table"
    no_color: bool = field(default_factory=lambda: bool(os.environ.get("NO_COLOR")))
    quiet: bool = False
    debug: bool = False

    @property
    def json(self) -> bool:
        """Whether stdout is for a program."""
        return self.output == "json"

    def close(self) -> None:
        """Let go of what is open."""


def current() -> Settings:
    """The settings of the command that runs; the defaults outside of one."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Settings) if context else None) or Settings()


def say(line: str) -> None:
    """Narrate on stderr, unless --quiet."""
    if not current().quiet:
        print(line, file=sys.stderr, flush=True)


def has_terminal() -> bool:
    """Whether a person can be asked, whatever stdin and stdout are."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def ask_passphrase(where: str) -> str:
    """Ask for a key's passphrase on the terminal, without showing it."""
    from getpass import getpass

    return getpass(f"Passphrase for {where}: ")


def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Store a global option in the settings; the one that stands last counts."""
    if value not in (None, False) and (settings := context.find_object(Settings)):
        setattr(settings, str(parameter.name), value)


def global_option(*names: str, **attributes: Any) -> click.Option:
    """An option that every command takes and none sees."""
    return click.Option(names, expose_value=False, callback=keep, **attributes)


def common_options(prefix: str) -> list[click.Option]:
    """The global options that every program has; `prefix` begins its environment variables."""
    return [
        global_option(
            "-o", "--output", type=click.Choice(FORMATS), help=f"Form of stdout. [env: {prefix}_OUTPUT]"
        ),
        global_option("--no-color", is_flag=True, help="No colours. [env: NO_COLOR]"),
        global_option("-q", "--quiet", is_flag=True, help="No narration on stderr, only errors."),
        global_option("--debug", is_flag=True, help="Show where a fault happened."),
    ]


class Command(click.Command):
    """A command with the global options, and an example in its help."""

    shared: ClassVar[Sequence[click.Option]] = ()

    def __init__(self, *arguments: Any, example: str = "", **attributes: Any) -> None:
        attributes.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*arguments, **attributes)
        self.example = inspect.cleandoc(example)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, then the global ones; its own come first where names meet."""
        own = super().get_params(ctx)
        taken = {name for parameter in own for name in parameter.opts}
        return own + [option for option in self.shared if not taken & set(option.opts)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, what it does, example, options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        if self.example:
            with formatter.section("Examples" if "\n" in self.example else "Example"):
                formatter.write("".join(f"  {line}\n" for line in self.example.splitlines()))
        self.format_arguments(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Its own options, then the global ones apart: in full at the root, elsewhere by name."""
        parameters = [p for p in self.get_params(ctx) if not isinstance(p, click.Argument)]
        write_options(ctx, formatter, "Options", [p for p in parameters if p not in self.shared])
        common = [p for p in parameters if p in self.shared]
        if ctx.parent is None:
            write_options(ctx, formatter, "Global options", common)
            return
        formatter.write_paragraph()
        names = ", ".join(p.opts[-1] for p in common)
        program = ctx.find_root().info_name
        formatter.write_text(f"Global options (`{program} --help` explains them): {names}.")


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, title: str, options: Sequence[click.Parameter]
) -> None:
    """A section of options, if there are any to show."""
    if rows := [record for option in options if (record := option.get_help_record(ctx))]:
        with formatter.section(title):
            formatter.write_dl(rows)


class Group(Command, click.Group):
    """A noun: a group of commands."""

    command_class = Command

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Usage, what it is, its commands first, options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_commands(ctx, formatter)
        Command.format_options(self, ctx, formatter)
        self.format_epilog(ctx, formatter)


class LazyGroup(Group):
    """A group that imports a command's module when the command is used."""

    def __init__(self, *arguments: Any, lazy: dict[str, tuple[str, str]], **attributes: Any) -> None:
        """`lazy` maps a name to where it is, `module:attribute`, and its line in the list of commands."""
        super().__init__(*arguments, **attributes)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they are given, which is the order to learn them in."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it, if there is one of that name."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.lazy.items()])


def version_option(program: str, version: Callable[[], str]) -> click.Option:
    """`--version`, at the root."""

    def show(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        if value:
            print(f"{program} {version()}")
            context.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version.",
    )


def run(root: click.Group, program: str, arguments: Sequence[str], settings: Settings) -> int:
    """Run one command; gives its exit code."""
    prefix = program.upper().replace("-", "_")
    if instruction := os.environ.get(f"_{prefix}_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, program, f"_{prefix}_COMPLETE", instruction)
    try:
        if settings.output not in FORMATS:
            listed = ", ".join(FORMATS)
            raise click.UsageError(f"{prefix}_OUTPUT is {settings.output!r}, not one of {listed}.")
        with root.make_context(program, list(arguments), obj=settings) as context:
            root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as asked:
        print(asked.format_message(), file=sys.stderr)
        return USAGE
    except click.exceptions.Exit as done:
        return flushed(done.exit_code)
    except click.ClickException as wrong:
        tell(settings, usage_document(wrong, program))
        return USAGE
    except Problem as problem:
        tell(settings, problem_document(problem))
        return raised(settings, problem.exit_code)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        quiet_stdout()
        return BROKEN_PIPE
    except Exception as fault:
        tell(settings, fault_document(fault))
        return raised(settings, 1)
    finally:
        settings.close()
    return 0


def flushed(code: int) -> int:
    """The exit code, when what was printed reached its reader."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        quiet_stdout()
        return BROKEN_PIPE
    return code


def quiet_stdout() -> None:
    """Nobody reads any more: let the interpreter flush into nothing at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def raised(settings: Settings, code: int) -> int:
    """The exit code, after the stack for who asked for it."""
    if settings.debug:
        import traceback

        traceback.print_exc()
    return code


def tell(settings: Settings, document: dict[str, Any]) -> None:
    """Write an error for whoever reads stderr."""
    if settings.json:
        print(json.dumps({"error": document}, ensure_ascii=False), file=sys.stderr)
        return
    print(f"error: {printable(document['detail'])}", file=sys.stderr)
    if document["hint"]:
        print(f"hint: {printable(document['hint'])}", file=sys.stderr)


def problem_document(problem: Problem) -> dict[str, Any]:
    """A problem with its facts."""
    made = {
        "type": getattr(problem, "kind", None) or problem.code(),
        "detail": str(problem),
        "hint": problem.remedy,
        "exit_code": problem.exit_code,
    }
    if problem.facts:
        made["facts"] = json.loads(json.dumps(problem.facts, default=printable))
    return made


def usage_document(wrong: click.ClickException, program: str) -> dict[str, Any]:
    """Wrong usage."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else program
    hint = f"See: {command} --help"
    return {"type": "usage", "detail": wrong.format_message(), "hint": hint, "exit_code": USAGE}


def fault_document(fault: Exception) -> dict[str, Any]:
    """What nobody foresaw, in one line; files and sockets by the system's own words."""
    if isinstance(fault, OSError) and fault.strerror:
        where = f"{fault.filename}: " if fault.filename else ""
        return {"type": "system", "detail": f"{where}{fault.strerror}", "hint": "", "exit_code": 1}
    detail = f"unexpected fault: {type(fault).__name__}: {fault}"
    hint = "Run it again with --debug to see where, and report it."
    return {"type": "unexpected", "detail": detail, "hint": hint, "exit_code": 1}
