"""What every command shares: the global options, the settings that they make, and help that teaches.

    group = Group("tenant", help="Tenants: what they should be and what they are.")

    @group.command("show", example="controlplane tenant show ministry")
    @click.argument("name")
    @pass_settings
    def show(settings: Settings, name: str) -> None:  # its docstring is its help
        output.show(settings.client.get(f"/v1/tenants/{segment(name)}"))

Global options may stand anywhere: before the noun, before the verb, after it.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # the client is imported when a command first calls the plane
    from controlplane.client import Client

FORMATS = ("table", "json")


@dataclass
class Settings:
    """What the global options and the environment say."""

    output: str = field(default_factory=lambda: os.environ.get("CONTROLPLANE_OUTPUT", "table"))
    site: str | None = None
    socket: str | None = None
    url: str | None = field(default_factory=lambda: os.environ.get("CONTROLPLANE_URL") or None)
    ca_file: str | None = field(default_factory=lambda: os.environ.get("CONTROLPLANE_CA_FILE") or None)
    key: str | None = None
    no_color: bool = field(default_factory=lambda: bool(os.environ.get("NO_COLOR")))
    quiet: bool = False
    debug: bool = False
    _client: Client | None = field(default=None, init=False)

    @property
    def json(self) -> bool:
        """Whether stdout is for a program."""
        return self.output == "json"

    @property
    def client(self) -> Client:
        """The signed connection to the plane, one for the whole command."""
        if self._client is None:
            from controlplane.client import Client

            url = self.url if self.socket is None and self.site is None else None
            self._client = Client(
                site=self.site,
                socket_path=self.socket,
                url=url,
                ca_file=self.ca_file,
                key=self.key,
                passphrase=ask_passphrase if has_terminal() else None,
            )
        return self._client

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()


pass_settings = click.make_pass_decorator(Settings)


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


GLOBAL_OPTIONS: Sequence[click.Option] = (
    global_option(
        "-o", "--output", type=click.Choice(FORMATS), help="Form of stdout. [env: CONTROLPLANE_OUTPUT]"
    ),
    global_option("--site", metavar="FOLDER", help="The site's folder. [env: CONTROLPLANE_SITE]"),
    global_option("--socket", metavar="PATH", help="The plane's Unix socket. [env: CONTROLPLANE_SOCKET]"),
    global_option(
        "--url", metavar="URL", help="The plane over TCP, https://HOST:PORT. [env: CONTROLPLANE_URL]"
    ),
    global_option(
        "--ca-file",
        metavar="FILE",
        help="Authority that its certificate comes from. [env: CONTROLPLANE_CA_FILE]",
    ),
    global_option(
        "--key", metavar="FILE", help="Your private key. [env: CONTROLPLANE_KEY; else ~/.ssh/id_ed25519]"
    ),
    global_option("--no-color", is_flag=True, help="No colours. [env: NO_COLOR]"),
    global_option("-q", "--quiet", is_flag=True, help="No narration on stderr, only errors."),
    global_option("--debug", is_flag=True, help="Show where a fault happened."),
)


class Command(click.Command):
    """A command with the global options, and an example in its help."""

    def __init__(self, *arguments: Any, example: str = "", **attributes: Any) -> None:
        attributes.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*arguments, **attributes)
        self.example = inspect.cleandoc(example)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Its own parameters, then the global ones; its own come first where names meet."""
        own = super().get_params(ctx)
        taken = {name for parameter in own for name in parameter.opts}
        return own + [option for option in GLOBAL_OPTIONS if not taken & set(option.opts)]

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
        write_options(ctx, formatter, "Options", [p for p in parameters if p not in GLOBAL_OPTIONS])
        common = [p for p in parameters if p in GLOBAL_OPTIONS]
        if ctx.parent is None:
            write_options(ctx, formatter, "Global options", common)
            return
        formatter.write_paragraph()
        names = ", ".join(p.opts[-1] for p in common)
        formatter.write_text(f"Global options (`controlplane --help` explains them): {names}.")


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


def say(line: str) -> None:
    """Narrate on stderr, unless --quiet."""
    context = click.get_current_context(silent=True)
    settings = context.find_object(Settings) if context else None
    if settings is None or not settings.quiet:
        print(line, file=sys.stderr, flush=True)
