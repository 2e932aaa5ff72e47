"""`airgap-bundle ingest`: a verified bundle into a store, in one pass."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Command, bytes_progress, megabytes
from airgap_bundle.cli.kit import say
from airgap_bundle.cli.store import store_option
from airgap_bundle.cli.trust import trust_option
from airgap_bundle.cli.verify import admit_option, policy_of, policy_option, show_report


@click.command(
    "ingest",
    cls=Command,
    example="""
    airgap-bundle ingest /media/usb/ --trust trust/ --store store/
    airgap-bundle ingest /media/dvd/ --trust trust/ --store store/   # again for each volume, in any order
    """,
)
@click.argument("paths", type=At(), nargs=-1, required=True)
@trust_option
@store_option
@policy_option
@admit_option
@click.option(
    "--repair", is_flag=True, help="Hash what is in the store already, and replace what is damaged."
)
def ingest(
    paths: tuple[Path, ...],
    trust: Path,
    store: Path,
    policy: Path | None,
    admit: tuple[str, ...],
    repair: bool,
) -> None:
    """Verify a bundle and take it in, while it is read once.

    It can be stopped at any moment and started again. A refused bundle leaves the store as it was. When a
    volume is still to come, what is here is kept and the exit code is 75.
    """
    from airgap_bundle import ingest as ingesting
    from airgap_bundle.errors import BundleRefused
    from airgap_bundle.report import Report
    from airgap_bundle.store import Store
    from airgap_bundle.trust_state import TrustState

    report = Report()
    state = TrustState.load(trust)
    try:
        with bytes_progress("ingest") as count:
            done = ingesting.ingest(
                paths,
                Store.at(store, create=True),
                state,
                policy=policy_of(policy, admit),
                report=report,
                progress=count,
                repair=repair,
            )
    except BundleRefused:
        if not output.for_programs():
            show_report(report)
        raise
    show_report(report)
    say(
        f"{store}: {done.kept.name} is complete; {done.added} contents are new, {done.here} were here, "
        f"{megabytes(done.read)} were read"
    )
