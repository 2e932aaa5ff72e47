"""A tenant in the cloud, and what the plane keeps of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from controlplane.tenants.desired import SEALED, Desired
from controlplane.tenants.facts import read_facts
from controlplane.tenants.known import Known
from controlplane.tenants.observed import View, observe
from controlplane.tenants.operations import Operation, operations
from controlplane.tenants.plan import Plan, make_plan
from controlplane.tenants.ports import Effect, Outcome
from controlplane.tenants.remainder import remainder
from controlplane.tenants.resources import Record
from tests.simulated.cloud import Cloud

Choose = Callable[[Sequence[Operation]], Operation]
"""Which of the operations that wait for nothing comes next."""


@dataclass
class World:
    """A cloud, and what the plane keeps of its tenants: records, and secrets that somebody can receive."""

    cloud: Cloud = field(default_factory=Cloud)
    records: dict[str, Record] = field(default_factory=dict)
    store: dict[str, str] = field(default_factory=dict)

    def view(self, tenant: str, shuffled: random.Random | None = None) -> View:
        return observe(tenant, self.cloud.listing(shuffled), self.records)

    def plan(self, desired: Desired, spec_digest: str = "spec") -> Plan:
        return make_plan(desired, self.view(desired.tenant), self.records, spec_digest)

    def apply(self, desired: Desired, choose: Choose, agreed: Plan | None = None) -> list[Operation]:
        """One round: plan, then every operation, one at a time in an order that `choose` decides."""
        order = [done for done in self.steps(desired, choose, agreed) if done is not None]
        for change in self.plan(desired).changes:
            if change.action == "forget":
                del self.records[change.address]
        return order

    def steps(
        self, desired: Desired, choose: Choose, agreed: Plan | None = None, late: int = 0
    ) -> Iterator[Operation | None]:
        """A round that yields after each request, its operation once it is over: to leave it there is to die.

        `late` is how many operations records lag behind; with `agreed`, only what is left of that plan.
        """
        view = self.view(desired.tenant)
        plan = make_plan(desired, view, self.records, "spec")
        assert not plan.conflicts, plan.conflicts
        self.cloud.step_down()
        known = Known(view, read_facts(self.cloud.listing(), {}))
        todo = operations(remainder(agreed or plan, plan), desired, view.resources)
        waiting = {operation.key: operation for operation in todo}
        assert len(waiting) == len(todo)
        unwritten, rules = list[tuple[Effect, Outcome]](), dict[str, str]()
        while waiting:
            ready = [o for o in waiting.values() if not o.after & waiting.keys()]
            assert ready, f"these wait for each other: {sorted(waiting)}"
            operation = waiting.pop(choose(ready).key)
            effect = operation.effect
            if effect.action == "create" and effect.address in rules:
                outcome = Outcome(rules[effect.address], effect.want.fields if effect.want else {})
            else:
                outcome = self.cloud.perform(effect, known)
                if effect.action == "create":
                    for rule, id_ in self._born(effect.address, outcome, desired):
                        yield None
                        if rule:
                            rules[rule] = id_
                        else:
                            del self.cloud.table("rules")[id_]
            known.learn(effect.address, outcome)
            unwritten.append((effect, outcome))
            while len(unwritten) > late:
                self.record(*unwritten.pop(0), desired)
            yield operation
        for written in unwritten:
            self.record(*written, desired)

    @staticmethod
    def _born(address: str, outcome: Outcome, desired: Desired) -> Iterator[tuple[str, str]]:
        """The rules that Neutron makes with a group: the address of one that is wanted, else nothing."""
        for key, id_ in outcome.facts.get("default_rules", {}).items():
            rule = f"rule/{address.removeprefix('security-group/')}/{key}"
            want = desired.resources.get(rule)
            yield rule if want is not None and not want.fields.get("description") else "", id_

    def record(self, effect: Effect, outcome: Outcome, desired: Desired) -> None:
        """As the journal of a job does it."""
        for secret in outcome.secrets:
            if "credentials" in desired[secret.address].fields:
                [self.store[secret.address]] = secret.values.values()
        if effect.action == "delete":
            self.records.pop(effect.address, None)
            self.store.pop(effect.address, None)
        elif effect.want is not None:
            fields = dict(effect.want.fields)
            if "credentials" in fields:
                fields["credentials"] = SEALED if effect.address in self.store else "lost"
            self.records[effect.address] = Record(effect.address, outcome.id, fields)

    def lose(self, address: str) -> None:
        """A crash came after the effect and before its secret was stored."""
        record = self.records[address]
        self.records[address] = replace(record, fields={**record.fields, "credentials": "lost"})
        del self.store[address]

    def useless(self, desired: Desired) -> list[str]:
        """Whose stored secret is missing, or opens nothing any more."""
        wanted = [a for a, resource in desired.resources.items() if "credentials" in resource.fields]
        return [a for a in wanted if self.store.get(a) != self.cloud.secrets[self.records[a].id]]


def built(desired: Desired, *, recorded: bool = True) -> World:
    """A cloud that has what is desired, made in the order of `desired`."""
    world = World()
    world.apply(desired, lambda ready: ready[0])
    if not recorded:
        world.records.clear()
        world.store.clear()
    return world
