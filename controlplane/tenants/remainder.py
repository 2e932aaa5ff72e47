"""agreed plan + the plan as it is now -> what is left of it, for an apply that goes on after a crash.

What was agreed to was said of the cloud as it was then. Under way, an apply also meets or makes things that
the agreed plan does not name. Where it stops there, they are its own to put right:

1. a new security group comes with rules that Neutron makes by itself; those that the spec has not must go, or
   a group that should let nothing out lets everything out;
2. routes are dropped from a router while an interface through which they lead is made again;
3. the plane's own user takes a role on a project: `step_down` gives it back, so no operation does.

Whatever else has changed meanwhile waits for a plan of its own: it shows as drift.
"""

from __future__ import annotations

from dataclasses import replace

from controlplane.tenants.observed import is_plane_role
from controlplane.tenants.plan import Action, Change, Plan
from controlplane.tenants.resources import Kind, kind_of


def remainder(agreed: Plan, now: Plan) -> tuple[Change, ...]:
    """The changes of `now` that belong to what was agreed, in their order."""
    addresses = {change.address for change in agreed.changes}
    groups = {c.address for c in agreed.changes if kind_of(c.address) is Kind.SECURITY_GROUP and _made(c)}
    routers = {_router(c.address) for c in agreed.changes if kind_of(c.address) is Kind.INTERFACE}
    left = []
    for change in now.changes:
        address = change.address
        if is_plane_role(address):
            continue
        if address in addresses or (kind_of(address) is Kind.RULE and _group(address) in groups):
            left.append(change)
        elif address in routers and change.action is Action.UPDATE:
            routes = tuple(d for d in change.differences if d.field == "routes")
            if routes:
                left.append(replace(change, differences=routes))
    return tuple(left)


def _made(change: Change) -> bool:
    return change.action in (Action.CREATE, Action.REPLACE)


def _group(rule: str) -> str:
    """The security group of a rule, by its address."""
    _, project, group, _ = rule.split("/", 3)
    return f"security-group/{project}/{group}"


def _router(interface: str) -> str:
    """The router of an interface, by its address."""
    _, project, router, _ = interface.split("/", 3)
    return f"router/{project}/{router}"
