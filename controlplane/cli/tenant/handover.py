"""Hand a tenant over to its managers, and open what was handed over."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.kit import ask_passphrase, has_terminal
from controlplane.cli.base import Group, Settings, pass_settings
from controlplane.cli.tenant.shared import path_of, tenant_name, write_private


class TenantOrCommand(Group):
    """A group whose first word may be a tenant: `handover ministry` is `handover give ministry`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command is the tenant to give."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["give", *args]
        return super().resolve_command(ctx, args)


handover = TenantOrCommand(
    "handover",
    help="""
    Hand a tenant over to its managers, and open what was handed over.

    `handover TENANT --to FOLDER` writes a file for each tenant manager, with the tenant's credentials sealed
    to the manager's key. The files may travel by any way: only the manager's private key opens them.
    """,
)


@handover.command("give", example="controlplane tenant handover ministry --to handover/")
@tenant_name
@click.option(
    "--to", metavar="FOLDER", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where."
)
@pass_settings
def give(settings: Settings, name: str, to: Path) -> None:
    """Write a file for each tenant manager, with the tenant's credentials sealed to the manager's key."""
    import json

    packages = settings.client.post(f"{path_of(name)}/handover")
    to.mkdir(parents=True, exist_ok=True)
    rows = []
    for made in packages:
        package = made["package"]
        file = to / f"{name}.{package['manager']}.json"
        write_private(file, json.dumps(made, indent=2) + "\n")
        rows.append(
            {
                "file": str(file),
                "for": package["manager"],
                "key": package["recipient"],
                "secrets": len(package["sealed"]),
            }
        )
    output.table(rows, [("FILE", "file"), ("FOR", "for"), ("SEALED TO", "key"), ("SECRETS", "secrets")])


@handover.command(
    "open",
    example="controlplane tenant handover open ministry.anna.json --key ~/.ssh/id_ed25519 > clouds.yaml",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--plane-key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The plane's public key, to check who sealed it.",
)
@pass_settings
def open_handover(settings: Settings, file: Path, plane_key: Path | None) -> None:
    """Open what was handed over, with the manager's private key: prints a clouds.yaml, or JSON.

    Needs no plane and no network.
    """
    from controlplane.client.handover import clouds_yaml, open_package

    opened = open_package(file, settings.key, plane_key, ask_passphrase if has_terminal() else None)
    if settings.json:
        output.json(opened)
    else:
        print(clouds_yaml(opened), end="")
