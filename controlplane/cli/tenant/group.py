"""The noun `tenant` with its verbs."""

from __future__ import annotations

from controlplane.cli.base import Group
from controlplane.cli.tenant.change import apply, plan, validate
from controlplane.cli.tenant.handover import handover
from controlplane.cli.tenant.life import certificate, erase, restore, resume, retire, suspend
from controlplane.cli.tenant.look import drift, list_tenants, show

group = Group(
    "tenant",
    help="""
    Tenants: what they should be, what they are, and their life.

    A tenant is one OpenStack domain, described by one YAML file: its spec. `plan` compares the spec with
    OpenStack and changes nothing; `apply` makes OpenStack equal to it; `drift` tells what somebody changed
    behind the plane's back, and applying the same spec again repairs it.
    """,
)
for command in (
    *(validate, plan, apply),
    *(list_tenants, show, drift),
    *(suspend, resume, retire, restore, erase, certificate),
    handover,
):
    group.add_command(command)
