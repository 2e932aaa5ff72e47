"""Who may do what: the one table of roles and actions.

Every route of the API names one `Action`; `ALLOWED` says which roles may take it. Nothing else decides.
An operator holds one role or more. Approvals (two people) come on top: a role lets you ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controlplane.access.refusals import RoleNotAllowed


class Role(StrEnum):
    """What a person, or a script, is here for."""

    OPERATOR = "operator"
    """Runs the cloud: tenants, hosts, rollouts."""
    APPROVER = "approver"
    """Reads what an operator wants and agrees with a second key."""
    AUDITOR = "auditor"
    """Reads everything and changes nothing."""
    SECURITY_OFFICER = "security_officer"
    """Decides who the others are."""
    SCRIPT = "script"
    """Automation: the everyday part of an operator's work, nothing that cannot be undone."""


class Action(StrEnum):
    """What a request does. A new route names one of these, or adds one here and to `ALLOWED`."""

    READ = "read"
    VALIDATE = "validate"
    PLAN = "plan"
    APPLY = "apply"
    ACCEPT = "accept"
    """Accept that a plan deletes or replaces something."""
    APPROVE = "approve"
    CANCEL = "cancel"
    """Stop a job at its next safe point."""
    SUSPEND = "suspend"
    RESUME = "resume"
    HANDOVER = "handover"
    RETIRE = "retire"
    RESTORE = "restore"
    ERASE = "erase"
    ENROL = "enrol"
    """Add an operator or a key, or let a suspended operator work again."""
    DISMISS = "dismiss"
    """Suspend an operator."""


EVERYONE = frozenset(Role)
OPERATORS = frozenset({Role.OPERATOR})
AUTOMATION = frozenset({Role.OPERATOR, Role.SCRIPT})
OFFICERS = frozenset({Role.SECURITY_OFFICER})

ALLOWED: Mapping[Action, frozenset[Role]] = {
    Action.READ: EVERYONE,
    Action.VALIDATE: AUTOMATION | {Role.APPROVER},
    Action.PLAN: AUTOMATION | {Role.APPROVER},
    Action.APPLY: AUTOMATION,
    Action.ACCEPT: OPERATORS,
    Action.APPROVE: frozenset({Role.APPROVER}),
    Action.CANCEL: AUTOMATION,
    Action.SUSPEND: OPERATORS,
    Action.RESUME: OPERATORS,
    Action.HANDOVER: OPERATORS,
    Action.RETIRE: OPERATORS,
    Action.RESTORE: OPERATORS,
    Action.ERASE: OPERATORS,
    Action.ENROL: OFFICERS,
    Action.DISMISS: OFFICERS,
}


@dataclass(frozen=True)
class Requester:
    """Who signed a request: recognised, not suspended, the signature verified."""

    name: str
    fingerprint: str
    """Of the key that signed, `SHA256:...`."""
    roles: frozenset[Role]

    def permit(self, action: Action) -> None:
        """Return if a role of theirs allows `action`, else raise RoleNotAllowed."""
        if not self.roles & ALLOWED[action]:
            raise RoleNotAllowed(
                operator=self.name,
                roles=listed(self.roles) or "no role",
                action=action.value,
                needed=listed(ALLOWED[action], " or "),
            )


def listed(roles: frozenset[Role], joint: str = ", ") -> str:
    """Roles as words in the order of `Role`."""
    return joint.join(role.value for role in Role if role in roles)
