"""OpenStack as the tenants' journey uses it: the `Cloud` protocol on top of the modules of the services."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from controlplane.adapters.openstack.compute import Compute
from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.identity import Identity
from controlplane.adapters.openstack.image import Image
from controlplane.adapters.openstack.inventory import Inventory
from controlplane.adapters.openstack.listing import Lister
from controlplane.adapters.openstack.network import Network
from controlplane.adapters.openstack.removal import Removal
from controlplane.adapters.openstack.retry import RetryPolicy
from controlplane.adapters.openstack.servers import Servers
from controlplane.adapters.openstack.stand_in import StandIn
from controlplane.adapters.openstack.volume import Volume
from controlplane.adapters.openstack.wire import RequestSeen
from controlplane.tenants.apply import BULK
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.ports import Effect, Ids, Outcome, Thing
from controlplane.tenants.resources import Kind, kind_of


class OpenStack:
    """One cloud. Safe to share between threads; every call may raise CloudUnavailable or CloudRefused.

    `timeout` is the longest wait for one answer, in seconds; `retry` says how often and how long a call is
    tried again (60 seconds by default). `on_request` is told of every HTTP request, from the thread that
    made it. Use it as a context manager, or `close` it: that gives back the roles that it took.
    """

    def __init__(
        self,
        cloud_name: str,
        clouds_file: str,
        *,
        timeout: float = 30.0,
        workers: int = 12,
        retry: RetryPolicy | None = None,
        on_request: Callable[[RequestSeen], None] | None = None,
    ) -> None:
        self._c = Connection(
            cloud_name, clouds_file, timeout=timeout, workers=workers, retry=retry, on_request=on_request
        )
        self._stand_in = StandIn(self._c)
        identity, network = Identity(self._c), Network(self._c)
        compute, volume = Compute(self._c, self._stand_in), Volume(self._c)
        self._identity, self._network = identity, network
        self._lister = Lister(self._c, compute, self._stand_in)
        self._servers = Servers(self._c)
        self._inventory = Inventory(self._c, self._lister, compute, self._servers)
        self._removal = Removal(
            self._c, self._inventory, self._lister, identity, compute, network, volume, self._servers
        )
        self._verbs = {
            **identity.verbs,
            **compute.verbs,
            **network.verbs,
            **volume.verbs,
            **Image(self._c, self._stand_in).verbs,
        }
        project = self._verbs[Kind.PROJECT]
        self._verbs[Kind.PROJECT] = project._replace(delete=self._delete_project)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the roles taken, and let go of threads and sockets."""
        try:
            self.step_down()
        finally:
            self._c.close()

    @property
    def requests(self) -> int:
        """HTTP requests made so far, those of authentication included."""
        return self._c.requests

    @property
    def sign_in(self) -> Mapping[str, str]:
        """What people need to log in: `auth_url` and `region`, from clouds.yaml."""
        return self._c.sign_in

    # --- observe and apply --------------------------------------------------------------------------

    def listing(self, scope: Scope) -> Listing:
        """Look at everything in `scope`, in bulk, in parallel."""
        with self._c.doing("listing"):
            return self._lister.take(scope)

    def perform(self, effect: Effect, ids: Ids, *, look_first: bool = False) -> Outcome:
        """Bring one effect about; safe to repeat.

        A create asks before it acts only in doubt, for example after a lost reply. When the effect itself is
        repeated without a fresh observation (the process died after it and before its record), say
        `look_first`: OpenStack lets two networks, routers, security groups and server groups have one name.
        """
        verbs = self._verbs[kind_of(effect.address)]
        with self._c.doing(effect.address):
            match effect.action:
                case "create":
                    return verbs.create(effect, ids, look_first)
                case "update":
                    return verbs.update(effect, ids, effect.changed)
                case "replace":
                    existed = verbs.delete(effect, ids)
                    return verbs.create(effect, ids, look_first or not existed)
                case "delete":
                    verbs.delete(effect, ids)
                    return Outcome("")
                case _:
                    raise ValueError(f"no such action: {effect.action}")

    def perform_many(self, effects: Sequence[Effect], ids: Ids) -> Sequence[Outcome | Exception]:
        """Several effects, one outcome each; creates of one kind in one request where Neutron can."""
        kinds = {(kind_of(effect.address), effect.action) for effect in effects}
        outcomes: list[Outcome | Exception | None] = [None] * len(effects)
        doubt = False
        if len(effects) > 1 and len(kinds) == 1:
            kind, action = next(iter(kinds))
            if kind in BULK and action == "create":
                with self._c.doing(f"{effects[0].address} and {len(effects) - 1} more"):
                    outcomes = self._network.create_many(effects, ids)
                doubt = True  # what the bulk request left open may have been made
        return [
            outcome if outcome is not None else self._caught(effect, ids, doubt)
            for effect, outcome in zip(effects, outcomes, strict=True)
        ]

    def _caught(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome | Exception:
        try:
            return self.perform(effect, ids, look_first=look_first)
        except Exception as error:  # one outcome each: the caller sees which failed
            return error

    def step_down(self, project_ids: Iterable[str] | None = None) -> None:
        """Give back the plane's role in these projects (also one left by a crash), or in all it is in."""
        with self._c.doing("step-down"):
            self._stand_in.step_down(project_ids)

    def _delete_project(self, effect: Effect, ids: Ids) -> bool:
        """Delete a project with everything in it: Keystone alone leaves its networks and servers behind."""
        project = effect.have.id if effect.have is not None and effect.have.id else ids.id(effect.address)
        return self._removal.delete_project(project)

    # --- access and removal -------------------------------------------------------------------------

    def running_servers(self, project_ids: Sequence[str]) -> Sequence[Thing]:
        """Servers of the projects that run now."""
        with self._c.doing("servers"):
            return self._servers.running(project_ids)

    def stop_server(self, server_id: str) -> None:
        """Stop a server and wait until it is off; one that is off or gone is done."""
        with self._c.doing(f"server/{server_id}"):
            self._servers.stop(server_id)

    def start_server(self, server_id: str) -> None:
        """Start a server and wait until it runs; one that runs is done; gone raises CloudRefused."""
        with self._c.doing(f"server/{server_id}"):
            self._servers.start(server_id)

    def lock_servers(self, project_ids: Sequence[str], locked: bool) -> int:
        """Lock all servers of the projects against their users, or unlock those we locked; how many."""
        with self._c.doing("servers"):
            return self._servers.lock(project_ids, locked)

    def set_access(self, domain_id: str, enabled: bool) -> None:
        """Let the domain's users in, or keep them out: Keystone drops the tokens of a disabled domain."""
        with self._c.doing("domain"):
            self._identity.set_enabled(domain_id, enabled, missing=())

    def inventory(self, domain_id: str) -> Sequence[Thing]:
        """Everything inside the domain's projects and the domain, whoever made it."""
        with self._c.doing("inventory"):
            return self._inventory.of_domain(domain_id)

    def remove(self, thing: Thing) -> None:
        """Delete one thing and wait until it is gone; what is gone is done."""
        with self._c.doing(f"{thing.kind}/{thing.name or thing.id}"):
            self._removal.remove(thing)
