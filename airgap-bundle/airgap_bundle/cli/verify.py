"""`airgap-bundle verify`, `diff` and `verifier`: looking without taking anything in."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airgap_bundle.cli import kit, output
from airgap_bundle.cli.base import At, Command, bytes_progress, write_new
from airgap_bundle.cli.kit import say
from airgap_bundle.cli.problems import WrongInput

if TYPE_CHECKING:
    from airgap_bundle.content import Content
    from airgap_bundle.policy import Policy
    from airgap_bundle.report import Report

policy_option = click.option(
    "--policy", type=At(), help="The site's policy: who must vouch, what expiry means."
)
admit_option = click.option(
    "--admit",
    multiple=True,
    metavar="NAME",
    help="Who admits it although it expired; two are needed; repeat.",
)


def policy_of(path: Path | None, admitting: tuple[str, ...]) -> Policy:
    """The policy of a command's options."""
    from airgap_bundle.policy import Policy

    policy = Policy.read(path) if path else Policy()
    return policy.admitted_by(*admitting) if admitting else policy


def show_report(report: Report) -> None:
    """Print a report on stdout in the form that was asked for."""
    if output.for_programs():
        print(report.to_json().decode())
        return
    colour = sys.stdout.isatty() and not kit.current().no_color
    print(report.to_text(colour=colour))


@click.command(
    "verify",
    cls=Command,
    example="""
    airgap-bundle verify /media/usb/ --root 1.root.json
    airgap-bundle verify /media/usb/ --trust trust/ --store store/
    airgap-bundle verify zone-updates-7.002-of-003.bundle --root 1.root.json --html report.html
    """,
)
@click.argument("paths", type=At(), nargs=-1, required=True)
@click.option("--root", type=At(), help="The root that was given by hand, for who has no trust state.")
@click.option(
    "--trust", type=At(), envvar="AIRGAP_BUNDLE_TRUST", help="The trust state. [env: AIRGAP_BUNDLE_TRUST]"
)
@click.option(
    "--store", type=At(), help="A store that holds the bases of deltas, so that these are checked too."
)
@policy_option
@admit_option
@click.option("--html", type=At(), help="Write the report as one HTML page, too.")
@click.option(
    "--at", "moment", metavar="TIME", help="Judge expiry at this time. [default: this machine's clock]"
)
@click.pass_context
def verify(
    context: click.Context,
    paths: tuple[Path, ...],
    root: Path | None,
    trust: Path | None,
    store: Path | None,
    policy: Path | None,
    admit: tuple[str, ...],
    html: Path | None,
    moment: str | None,
) -> None:
    """Make the twelve checks of a bundle: a folder, a container, or some of its volumes. Writes nothing.

    The exit code is that of the first failed check (40-49), and 75 when a volume is still to come.
    """
    from airgap_bundle import verify as verifying
    from airgap_bundle.release import read_moment
    from airgap_bundle.store import Store
    from airgap_bundle.trust_state import TrustState
    from airgap_bundle.trusted_root import TrustedRoot

    if root is not None and trust is not None and context.get_parameter_source("trust") != _ENVIRONMENT:
        raise click.UsageError("give --root or --trust, not both.")
    if root is None and trust is None:
        raise click.UsageError("what to trust is missing: give --root 1.root.json, or --trust FOLDER.")
    state = None if root else TrustState.load(trust or Path())
    try:
        clock = read_moment(moment) if moment else datetime.now(UTC)
    except ValueError:
        raise click.UsageError("--at is not a time such as 2026-11-23T10:00:00Z.") from None
    with bytes_progress("verify") as count:
        report = verifying.verify(
            paths,
            state.root if state else TrustedRoot.read(root or Path()),
            clock=clock,
            past=state.past if state else None,
            policy=policy_of(policy, admit),
            store=Store.at(store) if store else None,
            progress=count,
        )
    show_report(report)
    if html:
        write_new(html, report.to_html().encode())
        say(f"{html}: written")
    context.exit(report.exit_code)


_ENVIRONMENT = click.core.ParameterSource.ENVIRONMENT


@click.command(
    "diff",
    cls=Command,
    example="""
    airgap-bundle diff one/ two/
    airgap-bundle diff one/ /media/usb/zone-updates-7.bundle --output json
    """,
)
@click.argument("old", type=At())
@click.argument("new", type=At())
@click.pass_context
def diff(context: click.Context, old: Path, new: Path) -> None:
    """Show what changes from one bundle to another: packages by version, other files by path.

    Each is a folder, a container or a volume. Signatures are not checked. Exit code 3 when anything changes.
    """
    from airgap_bundle.diff import diff as differ

    found = differ(_content_of(old), _content_of(new))
    if output.for_programs():
        output.json(found.to_value())
    elif found.anything:
        print(found.to_text())
    else:
        say("nothing changes")
    context.exit(3 if found.anything else 0)


def _content_of(path: Path) -> Content:
    """The content manifest of a bundle that nobody vouches for here."""
    from airgap_bundle.content import parse
    from airgap_bundle.medium import open_medium
    from airgap_bundle.metadata import CONTENT, TARGET_LIMITS

    with open_medium([path]) as medium:
        [name] = [name for name in medium.metadata.names() if name.endswith(f".{CONTENT}")] or [""]
        if not name:
            raise WrongInput(what=f"{path} has no {CONTENT}", remedy="Name a bundle's folder or container.")
        return parse(medium.metadata.read(name, TARGET_LIMITS[CONTENT]))


@click.command("verifier", cls=Command, example="airgap-bundle verifier --out verifier.html")
@click.option("--out", type=At(), required=True, help="Where to write it.")
def verifier(out: Path) -> None:
    """Write the verifier that needs only a browser: one HTML file, offline, the same twelve checks."""
    write_new(out, files("airgap_bundle").joinpath("verifier.html").read_bytes())
    say(f"{out}: open it in a browser, then choose the bundle and 1.root.json")
