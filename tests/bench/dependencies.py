"""What each recorded request really has to wait for, whatever order the plane chose.

1. An identifier or token that it mentions must have been answered before.
2. What it would be refused without must have happened: a user logs in to a project with a role there, the
   plane in a project it took a role in, a route leads through an interface, a role is given back after use.
3. A look must see what it saw when it was recorded: a GET waits for the writes that had ended by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.bench.recorded import Recorded

ID = re.compile(
    r"(?<![0-9a-zA-Z])(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-zA-Z])"
)
"""An identifier of OpenStack, with or without dashes."""


@dataclass
class Step:
    """One request to replay."""

    index: int
    recorded: Recorded
    after: set[int] = field(default_factory=set)
    gives: frozenset[str] = frozenset()
    """Identifiers that its answer tells for the first time."""

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.recorded.url)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    @property
    def reads(self) -> bool:
        """Whether it only looks."""
        return self.recorded.method == "GET"

    @property
    def logs_in(self) -> bool:
        """Whether it asks for a token."""
        return self.recorded.method == "POST" and self.path.endswith("/auth/tokens")

    @property
    def mentions(self) -> set[str]:
        """Identifiers in what is sent."""
        return set(ID.findall(self.path)) | set(ID.findall(self.recorded.body))


class NotReplayable(Exception):
    """The recording has something that cannot be replayed; the text says what."""


def steps(recorded: Sequence[Recorded]) -> list[Step]:
    """The requests of a recording with what they wait for. Raises NotReplayable."""
    made = [Step(index, one) for index, one in enumerate(recorded)]
    if lost := [step.path for step in made if not step.recorded.status]:
        raise NotReplayable(f"no answer to {lost[0]}")
    _data(made)
    _side_effects(made)
    _looks(made)
    return made


def _data(made: Sequence[Step]) -> None:
    """Rule 1.

    An identifier is told by the write that made it, even if a look beside it was answered first; else by
    the first look or login that has it.
    """
    wanted = frozenset[str]().union(*(step.mentions for step in made))
    first: dict[str, Step] = {}
    by_end = sorted(made, key=lambda one: one.recorded.ended)
    for step in by_end:
        for one in wanted.intersection(ID.findall(step.recorded.answer)):
            if step.reads or step.logs_in or one not in step.mentions:
                first.setdefault(one, step)
    for step in by_end:
        if not (step.reads or step.logs_in):
            for one in wanted.intersection(ID.findall(step.recorded.answer)) - step.mentions:
                if first[one].reads and first[one].recorded.ended > step.recorded.began:
                    first[one] = step
    tokens = {step.recorded.token: step.index for step in made if step.logs_in and step.recorded.token}
    for step in made:
        if unknown := step.mentions - first.keys():
            raise NotReplayable(f"{step.recorded.method} {step.path} mentions {unknown}, which nothing told")
        step.after |= {first[one].index for one in step.mentions}
        token = step.recorded.headers.get("X-Auth-Token", "")
        if token in tokens:
            step.after.add(tokens[token])
        step.after |= {index for token, index in tokens.items() if token in step.recorded.body}
        step.after.discard(step.index)
    for one, step in first.items():
        step.gives |= {one}


def _side_effects(made: Sequence[Step]) -> None:
    """Rule 2."""
    for step in made:
        path, method = step.path, step.recorded.method
        if step.logs_in:
            step.after |= set(_rights(step, made))
        elif method == "PUT" and re.search(r"/routers/[^/]+$", path) and '"routes"' in step.recorded.body:
            step.after |= {s.index for s in _before(step, made) if s.path.startswith(f"{path}/add_router")}
        elif method == "DELETE" and "/roles/" in path:
            tokens = {s.recorded.token for s in _before(step, made) if s.logs_in and _project(s) in path}
            step.after |= {
                s.index
                for s in _before(step, made)
                if s.recorded.headers.get("X-Auth-Token") in tokens or s.recorded.token in tokens - {""}
            }


def _rights(login: Step, made: Sequence[Step]) -> Iterator[int]:
    """The role assignments and memberships without which this login would be refused."""
    identity = json.loads(login.recorded.body)["auth"]["identity"]
    user = identity.get("password", {}).get("user", {}).get("id", "")
    project = _project(login)
    if not project:
        return
    for step in _before(login, made):
        if step.recorded.method == "PUT" and "/roles/" in step.path and f"/projects/{project}/" in step.path:
            of_user = re.search(r"/users/([^/]+)/roles/", step.path)
            if of_user is None or (of_user[1] == user if user else of_user[1] not in _given(made)):
                yield step.index
        elif user and step.recorded.method == "PUT" and re.search(f"/groups/[^/]+/users/{user}$", step.path):
            yield step.index


def _given(made: Sequence[Step]) -> frozenset[str]:
    """Identifiers that the recorded writes made."""
    return frozenset[str]().union(*(step.gives for step in made if not (step.reads or step.logs_in)))


def _project(login: Step) -> str:
    """The project that a login asks for; empty for none, or one by name."""
    scope: Any = json.loads(login.recorded.body)["auth"].get("scope", {})
    return str(scope.get("project", {}).get("id", "")) if isinstance(scope, dict) else ""


def _looks(made: Sequence[Step]) -> None:
    """Rule 3."""
    for step in made:
        if step.reads:
            step.after |= {other.index for other in _before(step, made) if not other.reads}


def _before(step: Step, made: Sequence[Step]) -> Iterator[Step]:
    """What had ended when this began."""
    return (other for other in made[: step.index] if other.recorded.ended <= step.recorded.began)
