"""`controlplane status`."""

from __future__ import annotations

import click

from airgap_bundle.cli import output
from controlplane.cli.base import Command, Settings, pass_settings


@click.command("status", cls=Command, example="controlplane status --output json")
@pass_settings
def status(settings: Settings) -> None:
    """Show what the plane is, and who you are to it.

    The quickest way to see whether the plane answers, whether your key is enrolled, and which roles you have.
    """
    plane = settings.client.get("/v1/plane")
    output.show(
        plane,
        [
            ("Site", "site"),
            ("Cloud", "cloud"),
            ("Version", "version"),
            ("Clock", "time"),
            ("Plane's key", "public_key"),
            ("You", lambda p: p["you"]["name"]),
            ("Your roles", lambda p: p["you"]["roles"]),
            ("Your key", lambda p: p["you"]["fingerprint"]),
        ],
    )
