"""`airgap-bundle trust`: what this side trusts, and what it has accepted."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Group, read_small
from airgap_bundle.cli.kit import say

group = Group(
    "trust",
    help="""What this side trusts and has accepted: the roots, the newest sequence, the newest date.

    It is kept apart from the content. Losing it means that old bundles could be accepted again: keep a copy.
    """,
)

trust_option = click.option(
    "--trust", type=At(), required=True, envvar="AIRGAP_BUNDLE_TRUST",
    help="Folder of what this side trusts. [env: AIRGAP_BUNDLE_TRUST]",
)  # fmt: skip


@group.command(
    "init", example="airgap-bundle trust init 1.root.json --fingerprint '9f2c 01ab ...' --trust trust/"
)
@click.argument("root", type=At())
@click.option("--fingerprint", required=True, metavar="TEXT",
              help="From the printed sheet: its 64 digits, its 32 words, or its QR code's text.")  # fmt: skip
@click.option("--bundle", help="Accept only bundles of this name. [default: the name of the first one]")
@trust_option
def init(root: Path, fingerprint: str, bundle: str | None, trust: Path) -> None:
    """Begin to trust a root that was given by hand, once its fingerprint was compared aloud."""
    from airgap_bundle.trust_state import TrustState

    state = TrustState.init(trust, read_small(root), fingerprint, bundle)
    say(f"{trust}: trusts root version {state.root.version}")
    output.show(state.describe())


@group.command("show", example="airgap-bundle trust show --trust /var/lib/trust")
@trust_option
def show(trust: Path) -> None:
    """Show what is trusted and what was accepted."""
    from airgap_bundle.trust_state import TrustState

    output.show(TrustState.load(trust).describe())
