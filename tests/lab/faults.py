"""Faults between a client and the lab's real services.

Each service gets a listening port of its own and a `clouds.yaml` that leads there. Rules say which requests
meet which fault; the rest pass untouched, counted and recorded. What a rule of *after the effect* does to a
client is what a broken network does: the service has done its work and the client cannot know.

    with Faults(site) as faults:
        lost = faults.after_effect(method="POST", path=r"/networks$", times=1)
        cloud = faults.connect()
        ...
        assert lost.fired == 1
        assert faults.counts()["network", "POST", "/v2.0/networks"] == 2
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from openstack.connection import Connection

from tests.lab.openstack import configuration
from tests.lab.openstack.facilities import connect
from tests.lab.openstack.layout import CLOUD, HOST, SERVICES, Site
from tests.lab.proxy import HEAD_LIMIT, Exchange, Hook, Hooks, Passage, Proxy

FIRST_PORT, LAST_PORT = 20_000, 24_999
"""Below the ports that Linux hands to clients, and below the labs' own."""


class Where(TypedDict, total=False):
    """Which requests a rule takes.

    `service` is a name or a catalog type (`neutron`, `network`); `method` a pattern for the whole of it;
    `path` and `body` patterns to be found in it (the path without its query; bodies up to 1 MiB).
    Of the requests that match, the first `skip` pass, then each `every`th is taken with `probability`,
    and at most `times` in all.
    """

    service: str
    method: str
    path: str
    body: str
    times: int
    every: int
    skip: int
    probability: float


class Rule:
    """One fault and the requests it takes; `fired` counts them and `taken` holds them."""

    def __init__(self, name: str, hook: Hook, after: bool, chance: random.Random, where: Where) -> None:
        self.name, self.hook, self.after = name, hook, after
        self.taken: list[Exchange] = []
        self.matched = 0
        self._chance = chance
        service = where.get("service")
        self._services = [s.name for s in SERVICES.values() if service in (None, s.name, s.type)]
        if not self._services:
            raise ValueError(f"no service {service!r}; there are {', '.join(SERVICES)}")
        self._method = re.compile(where.get("method", ".*"))
        self._path = re.compile(where.get("path", ""))
        self._body = re.compile(where.get("body", "").encode())
        self._times, self._every = where.get("times"), where.get("every", 1)
        self._skip, self._probability = where.get("skip", 0), where.get("probability", 1.0)

    @property
    def fired(self) -> int:
        """How many requests met the fault."""
        return len(self.taken)

    def takes(self, exchange: Exchange, service: str) -> bool:
        """Whether this request meets the fault; counts it."""
        if not (
            service in self._services
            and self._method.fullmatch(exchange.method)
            and self._path.search(exchange.path)
            and self._body.search(exchange.request_body)
        ):
            return False
        self.matched += 1
        turn = self.matched - self._skip - 1
        if turn < 0 or turn % self._every or (self._times is not None and self.fired >= self._times):
            return False
        if self._probability < 1 and self._chance.random() >= self._probability:
            return False
        exchange.fault = self.name
        self.taken.append(exchange)
        return True


