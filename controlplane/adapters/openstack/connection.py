"""The one door to OpenStack: authenticated requests with timeouts, retries and an answer to "did it happen?".

openstacksdk gives configuration, authentication and the catalog; requests go out as plain JSON, because its
objects cost more than they give here. Its own retries stay off: they would repeat a create whose reply was
lost, and leave two. What may have had its effect is looked up before it is tried again (`create`).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import requests
from keystoneauth1 import exceptions as auth_errors
from keystoneauth1 import session as auth_session
from keystoneauth1.identity import v3
from openstack.config import OpenStackConfig

from controlplane.adapters.openstack.gate import Gate
from controlplane.adapters.openstack.login import Login
from controlplane.adapters.openstack.refusal import NAMES, refused
from controlplane.adapters.openstack.retry import TRANSIENT, Attempts, RetryPolicy, retry_after
from controlplane.adapters.openstack.wire import Fault, RequestSeen, Wire, never_sent
from controlplane.tenants.errors import CloudRefused, CloudUnavailable
from controlplane.tenants.listing import Raw

T = TypeVar("T")
Params = Sequence[tuple[str, str]]
Find = Callable[[], Raw | None]

_TYPES = {
    "identity": ("identity", "/v3"),
    "compute": ("compute", "/v2.1"),
    "network": ("network", "/v2.0"),
    "volume": ("block-storage", "/v3"),
    "image": ("image", "/v2"),
}
"""Service: its catalog type, and the version path to add where the catalog has the root only."""
_HEADERS = {"compute": {"OpenStack-API-Version": "compute 2.87"}}
"""2.87 has all that is needed here and is the last that answers `os-hypervisors/statistics`."""
_LOGINS = 4
"""How often one request may find its token revoked."""
_LOGIN_PAUSE = 0.4
"""Seconds, times the number of such findings so far, before the next login."""
_LOOKS = (0.3, 0.7, 1.5)
"""Seconds between looks after a timeout: the server may still be at work on the request."""


@dataclass(frozen=True)
class Reply:
    """A definite answer of a service."""

    status: int
    content: bytes = field(repr=False)
    asked: float | None = None

    @property
    def good(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body; an empty one is {}."""
        return json.loads(self.content) if self.content else {}


@dataclass(frozen=True)
class Made:
    """What a create led to."""

    raw: Raw
    adopted: bool = False
    """It was there already (a lost reply, or an earlier run), so its fields may be other than asked for."""


