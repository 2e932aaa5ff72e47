"""The command tree, and what becomes of errors.

stdout is data and stderr is narration. An error is two lines on stderr and an exit code:

    error: the plan 3f2a for ministry is stale: network/prod/app changed
    hint: Look at the new plan with: controlplane tenant plan, then apply that one.

With `--output json` it is one line: {"error": {"type": "stale-plan", "detail": ..., "hint": ..., ...}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from airgap_bundle.errors import Problem, printable
from controlplane.cli.base import FORMATS, LazyGroup, Settings

USAGE = 2
INTERRUPTED = 130
BROKEN_PIPE = 141
COMPLETE_VARIABLE = "_CONTROLPLANE_COMPLETE"

root = LazyGroup(
    "controlplane",
    help="""
    The control plane of a sovereign cloud that never touches the internet.

    It keeps tenants on OpenStack as their specs say. Every command talks to the daemon (`controlplane serve`)
    over its socket and signs each request with your OpenSSH Ed25519 key.
    """,
    epilog="Exit codes: controlplane help exit-codes. First steps: controlplane help first-steps.",
    lazy={
        "tenant": (
            "controlplane.cli.tenant.group:group",
            "Tenants: validate, plan, apply, look, hand over, erase.",
        ),
        "job": ("controlplane.cli.job:group", "Jobs: what the plane is doing and has done."),
        "operator": ("controlplane.cli.operator:group", "Operators: who may come in, and with which keys."),
        "status": ("controlplane.cli.status:status", "Show what the plane is, and who you are to it."),
        "init": (
            "controlplane.cli.daemon:init",
            "Make a site: its folder, database, key and first operator.",
        ),
        "serve": ("controlplane.cli.daemon:serve", "Run the daemon of a site."),
        "worker": ("controlplane.cli.daemon:worker", "Run further workers of a site."),
        "completion": (
            "controlplane.cli.completion:completion",
            "Print the completion script for your shell.",
        ),
        "help": ("controlplane.cli.help:help_command", "Explain a command or a topic."),
    },
)


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from controlplane import __version__

        print(f"controlplane {__version__}")
        context.exit()


root.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_version,
        help="Show the version.",
    )
)


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit code."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(root, {}, "controlplane", COMPLETE_VARIABLE, instruction)
    settings = Settings()
    try:
        if settings.output not in FORMATS:
            raise click.UsageError(
                f"CONTROLPLANE_OUTPUT is {settings.output!r}, not one of {', '.join(FORMATS)}."
            )
        with root.make_context("controlplane", list(arguments), obj=settings) as context:
            root.invoke(context)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as asked:
        print(asked.format_message(), file=sys.stderr)
        return USAGE
    except click.exceptions.Exit as done:
        return flushed(done.exit_code)
    except click.ClickException as wrong:
        tell(settings, usage_document(wrong))
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
    """A problem with its facts, whether it comes from the plane or from here."""
    made = {
        "type": getattr(problem, "kind", None) or problem.code(),
        "detail": str(problem),
        "hint": problem.remedy,
        "exit_code": problem.exit_code,
    }
    if problem.facts:
        made["facts"] = json.loads(json.dumps(problem.facts, default=printable))
    return made


def usage_document(wrong: click.ClickException) -> dict[str, Any]:
    """Wrong usage."""
    context = getattr(wrong, "ctx", None)
    command = context.command_path if context else "controlplane"
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