class Faults:
    """Proxies before every service of a running lab; a context manager, or `start` and `close`."""

    def __init__(self, site: Site, *, seed: int = 0) -> None:
        self.site = site
        self.log: list[Exchange] = []
        self._rules: list[Rule] = []
        self._chance = random.Random(seed)
        self._tokens: set[bytes] = set()
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="faults-")

    # ------------------------------------------------------------------ where clients go

    cloud = CLOUD

    @property
    def clouds_yaml(self) -> Path:
        """A clouds.yaml whose every address goes through the proxies."""
        return Path(self._folder.name) / "clouds.yaml"

    def url(self, service: str) -> str:
        """The proxied address of `service`, as the catalog would have it."""
        return f"http://{HOST}:{self._ports[service]}{SERVICES[service].path}"

    def overrides(self) -> dict[str, str]:
        """The entries of clouds.yaml that lead each service's requests through its proxy."""
        return {
            f"{service.type.replace('-', '_')}_endpoint_override": self.url(service.name)
            for service in SERVICES.values()
        }

    def connect(self, cloud: str = CLOUD, **options: Any) -> Connection:
        """A new connection through the proxies, as the administrator; `options` as in clouds.yaml."""
        return connect(self.clouds_yaml, cloud, **options)

    # ------------------------------------------------------------------ rules

    def after_effect(self, *, cut: str = "reset", **where: Unpack[Where]) -> Rule:
        """The service does its work and answers in full; the client gets a `reset`, or a bare `close`."""
        if cut not in ("reset", "close"):
            raise ValueError(f"cut is 'reset' or 'close', not {cut!r}")

        async def hook(passage: Passage) -> None:
            passage.cut(reset=cut == "reset")

        return self._add("after_effect", hook, True, where)

    def reset(self, **where: Unpack[Where]) -> Rule:
        """The connection is reset and the service never hears of the request."""

        async def hook(passage: Passage) -> None:
            passage.cut(reset=True)

        return self._add("reset", hook, False, where)

    def reply(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        content: bytes = b"",
        *,
        after: bool = False,
        **where: Unpack[Where],
    ) -> Rule:
        """The client is answered `status` in the service's place, before the effect or `after` it."""

        async def hook(passage: Passage) -> None:
            passage.answer(status, headers or {}, content)

        return self._add("reply", hook, after, where)

    def hang(self, *, after: bool = False, **where: Unpack[Where]) -> Rule:
        """No answer ever comes; the connection stays until the client gives up."""

        async def hook(passage: Passage) -> None:
            await passage.hold()

        return self._add("hang", hook, after, where)

    def delay(self, seconds: float, *, after: bool = False, **where: Unpack[Where]) -> Rule:
        """The request reaches the service later, or its answer the client."""

        async def hook(passage: Passage) -> None:
            await asyncio.sleep(seconds)

        return self._add("delay", hook, after, where)

    def call(
        self, function: Callable[[Exchange], object], *, after: bool = False, **where: Unpack[Where]
    ) -> Rule:
        """`function` runs in a thread of its own while the exchange waits; then it goes on unharmed.

        To kill a process at an exact moment, kill it there.
        """

        async def hook(passage: Passage) -> None:
            await asyncio.get_running_loop().run_in_executor(None, function, passage.exchange)

        return self._add("call", hook, after, where)

    def remove(self, rule: Rule) -> None:
        """Take `rule` away; exchanges it already holds stay held."""
        self._rules = [one for one in self._rules if one is not rule]

    def clear(self) -> None:
        """Take all rules away."""
        self._rules = []

    def expire_tokens(self) -> int:
        """Revoke at Keystone every token seen so far; how many still lived. Their next use is a real 401."""
        tokens, self._tokens = self._tokens, set()
        keystone = http.client.HTTPConnection(HOST, self.site.service_port("keystone"), timeout=60)
        admin = _admin_token(keystone)
        revoked = 0
        for token in tokens:
            headers = {"X-Auth-Token": admin, "X-Subject-Token": token.decode()}
            keystone.request("DELETE", "/v3/auth/tokens", headers=headers)
            answer = keystone.getresponse()
            answer.read()
            revoked += answer.status == 204
        keystone.close()
        now = time.time_ns()
        os.utime(self.site.revocations, ns=(now, now))
        return revoked

    # ------------------------------------------------------------------ what happened

    def counts(self) -> Counter[tuple[str, str, str]]:
        """How many requests, by catalog type, method and shape of path."""
        return Counter((one.service, one.method, one.shape) for one in list(self.log))

    def forget(self) -> None:
        """Empty the log and the counts."""
        self.log.clear()

    # ------------------------------------------------------------------ life

    def start(self) -> Self:
        """Listen for every service and write `clouds_yaml`."""
        self._thread.start()
        self._run(self._listen()).result()
        extra = "".join(f"    {name}: {url}\n" for name, url in self.overrides().items())
        self.clouds_yaml.write_text(
            configuration.clouds(self.site, auth_url=self.url("keystone"), extra=extra)
        )
        return self

    def close(self) -> None:
        """Cut all connections and stop listening."""
        if self._thread.is_alive():
            self._run(self._unlisten()).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, work: Any) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> None:
        for service in SERVICES.values():
            listening = _free_socket()
            self._ports[service.name] = listening.getsockname()[1]
            hooks = Hooks(self._hook_before(service.name), self._hook_after)
            proxy = Proxy(service.type, HOST, self.site.service_port(service.name), hooks)
            self._servers.append(
                await asyncio.start_server(self._connected(proxy), sock=listening, limit=HEAD_LIMIT)
            )

    def _connected(self, proxy: Proxy) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(proxy.serve(reader, writer))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

        return connected

    async def _unlisten(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._loop.shutdown_default_executor()

    # ------------------------------------------------------------------ hooks

    def _add(self, name: str, hook: Hook, after: bool, where: Where) -> Rule:
        rule = Rule(name, hook, after, self._chance, where)
        self._rules = [*self._rules, rule]  # the proxies' thread reads one list or the other
        return rule

    def _hook_before(self, service: str) -> Callable[[Passage], Hook | None]:
        def before(passage: Passage) -> Hook | None:
            self.log.append(passage.exchange)
            if passage.token:
                self._tokens.add(passage.token)
            for rule in self._rules:
                if rule.takes(passage.exchange, service):
                    if not rule.after:
                        return rule.hook
                    passage.after = rule.hook
                    return None
            return None

        return before

    def _hook_after(self, passage: Passage) -> Hook | None:
        if passage.issued:
            self._tokens.add(passage.issued)
        return passage.after


def _free_socket() -> socket.socket:
    """A socket on a free port of the range; where to look first is chance."""
    ports = list(range(FIRST_PORT, LAST_PORT + 1))
    random.shuffle(ports)
    for port in ports:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            one.close()
        else:
            return one
    raise OSError(f"no free port from {FIRST_PORT} to {LAST_PORT}")


def _admin_token(keystone: http.client.HTTPConnection) -> str:
    user = {"name": "admin", "password": configuration.ADMIN_PASSWORD, "domain": {"id": "default"}}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": {"id": "default"}}},
        }
    }
    keystone.request("POST", "/v3/auth/tokens", json.dumps(body), {"Content-Type": "application/json"})
    answer = keystone.getresponse()
    answer.read()
    return answer.getheader("X-Subject-Token") or ""
