"""A real daemon on the real lab, for tests that kill it, and what must hold of the cloud afterwards."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from controlplane.client import Client, Refusal, ReplyLost, Unreachable
from controlplane.tenants.resources import read_mark
from tests.daemon import Daemon

PATIENCE = 600.0
"""Seconds until a job that does not end is a failure."""


class Plane(Daemon):
    """`controlplane serve` for the lab (or for proxies before it), with a client that outlives its deaths."""

    def make(self, clouds: Path, cloud: str = "lab", *more: str) -> Plane:
        """Make the site; `more` are further options of `init`."""
        operator = self.key.public.line
        self.run("init", "--cloud", cloud, "--clouds", str(clouds), "--operator", operator, *more)
        return self

    def setting(self, name: str, value: int | str) -> None:
        """Add a setting to site.toml, for the next start."""
        with open(self.site / "site.toml", "a") as file:
            file.write(f"{name} = {json.dumps(value)}\n")

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nothing is said."""
        self.stop(signal.SIGKILL)

    def revive(self) -> float:
        """Start it, if it does not live; gives how long that took, in seconds."""
        began = time.monotonic()
        if self._process is None or self._process.poll() is not None:
            self.start()
        return time.monotonic() - began

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request that is asked again until a living daemon answers it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with Client(socket_path=self.socket, key=self.key, seconds=120) as client:
                try:
                    return client.request(method, path, body)
                except (Unreachable, ReplyLost):
                    if time.monotonic() > deadline:
                        raise
            time.sleep(0.05)

    def apply(self, spec: str) -> dict[str, Any]:
        """Apply a spec, losing what it loses, as often as it takes; gives the last answer."""
        deadline = time.monotonic() + PATIENCE
        accept: list[str] = []
        while True:
            [answer] = self.ask(
                "POST",
                "/v1/tenants/apply",
                {"specs": [{"text": spec, "file": "spec.yaml"}], "accept": accept},
            )
            accept = []
            problem = answer.get("problem")
            if problem is None:
                job = answer.get("job")
                if job is None or self.ended(job["id"])["state"] == "done":
                    return dict(answer)
            elif problem["type"] == "needs-acceptance":
                accept = [problem["facts"]["plan"]["digest"]]
            elif problem["exit_code"] < 30:
                raise AssertionError(problem)
            if time.monotonic() > deadline:
                raise AssertionError(f"not applied in {PATIENCE:.0f} s: {answer}")
            time.sleep(0.05)

    def verb(self, tenant: str, verb: str, body: Mapping[str, Any] | None = None) -> None:
        """Run a verb of the lifecycle to its end, also when the first answer was lost."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(Refusal):
                job = self.ask("POST", f"/v1/tenants/{tenant}/{verb}", body)
                if self.ended(job["id"])["state"] == "done":
                    return
            if self._already(tenant, verb):
                return
            time.sleep(0.1)
        raise AssertionError(f"{verb} of {tenant} did not end: {self.state(tenant)}")

    def _already(self, tenant: str, verb: str) -> bool:
        after = {"retire": "GRACE", "erase": "ERASED", "suspend": "SUSPENDED"}
        return self.state(tenant) == after.get(verb)

    def ended(self, job: str) -> dict[str, Any]:
        """A job once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.ask("GET", f"/v1/jobs/{job}")
            if found["state"] in ("done", "failed"):
                return found
            time.sleep(0.1)
        raise AssertionError(f"job {job} did not end")

    def state(self, tenant: str) -> str:
        """Where a tenant is in its life."""
        return str(self.ask("GET", f"/v1/tenants/{tenant}")["state"])

    def working(self) -> bool:
        """Whether a job is at work now."""
        return any(job["state"] == "running" for job in self.ask("GET", "/v1/jobs"))


def assert_equal_to_specs(plane: Plane, tenants: Iterable[str]) -> None:
    """Every tenant is exactly what its spec says, by a fresh look."""
    for tenant in tenants:
        [answer] = plane.ask("GET", f"/v1/tenants/{tenant}/drift")
        assert answer["plan"]["changes"] == [], f"{tenant}: {answer['plan']['changes']}"
        assert answer["plan"]["duplicates"] == [], f"{tenant}: {answer['plan']['duplicates']}"


def assert_nothing_twice_nothing_orphaned(cloud: Connection, prefix: str, living: Iterable[str]) -> None:
    """By openstacksdk alone: of the tenants whose names begin with `prefix`, no mark twice, no leftovers."""
    identity: Any = cloud.identity
    domains = [d for d in identity.domains() if d.name.startswith(prefix)]
    assert sorted(d.name for d in domains) == sorted(living)
    projects = {p.id: p for d in domains for p in identity.projects(domain_id=d.id)}
    marked: list[tuple[str, str]] = []
    for kind, listed in _listed(cloud).items():
        for item in listed:
            owner = read_mark(item.description)
            if owner is None or not owner[0].startswith(prefix):
                continue
            marked.append(owner)
            assert owner[0] in set(living), f"orphan: {kind} {item.name} of {owner[0]}"
            if kind != "flavor":
                assert item.project_id in projects, f"orphan: {kind} {item.name} in no project of its tenant"
    twice = [mark for mark, count in Counter(marked).items() if count > 1]
    assert twice == []
    assert _orphans(cloud) == set()
    groups = Counter((g.project_id, g.name) for g in cloud.compute.server_groups(all_projects=True))
    mine = [key for key, count in groups.items() if key[0] in projects and count > 1]
    assert mine == []


def _orphans(cloud: Connection) -> set[str]:
    """What Neutron keeps of projects that are gone; seen three times, because other tests erase meanwhile."""
    seen: set[str] | None = None
    identity: Any = cloud.identity
    for _ in range(3):
        network = cloud.network
        things = [*network.ports(device_owner="network:router_interface"), *network.security_groups()]
        projects = {project.id for project in identity.projects()}
        now = {f"{type(t).__name__} {t.name} {t.id}" for t in things if t.project_id not in projects}
        seen = now if seen is None else seen & now
        if not seen:
            break
        time.sleep(2)
    return seen or set()


def _listed(cloud: Connection) -> dict[str, list[Any]]:
    network = cloud.network
    return {
        "network": list(network.networks()),
        "subnet": list(network.subnets()),
        "router": list(network.routers()),
        "security group": list(network.security_groups()),
        "flavor": [f for f in cloud.compute.flavors(is_public=None) if f.description],
    }
