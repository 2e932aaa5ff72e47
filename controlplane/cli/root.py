"""The command tree of `controlplane`."""

from __future__ import annotations

from collections.abc import Sequence

from airgap_bundle.cli import kit
from controlplane import __version__
from controlplane.cli.base import LazyGroup, Settings

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


root.params.append(kit.version_option("controlplane", lambda: __version__))


def run(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit code."""
    return kit.run(root, "controlplane", arguments, Settings())
