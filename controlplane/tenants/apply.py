"""Bring operations about, in parallel along what they wait for, and tell the journal at once.

Nothing here survives a crash, and nothing has to: whoever resumes observes again, plans again and
runs what is left. The ownership mark finds what was made and not yet journalled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Protocol

from airgap_bundle.errors import Problem
from controlplane.tenants.desired import Desired
from controlplane.tenants.known import Known
from controlplane.tenants.operations import Key, Operation
from controlplane.tenants.ports import Cloud, Effect, Outcome
from controlplane.tenants.resources import Kind, Observed, Resource

BULK = {Kind.NETWORK, Kind.SUBNET, Kind.SECURITY_GROUP, Kind.RULE}
"""Kinds of which Neutron makes many in one request."""
BATCH = 50
"""At most so many in one request."""


class Journal(Protocol):
    """Where outcomes become durable and progress becomes visible."""

    def began(self, operation: Operation) -> None:
        """An effect is about to be tried. Need not be durable."""
        ...

    def done(self, operation: Operation, outcome: Outcome) -> None:
        """An effect happened. Durable when it returns; secrets are sealed before they are stored."""
        ...

    def failed(self, operation: Operation, reason: Exception) -> None:
        """An effect could not be brought about."""
        ...

    def blocked(self, operation: Operation, by: Operation) -> None:
        """An effect was not tried because something before it failed."""
        ...


@dataclass
class Result:
    """How a run ended."""

    done: list[Operation] = field(default_factory=list)
    failed: list[tuple[Operation, Exception]] = field(default_factory=list)
    blocked: list[Operation] = field(default_factory=list)


def run(
    todo: Sequence[Operation],
    cloud: Cloud,
    known: Known,
    desired: Desired,
    journal: Journal,
    pool: Executor,
    stop: Callable[[], bool] = lambda: False,
) -> Result:
    """Run all operations; a failure holds back only what waits for it. `stop` ends it early."""
    return _Run(cloud, known, desired, journal, pool, stop).all(todo)


class _Run:
    def __init__(
        self,
        cloud: Cloud,
        known: Known,
        desired: Desired,
        journal: Journal,
        pool: Executor,
        stop: Callable[[], bool],
    ) -> None:
        self.cloud, self.known, self.desired, self.journal = cloud, known, desired, journal
        self.pool, self.stop = pool, stop
        self.result = Result()
        self.made_rules: dict[str, str] = {}
        """Rules that Neutron made by itself with a new security group: address -> identifier."""

    def all(self, todo: Sequence[Operation]) -> Result:
        waiting = {operation.key: operation for operation in todo}
        order = {operation.key: i for i, operation in enumerate(todo)}
        open_: dict[Key, set[Key]] = {o.key: {k for k in o.after if k in waiting} for o in todo}
        then: dict[Key, list[Key]] = {}
        for key, after in open_.items():
            for before in after:
                then.setdefault(before, []).append(key)
        running: dict[Future[list[Outcome | Exception]], list[Operation]] = {}
        ready = [key for key, after in open_.items() if not after]
        while ready or running:
            if not self.stop():
                for batch in self._batches(sorted(ready, key=order.__getitem__), waiting):
                    for operation in batch:
                        self.journal.began(operation)
                    running[self.pool.submit(self._perform, batch)] = batch
            elif not running:
                break
            ready = []
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                for operation, outcome in zip(running.pop(future), future.result(), strict=True):
                    if isinstance(outcome, Exception):
                        self._fail(operation, outcome, waiting, then)
                        continue
                    self.result.done.append(operation)
                    del waiting[operation.key]
                    for key in then.get(operation.key, ()):
                        open_[key].discard(operation.key)
                        if not open_[key] and key in waiting:
                            ready.append(key)
        return self.result

    def _batches(self, ready: Sequence[Key], waiting: dict[Key, Operation]) -> list[list[Operation]]:
        """Group what can share a request; everything else goes alone."""
        groups: dict[Kind, list[Operation]] = {}
        batches = []
        for key in ready:
            operation = waiting[key]
            kind = operation.effect.want.kind if operation.effect.want else None
            if operation.effect.action == "create" and kind in BULK:
                groups.setdefault(kind, []).append(operation)
            else:
                batches.append([operation])
        for same in groups.values():
            batches += [same[i : i + BATCH] for i in range(0, len(same), BATCH)]
        return batches

    def _perform(self, batch: list[Operation]) -> list[Outcome | Exception]:
        """In a thread of the pool. What is returned has been journalled."""
        outcomes: list[Outcome | Exception] = [Outcome("")] * len(batch)
        left = []
        for i, operation in enumerate(batch):
            already = self.made_rules.get(operation.address)
            if already is not None and operation.effect.action == "create":
                outcomes[i] = Outcome(already)
            else:
                left.append(i)
        effects = [batch[i].effect for i in left]
        try:
            if len(effects) == 1:
                results: Sequence[Outcome | Exception] = [self.cloud.perform(effects[0], self.known)]
            else:
                results = self.cloud.perform_many(effects, self.known) if effects else []
        except Exception as refused:  # reported per operation; the loop must go on for the others
            results = [refused] * len(effects)
        for i, result in zip(left, results, strict=True):
            outcomes[i] = self._settled(batch[i], result)
        for operation, outcome in zip(batch, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                self.known.learn(operation.address, outcome)
                self.journal.done(operation, outcome)  # crash before this: the mark finds it again
        return outcomes

    def _settled(self, operation: Operation, outcome: Outcome | Exception) -> Outcome | Exception:
        """A new security group comes with rules of Neutron's own: keep those wanted, delete the others."""
        if isinstance(outcome, Exception) or operation.effect.action != "create":
            return outcome
        home = operation.address.removeprefix("security-group/")
        try:
            for key, id_ in outcome.facts.get("default_rules", {}).items():
                rule = f"rule/{home}/{key}"
                want = self.desired.resources.get(rule)
                if want is not None and not want.fields.get("description"):  # Neutron's has none of ours
                    self.made_rules[rule] = id_
                else:
                    self.cloud.perform(Effect("delete", rule, None, Observed(rule, id_, {})), self.known)
        except Exception as refused:  # the group is there; the next look finds the rule and removes it
            return refused
        return outcome

    def _fail(
        self,
        operation: Operation,
        reason: Exception,
        waiting: dict[Key, Operation],
        then: dict[Key, list[Key]],
    ) -> None:
        self.result.failed.append((operation, reason))
        self.journal.failed(operation, reason)
        del waiting[operation.key]
        held = list(then.get(operation.key, ()))
        while held:
            blocked = waiting.pop(held.pop(), None)
            if blocked is not None:
                self.result.blocked.append(blocked)
                self.journal.blocked(blocked, operation)
                held += then.get(blocked.key, ())


def reason_of(problem: Exception) -> str:
    """One sentence for a person; an unexpected exception says its type."""
    return str(problem) if isinstance(problem, Problem) else f"{type(problem).__name__}: {problem}"


def resource_of(operation: Operation) -> Resource | None:
    """What the resource became, for the records; None when it is gone."""
    return None if operation.effect.action == "delete" else operation.effect.want
