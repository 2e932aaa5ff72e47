"""The life of a tenant: its states, and what moves it from one to the next. One table; the docs draw it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from controlplane.tenants.errors import NotNow


class State(StrEnum):
    """Where a tenant is in its life."""

    DRAFT = "DRAFT"
    """A spec was planned; nothing is in OpenStack."""
    PROVISIONING = "PROVISIONING"
    """Its first apply is at work."""
    ACTIVE = "ACTIVE"
    """OpenStack equals the spec, as last seen."""
    HANDED_OVER = "HANDED_OVER"
    """Active, and its managers hold their credentials."""
    CHANGING = "CHANGING"
    """A later apply is at work."""
    DRIFTED = "DRIFTED"
    """OpenStack no longer equals the spec."""
    SUSPENDED = "SUSPENDED"
    """Nobody gets in, its servers are stopped; what ran is remembered."""
    RETIRING = "RETIRING"
    """Access ends and the servers stop, for good unless restored."""
    GRACE = "GRACE"
    """Retired; may be restored until the grace period is over, then erased."""
    ERASING = "ERASING"
    """Everything it has is being deleted."""
    ERASED = "ERASED"
    """Gone; the certificate remains."""
    FAILED = "FAILED"
    """An apply, suspension or erasure could not finish; the same command continues it."""


class Transition(NamedTuple):
    """One arrow."""

    verb: str
    before: State
    during: State
    after: State


S = State
_APPLIED = (S.ACTIVE, S.HANDED_OVER, S.DRIFTED)

TRANSITIONS: tuple[Transition, ...] = (
    Transition("apply", S.DRAFT, S.PROVISIONING, S.ACTIVE),
    Transition("apply", S.ERASED, S.PROVISIONING, S.ACTIVE),
    Transition("apply", S.ACTIVE, S.CHANGING, S.ACTIVE),
    Transition("apply", S.HANDED_OVER, S.CHANGING, S.HANDED_OVER),
    Transition("apply", S.DRIFTED, S.CHANGING, S.ACTIVE),
    Transition("apply", S.FAILED, S.CHANGING, S.ACTIVE),
    *(Transition("handover", s, s, S.HANDED_OVER) for s in _APPLIED),
    *(Transition("suspend", s, s, S.SUSPENDED) for s in (*_APPLIED, S.FAILED)),
    Transition("resume", S.SUSPENDED, S.SUSPENDED, S.ACTIVE),
    *(Transition("retire", s, S.RETIRING, S.GRACE) for s in (*_APPLIED, S.SUSPENDED, S.FAILED)),
    Transition("restore", S.GRACE, S.GRACE, S.ACTIVE),
    Transition("erase", S.GRACE, S.ERASING, S.ERASED),
    Transition("erase", S.ERASING, S.ERASING, S.ERASED),
)
"""Besides these, a look at an ACTIVE or HANDED_OVER tenant that finds drift makes it DRIFTED, and one at a
DRIFTED tenant that finds none makes it ACTIVE; a job that cannot finish makes it FAILED, except that an
erasure stays ERASING; both continue with the same verb."""

VERBS = tuple(dict.fromkeys(t.verb for t in TRANSITIONS))
_REMEDIES = {
    S.DRAFT: "apply its spec first",
    S.SUSPENDED: "resume or retire it first",
    S.GRACE: "restore it first, or erase it when its grace period is over",
    S.ERASED: "apply a spec to make it anew",
    S.ERASING: "finish with: controlplane tenant erase",
}


def step(tenant: str, state: State, verb: str) -> Transition:
    """The arrow that `verb` takes from `state`. Raises NotNow where there is none."""
    for transition in TRANSITIONS:
        if transition.verb == verb and transition.before is state:
            return transition
    if state in (S.PROVISIONING, S.CHANGING, S.RETIRING):
        remedy = "wait until its job is done: controlplane job list"
    else:
        remedy = _REMEDIES.get(state, f"possible from {_from(verb)}")
    raise NotNow(tenant=tenant, state=state, verb=verb, remedy=remedy[0].upper() + remedy[1:] + ".")


def _from(verb: str) -> str:
    return ", ".join(dict.fromkeys(t.before for t in TRANSITIONS if t.verb == verb)) or "no state"


def diagram() -> str:
    """The table as a Mermaid state diagram, one arrow a line."""
    lines = [f"[*] --> {S.DRAFT}: plan"]
    for arrow in TRANSITIONS:
        if arrow.during is arrow.before:
            lines.append(f"{arrow.before} --> {arrow.after}: {arrow.verb}")
        else:
            lines.append(f"{arrow.before} --> {arrow.during}: {arrow.verb}")
            lines.append(f"{arrow.during} --> {arrow.after}: done")
    return "stateDiagram-v2\n" + "".join(f"    {line}\n" for line in dict.fromkeys(lines))
