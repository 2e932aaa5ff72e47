"""The guard before the API: every request is recognised, or refused, before any route sees it.

A pure ASGI layer around the whole application. It knows no routes, so it cannot forget one: unknown paths,
the documentation and wrong methods are behind it too. What it adds to the scope:

    scope["controlplane.request"]    controlplane.access.verification.SignedRequest
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import anyio
from anyio import CapacityLimiter, to_thread
from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap_bundle.errors import InputProblem, Problem
from airgap_bundle.keys import PublicKey
from controlplane.access.roles import Role
from controlplane.access.verification import EnrolledKey, Policy, RawRequest, verify
from controlplane.service.problems import respond, unexpected
from controlplane.store.database import reading, writing
from controlplane.store.operators import forget_nonces, key_with_operator, remember_nonce

SIGNED_REQUEST = "controlplane.request"
BODY_SECONDS = 30
"""How long a client may take to send a body."""
FORGET_SECONDS = 60
"""How often old nonces are cleared away."""


class BodyTooLarge(InputProblem):
    """The request's body is larger than the plane reads."""

    exit_code = 15
    message = "the request's body is larger than {limit} bytes"
    hint = "Send less, or raise body_limit_bytes in site.toml."


class BodyIncomplete(InputProblem):
    """The request's body did not arrive."""

    exit_code = 15
    message = "the request's body did not arrive within {seconds} s"
    hint = "Send the request again."


class DatabaseMemory:
    """Enrolled keys and nonces in the site's database: the ports of `access.verification`."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._forget_next = 0.0

    def enrolled_key(self, fingerprint: str) -> EnrolledKey | None:
        """Look the key up anew each time: a suspension counts from the next request on."""
        with reading(self.engine) as session:
            found = key_with_operator(session, fingerprint)
            if found is None:
                return None
            key, operator = found
            roles = frozenset(Role(word) for word in operator.roles.split())
            return EnrolledKey(PublicKey.parse(key.line), operator.name, roles, operator.suspended_at)

    def remember(self, fingerprint: str, nonce: str, now: datetime, until: datetime) -> bool:
        """Commit the nonce; the database's primary key decides between processes."""
        with writing(self.engine) as session:
            new = remember_nonce(session, fingerprint, nonce, until)
            if new and time.monotonic() > self._forget_next:
                self._forget_next = time.monotonic() + FORGET_SECONDS
                forget_nonces(session, now)
        # The caller goes on only after the commit: a crash before it and the same request may come again,
        # which is right, because nothing was done.
        return new


def utc_now() -> datetime:
    """The plane's clock."""
    return datetime.now(UTC)


class Guard:
    """Lets a request through to `app` once its signature is verified, with its whole body."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        engine: Engine,
        policy: Policy,
        body_limit: int,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.app, self.policy, self.body_limit, self.clock = app, policy, body_limit, clock
        self.memory = DatabaseMemory(engine)
        # Its own threads: requests that work for long cannot keep others from being recognised.
        self._limiter = CapacityLimiter(8)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no route is a web socket; one would need a guard of its own
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            body = await self._body(scope, receive)
            request = RawRequest(
                scope["method"], scope["raw_path"], scope["query_string"], scope["headers"], body
            )
            scope[SIGNED_REQUEST] = await to_thread.run_sync(self._verify, request, limiter=self._limiter)
        except Problem as problem:
            await respond(problem, scope, receive, send)
            return
        except Exception as error:
            await unexpected(error, scope, receive, send)
            return
        await self.app(scope, replay(body, receive), send)

    def _verify(self, request: RawRequest) -> object:
        now = self.clock()
        return verify(request, policy=self.policy, operators=self.memory, nonces=self.memory, now=now)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body, within the limits of size and time. Raises BodyTooLarge, BodyIncomplete."""
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value) > self.body_limit:
                raise BodyTooLarge(limit=self.body_limit)
        parts: list[bytes] = []
        size = 0
        try:
            with anyio.fail_after(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise BodyIncomplete(seconds=BODY_SECONDS)
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.body_limit:
                        raise BodyTooLarge(limit=self.body_limit)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise BodyIncomplete(seconds=BODY_SECONDS) from None


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the verified body once, then whatever comes from the connection."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
