"""Write the reference pages that follow from the code: `python -m docs.generate`, `--check` only compares.

docs/reference/cli.md          every command of controlplane, from its command tree
docs/reference/airgap-bundle.md   every command of airgap-bundle
docs/reference/exit-codes.md   every problem, from the error tree
docs/reference/api.md          every route with its action and roles, from the application
docs/reference/site.md         every setting of site.toml, from its model
"""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from tempfile import TemporaryDirectory
from typing import Any

import click

import airgap_bundle
import controlplane
from airgap_bundle.cli.root import root as bundle_root
from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from controlplane.access.roles import ALLOWED, Role, listed
from controlplane.cli.help import CODES
from controlplane.cli.root import root

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `python -m docs.generate`; edit the code instead. -->\n\n"


def main() -> int:
    """Write or compare; 1 when a page is not as the code says."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when a page is outdated")
    check: bool = parser.parse_args().check
    os.environ["COLUMNS"] = "100"  # click wraps help to the terminal's width
    outdated = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, NOTE + make()
        if path.exists() and path.read_text() == text:
            continue
        outdated.append(name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    if outdated:
        verb = "outdated; run `python -m docs.generate`" if check else "written"
        print(f"docs/reference: {', '.join(outdated)} {verb}", file=sys.stderr)
    return 1 if check and outdated else 0


# --- cli.md -------------------------------------------------------------------------------------------


def cli_page(root: click.Command, program: str) -> str:
    """Every command's help, as `--help` shows it."""
    parts = [f"# Commands of {program}\n\n", f"As `{program} COMMAND --help` shows them.\n"]
    for path, text in commands(root, context_of(root, program)):
        parts.append(f"\n{'#' * min(len(path) + 1, 4)} {' '.join(path)}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def commands(command: click.Command, context: click.Context) -> Iterator[tuple[list[str], str]]:
    """A command and all below it, with their help."""
    yield (
        context.command_path.split(),
        "\n".join(line.rstrip() for line in command.get_help(context).splitlines()),
    )
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None and not inner.hidden:
            yield from commands(inner, context_of(inner, name, context))


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """A context as click makes it for a real call."""
    return click.Context(
        command, info_name=name, parent=parent, max_content_width=100, **command.context_settings
    )


# --- exit-codes.md ------------------------------------------------------------------------------------


def exit_codes_page() -> str:
    """Every problem by exit code."""
    load_everything()
    parts = ["# Exit codes\n\n", "| Code | Meaning |\n|---|---|\n"]
    parts += [f"| {code} | {meaning} |\n" for code, meaning in CODES]
    parts.append(
        "\nScripts may compare the exit code, or, with `--output json`, the `type` of the error on stderr; "
        "both are stable. The API's problem documents carry the same two.\n\n## Every problem\n\n"
        "| Code | Type | What it means | What it says | What to do |\n|---|---|---|---|---|\n"
    )
    for problem in sorted(problems(Problem), key=lambda kind: (kind.exit_code, kind.code())):
        meaning = (problem.__doc__ or "").strip().splitlines()[0]
        cells = [
            str(problem.exit_code),
            f"`{problem.code()}`",
            meaning,
            said(problem.message),
            said(problem.hint),
        ]
        parts.append(f"| {' | '.join(cells)} |\n")
    return "".join(parts)


def problems(kind: type[Problem]) -> Iterator[type[Problem]]:
    """Every class that is raised by name: not the tree's branches, nor what a client makes of an answer."""
    for inner in kind.__subclasses__():
        if (
            inner.__module__ != "airgap_bundle.errors" and inner.__name__ != "Refusal"
        ) or inner.message != Problem.message:
            yield inner
        yield from problems(inner)


def said(template: str) -> str:
    """A message for a table's cell; what is filled in, in capitals."""
    filled = template
    for part in sorted(set(template.replace("{", "\0{").split("\0")[1:]), key=len, reverse=True):
        name = part[1 : part.index("}")]
        filled = filled.replace(f"{{{name}}}", name.upper())
    return filled.replace("|", "\\|") or "-"


def load_everything() -> None:
    """Import every module of ours: a class that nobody imported is in no tree."""
    for package in (airgap_bundle, controlplane):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations." not in module.name:
                import_module(module.name)


# --- api.md -------------------------------------------------------------------------------------------

API_HEAD = """\
# API

`GET /v1/openapi.json` describes paths, queries and bodies in full. Here is what it cannot say: how requests
are signed, and who may do what.

## Signing

Every request is signed: HTTP Message Signatures, [RFC 9421](https://www.rfc-editor.org/rfc/rfc9421), in one
fixed form. There is no route without. A script uses `controlplane ... --output json`, or the class
`controlplane.client.Client`, or signs by itself:

{form}
`keyid` is the key's fingerprint as `ssh-keygen -l` prints it, `nonce` at least 16 random bytes in URL-safe
base64, `created` the time in seconds since 1970. The covered components, their order and the parameters are
exactly these, also for an empty body. `Host` is `controlplane` over the Unix socket, and HOST:PORT over TCP.
A request is refused, and not done, when any check fails:

{checks}
Refusals are problem documents, [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), like all errors:

{problems}
## Routes

| Method | Path | Action | Roles | |
|---|---|---|---|---|
"""


def api_page() -> str:
    """How to sign, and every route with who may call it."""
    from controlplane.access import signing, verification
    from controlplane.service import problems as documents

    head = API_HEAD.format(
        form=block(signing),
        checks=numbered(inspect.cleandoc(verification.__doc__ or "")),
        problems=block(documents),
    )
    return head + "".join(route_rows())


def block(module: Any) -> str:
    """The indented example at the beginning of a module's docstring, and what follows up to its end."""
    text = inspect.cleandoc(module.__doc__ or "").partition("\n\n")[2]
    if "The plane verifies with" in text:
        text = text.partition("The plane verifies with")[0]
    return text.rstrip() + "\n"


def numbered(text: str) -> str:
    """The numbered lines of a docstring."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.strip().startswith("1. "))
    last = next(i for i in range(first, len(lines)) if not lines[i].strip())
    return textwrap.dedent("\n".join(lines[first:last])) + "\n"


def route_rows() -> Iterator[str]:
    """One row a route, from the application as the daemon builds it."""
    from controlplane.service import site as sites
    from controlplane.service import wiring
    from controlplane.service.app import build_app
    from controlplane.service.routing import ActionRoute, action_of

    with TemporaryDirectory() as folder:
        clouds = Path(folder) / "clouds.yaml"
        clouds.write_text("clouds: {cloud: {auth: {auth_url: 'http://127.0.0.1:9'}}}")
        key = PrivateKey.generate().public
        site = sites.create(
            Path(folder) / "site", cloud="cloud", clouds_file=clouds, operator=key, operator_name="first"
        )
        parts = wiring.build(site)
        try:
            app: Any = build_app(site, parts.routers).app
            rows: list[tuple[str, str, str]] = []
            for route in app.router.routes:
                assert isinstance(route, ActionRoute)
                action = action_of(route)
                roles = "all" if ALLOWED[action] == frozenset(Role) else listed(ALLOWED[action])
                summary = (route.description or "").strip().partition("\n")[0]
                what = f"`{route.path}` | {action} | {roles} | {summary}"
                rows += [(route.path, method, what) for method in sorted(route.methods or ())]
        finally:
            parts.stop()
    for _, method, what in sorted(rows):
        yield f"| {method} | {what} |\n"


# --- site.md ------------------------------------------------------------------------------------------


def site_page() -> str:
    """Every setting of site.toml."""
    from controlplane.service.site import Overcommit, Site

    return "".join(
        [
            "# site.toml\n\n`controlplane init` writes it; the plane reads it when it starts. ",
            "Relative paths are relative to the site's folder. An unknown setting is refused.\n\n",
            "| Setting | Default | Meaning |\n|---|---|---|\n",
            *settings(Site, without=("folder",)),
            "\n## overcommit\n\n",
            inspect.cleandoc(Overcommit.__doc__ or ""),
            " Written as `overcommit = {cpu = 4.0}`.\n\n| Setting | Default |\n|---|---|\n",
            *(f"| `{name}` | {field.default} |\n" for name, field in Overcommit.model_fields.items()),
        ]
    )


def settings(model: Any, without: tuple[str, ...]) -> Iterator[str]:
    """One row a setting, with the words under it in the code."""
    words = attribute_words(model)
    for name, field in model.model_fields.items():
        if name in without:
            continue
        if field.is_required():
            default = "must be given"
        elif field.default in (None, "", ()) or not isinstance(field.default, int | float | str):
            default = "-"
        else:
            default = f"`{field.default}`"
        yield f"| `{name}` | {default} | {words.get(name, '')} |\n"


def attribute_words(model: Any) -> dict[str, str]:
    """The strings that stand under attributes in a class's source."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for above, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(above, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(above.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            found[above.target.id] = inspect.cleandoc(str(below.value.value)).replace("\n", " ")
    return found


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": lambda: cli_page(root, "controlplane"),
    "airgap-bundle.md": lambda: cli_page(bundle_root, "airgap-bundle"),
    "exit-codes.md": exit_codes_page,
    "api.md": api_page,
    "site.md": site_page,
}

if __name__ == "__main__":
    sys.exit(main())
