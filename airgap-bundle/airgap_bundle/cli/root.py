"""The command tree of `airgap-bundle`."""

from __future__ import annotations

from collections.abc import Sequence

from airgap_bundle import __version__
from airgap_bundle.cli import kit
from airgap_bundle.cli.base import LazyGroup, Settings

root = LazyGroup(
    "airgap-bundle",
    help="""
    Signed bundles that cross an air gap: built, signed, carried, verified, ingested.

    What enough of the right people signed is exactly what arrives, and nothing else does. An auditor needs
    only `verify`, the files and the first root.
    """,
    epilog="Exit codes: airgap-bundle help exit-codes. First steps: airgap-bundle help first-steps.",
    lazy={
        "root": ("airgap_bundle.cli.ceremony:group", "Who may sign: make, sign, rotate and show the root."),
        "lock": ("airgap_bundle.cli.collect:lock", "Pin all that a recipe names by its digest."),
        "collect": ("airgap_bundle.cli.collect:collect", "Fetch what a lock pins into a cache."),
        "airtight": (
            "airgap_bundle.cli.collect:airtight",
            "Prove that nothing in it resolves outside of it.",
        ),
        "build": (
            "airgap_bundle.cli.build:build_command",
            "Make an unsigned bundle of a lock and its cache.",
        ),
        "summary": ("airgap_bundle.cli.build:summary_command", "Show what a signer is about to sign."),
        "attest": ("airgap_bundle.cli.build:attest_command", "Vouch for a part of an unsigned bundle."),
        "sign": ("airgap_bundle.cli.sign:sign", "Sign a bundle on your own machine: a share."),
        "assemble": ("airgap_bundle.cli.sign:assemble", "Merge the shares of all signers."),
        "carry": ("airgap_bundle.cli.carry:carry", "Write a signed bundle to media, and read it back."),
        "verify": ("airgap_bundle.cli.verify:verify", "Check a bundle: signatures, digests, every byte."),
        "repair": ("airgap_bundle.cli.carry:repair", "Mend damaged or lost volumes by parity."),
        "trust": ("airgap_bundle.cli.trust:group", "What this side trusts and has accepted."),
        "ingest": ("airgap_bundle.cli.ingest:ingest", "Take a verified bundle into a store."),
        "store": ("airgap_bundle.cli.store:group", "The store: list, check, give files, collect garbage."),
        "diff": ("airgap_bundle.cli.verify:diff", "Show what differs between two bundles."),
        "receipt": ("airgap_bundle.cli.receipt:group", "What is in the zone now, signed and carried out."),
        "verifier": ("airgap_bundle.cli.verify:verifier", "Write the verifier that needs only a browser."),
        "completion": ("airgap_bundle.cli.help:completion", "Print the completion script for your shell."),
        "help": ("airgap_bundle.cli.help:help_command", "Explain a command or a topic."),
    },
)
root.params.append(kit.version_option("airgap-bundle", lambda: __version__))


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit code."""
    return kit.run(root, "airgap-bundle", arguments, Settings())
