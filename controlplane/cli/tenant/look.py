"""List and show tenants, and tell where OpenStack differs from their specs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.kit import say
from controlplane.cli.base import Command, Settings, pass_settings
from controlplane.cli.tenant.shared import path_of, show_plans, tenant_name

DIFFERENCES = 3
"""Exit code of `drift` when OpenStack differs from the spec."""


@click.command("list", cls=Command, example="controlplane tenant list")
@pass_settings
def list_tenants(settings: Settings) -> None:
    """List tenants with their state. Erased ones stay in the list, with their certificate."""
    columns: list[output.Column] = [
        ("NAME", "name"),
        ("STATE", "state"),
        ("DRIFT", lambda t: t["drift"] or "none"),
        ("LAST SEEN", "seen_at"),
        ("GRACE UNTIL", "grace_until"),
    ]
    output.table(settings.client.get("/v1/tenants"), columns, empty="no tenants yet")


@click.command(
    "show", cls=Command, example="controlplane tenant show ministry\ncontrolplane tenant show ministry --spec"
)
@tenant_name
@click.option("--spec", is_flag=True, help="Print the spec as it was applied.")
@pass_settings
def show(settings: Settings, name: str, spec: bool) -> None:
    """Show a tenant: its state, what it has in OpenStack with identifiers, and its last jobs."""
    found = settings.client.get(path_of(name))
    if spec:
        print(found["spec"], end="")
        return
    if settings.json:
        output.json(found)
        return
    output.show({k: found[k] for k in found if k not in ("spec", "limits", "resources", "jobs", "job")})
    print()
    output.table(found["resources"], [("RESOURCE", "address"), ("ID", "id")], empty="nothing in OpenStack")
    print()
    columns: list[output.Column] = [
        ("JOB", "id"),
        ("VERB", "verb"),
        ("STATE", "state"),
        ("ENDED", "ended_at"),
    ]
    output.table(found["jobs"], columns, empty="no jobs")


@click.command("drift", cls=Command, example="controlplane tenant drift\ncontrolplane tenant drift ministry")
@click.argument("names", metavar="[TENANT]...", nargs=-1)
@pass_settings
def drift(settings: Settings, names: Sequence[str]) -> None:
    """Compare tenants with OpenStack: each field with what it has, what it should be, and who moved.

    Without names, all tenants are compared, in one look. Exits 3 when something differs. Apply the spec again
    to repair.
    """
    paths = [f"{path_of(name)}/drift" for name in names] or ["/v1/drift"]
    found = [answer for path in paths for answer in settings.client.get(path)]
    if settings.json:
        output.json(found)
    else:
        show_plans(settings, [a["plan"] for a in found], detail=False)
        if not found:
            say("no tenants to compare")
    if any(a["plan"]["changes"] for a in found):
        raise click.exceptions.Exit(DIFFERENCES)