class Connection:
    """Requests to one cloud. Safe to share between threads."""

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
        self.retry = retry or RetryPolicy()
        self.requests = 0
        self.timeout = (min(5.0, timeout), timeout)
        self._on_request = on_request
        self._now = threading.local()
        self._count = threading.Lock()
        self._wire = Wire(workers, self._seen)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="openstack")
        config = OpenStackConfig(config_files=[clouds_file], load_envvars=False)
        self._region = config.get_one(cloud_name)
        self._region.set_session_constructor(self._session)  # type: ignore[arg-type]
        self.session = self._region.get_session()
        self.session.timeout = timeout
        plugin = self.session.auth
        self.own = Login(self.session, lambda _: plugin, f"cloud {cloud_name}")
        self._endpoints: dict[str, str] = {}
        self._gates = {service: Gate() for service in _TYPES}

    def _session(self, **options: Any) -> auth_session.Session:
        return auth_session.Session(session=self._wire, **options)

    def close(self) -> None:
        """Let go of threads and sockets."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._wire.close()

    @property
    def sign_in(self) -> dict[str, str]:
        """Where people log in, without a request."""
        auth = self._region.config.get("auth", {})
        return {"auth_url": str(auth.get("auth_url", "")), "region": str(self._region.region_name or "")}

    # --- tracing ------------------------------------------------------------------------------------

    def _seen(self, request: requests.PreparedRequest, status: int, seconds: float) -> None:
        with self._count:
            self.requests += 1
        if self._on_request is not None:
            service = "identity" if str(request.url).endswith("/auth/tokens") else self._service()
            self._on_request(
                RequestSeen(service, str(request.method), request.path_url, status, seconds, self._address())
            )

    def _service(self) -> str:
        return getattr(self._now, "service", "identity")

    def _address(self) -> str:
        return getattr(self._now, "address", "")

    @contextmanager
    def doing(self, address: str) -> Any:
        """Requests of this thread, within, belong to this address."""
        before = self._address()
        self._now.address = address
        try:
            yield
        finally:
            self._now.address = before

    # --- one attempt --------------------------------------------------------------------------------

    def endpoint(self, service: str) -> str:
        """The versioned root of a service, from configuration or catalog, without a request for it."""
        if service not in self._endpoints:
            kind, version = _TYPES[service]
            url = self._region.get_endpoint(kind)
            if not url:
                self.own.token()
                url = self.session.auth.get_endpoint(  # type: ignore[union-attr]
                    self.session,
                    service_type=kind,
                    interface=self._region.get_interface(kind),
                    region_name=self._region.get_region_name(kind),
                    skip_discovery=True,
                )
            if not url:
                raise CloudRefused(
                    service=NAMES[service],
                    action="be found",
                    address="in the catalog",
                    reason="it has no endpoint",
                    remedy=f"Register an endpoint of type {kind}, or set its override in clouds.yaml.",
                    status=404,
                )
            url = str(url).rstrip("/")
            self._endpoints[service] = (
                url if re.search(r"/v\d[\d.]*(/|$)", urlsplit(url).path) else url + version
            )
        return self._endpoints[service]

    def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Params = (),
        login: Login | None = None,
        media: str = "application/json",
    ) -> Reply:
        """One attempt. Raises Fault when there is no definite answer; a revoked token is renewed."""
        login = login or self.own
        for turn in range(_LOGINS):
            if turn:  # Keystone dates by the second: a token of the second of a revocation is revoked with it
                self.retry.sleep(_LOGIN_PAUSE * turn)
            token = login.token()
            reply = self._transmit(service, method, self.endpoint(service) + path, body, params, token, media)
            if reply.status != 401:
                return reply
            login.forget(token)
        raise refused(service, 401, reply.content, action=method.lower(), address=self._address() or path)

    def _transmit(
        self, service: str, method: str, url: str, body: Any, params: Params, token: str, media: str
    ) -> Reply:
        headers = {"X-Auth-Token": token, "Accept": "application/json", **_HEADERS.get(service, {})}
        if body is not None:
            headers["Content-Type"] = media
        self._now.service = service
        try:
            with self._gates[service].inside(method, url):  # before the timeout begins to count
                response = self.session.request(
                    url,
                    method,
                    json=body,
                    params=params or None,
                    headers=headers,
                    authenticated=False,
                    raise_exc=False,
                    log=False,
                    redirect=False,
                    timeout=self.timeout,
                )
        except auth_errors.ConnectTimeout as error:
            unheard = never_sent(error)
            raise Fault("timeout", acted=not unheard, slow=not unheard, service=service) from None
        except auth_errors.ClientException as error:
            unheard = never_sent(error)
            why = "connection refused" if unheard else "connection lost"
            raise Fault(why, acted=not unheard, service=service) from None
        finally:
            self._now.service = "identity"
        if response.status_code in TRANSIENT:
            asked = retry_after(response.headers.get("Retry-After"))
            why = f"HTTP {response.status_code}"
            raise Fault(why, acted=response.status_code != 429, service=service, asked=asked)
        return Reply(response.status_code, response.content)

    # --- requests that may be repeated --------------------------------------------------------------

    def call(
        self,
        service: str,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Params = (),
        accept: Iterable[int] = (),
        action: str = "answer for",
        login: Login | None = None,
        conceal: Iterable[str] = (),
        media: str = "application/json",
    ) -> Reply:
        """A request that is safe to repeat, with retries; the reply is good or its status in `accept`."""
        attempts = self.retry.start()
        while True:
            try:
                reply = self.send(service, method, path, body=body, params=params, login=login, media=media)
            except Fault as fault:
                self.wait(attempts, fault)
                continue
            if reply.good or reply.status in accept:
                return reply
            raise refused(
                service,
                reply.status,
                reply.content,
                action=action,
                address=self._address() or path,
                conceal=conceal,
            )

    def wait(self, attempts: Attempts, fault: Fault) -> None:
        """Wait before the next attempt. Raises CloudUnavailable when there is none."""
        if not attempts.again(fault.asked):
            raise CloudUnavailable(service=NAMES[fault.service], reason=fault.why) from None

    def get(self, service: str, path: str, params: Params = (), *, login: Login | None = None) -> Any:
        """The body of a GET."""
        return self.call(service, "GET", path, params=params, action="show", login=login).json()

    def delete(self, service: str, path: str, params: Params = (), *, login: Login | None = None) -> bool:
        """Delete; False when it was gone already."""
        return self.call(
            service, "DELETE", path, params=params, accept={404}, action="delete", login=login
        ).good

    def pages(
        self, service: str, path: str, key: str, params: Params = (), *, missing: Iterable[int] = ()
    ) -> list[Raw]:
        """A whole collection, page by page; `missing` has statuses that say that the cloud has none such."""
        found: list[Raw] = []
        asked = list(params)
        while True:
            reply = self.call(service, "GET", path, params=asked, accept=missing, action="list")
            if not reply.good:
                return found
            body = reply.json()
            page = body[key]
            found += page
            following = _next(body, key)
            if following is None and body.get("truncated") and page:
                following = [*((k, v) for k, v in asked if k != "marker"), ("marker", page[-1]["id"])]
            if following is None or not page:
                return found
            if following == asked:
                raise CloudRefused(
                    service=NAMES[service],
                    action="list all of",
                    address=path,
                    reason="the listing is cut off",
                    remedy="Raise or remove the service's list limit, then try again.",
                    status=200,
                )
            asked = following

    def together(self, calls: Mapping[str, Callable[[], T]]) -> dict[str, T]:
        """Make several calls at once; the first error of any is raised."""
        address = self._address()

        def run(call: Callable[[], T]) -> T:
            with self.doing(address):
                return call()

        futures = {name: self._pool.submit(run, call) for name, call in calls.items()}
        return {name: future.result() for name, future in futures.items()}

    # --- creates ------------------------------------------------------------------------------------

    def create(
        self,
        service: str,
        path: str,
        body: Any,
        *,
        find: Find,
        method: str = "POST",
        exists: Iterable[int] = (409,),
        look_first: bool = False,
        login: Login | None = None,
        conceal: Iterable[str] = (),
    ) -> Made:
        """Create once, whatever happens to the replies.

        `find` looks for what this create would have made, by its ownership mark or key, and raises NotOurs
        for something of another owner that is in the way. It is asked only in doubt: after a lost reply, or
        when the service says that the thing exists.
        """
        attempts = self.retry.start()
        doubt = look_first
        while True:
            if doubt and (found := find()) is not None:
                return Made(found, adopted=True)
            try:
                reply = self.send(service, method, path, body=body, login=login)
            except Fault as fault:
                doubt = doubt or fault.acted
                if fault.slow and (found := self.look(find)) is not None:
                    return Made(found, adopted=True)
                self.wait(attempts, fault)
                continue
            if reply.good:
                try:
                    return Made(reply.json())
                except ValueError:
                    doubt = True
                    self.wait(attempts, Fault("unreadable answer", acted=True, service=service))
                    continue
            # after a lost reply, any refusal may be the echo of what was made (400: overlaps with itself)
            if (doubt or reply.status in exists) and (found := find()) is not None:
                return Made(found, adopted=True)
            raise refused(
                service,
                reply.status,
                reply.content,
                action="create",
                address=self._address(),
                conceal=conceal,
            )

    def look(self, find: Find) -> Raw | None:
        """Look again and again: after a timeout the server may still be at work."""
        for pause in _LOOKS:
            if (found := find()) is not None:
                return found
            self.retry.sleep(pause)
        return None

    # --- other ways in ------------------------------------------------------------------------------

    def login_as(self, user_id: str, password: str, project_id: str) -> Login:
        """A user's own login in a project."""
        url = self.endpoint("identity")
        return Login(
            self.session,
            lambda _: v3.Password(url, user_id=user_id, password=password, project_id=project_id),
            f"user {user_id}",
        )

    def login_in(self, project_id: str) -> Login:
        """The plane's own login, in another project where it holds a role."""
        url = self.endpoint("identity")
        return Login(
            self.session,
            lambda token: v3.Token(url, token, project_id=project_id),
            f"project {project_id}",
            of=self.own,
        )


def _next(body: Mapping[str, Any], key: str) -> list[tuple[str, str]] | None:
    """The query of the next page, in any of the services' ways of linking it."""
    links = body.get(f"{key}_links") or body.get(f"{key.removesuffix('s')}_links") or ()
    href = next((link["href"] for link in links if link.get("rel") == "next"), None)
    own = body.get("links")
    href = href or body.get("next") or (own.get("next") if isinstance(own, Mapping) else None)
    return parse_qsl(urlsplit(str(href)).query) if href else None


__all__ = ["Connection", "Fault", "Find", "Made", "Params", "Reply"]
