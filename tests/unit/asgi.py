"""Calls an ASGI application as a server would, in this process."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from starlette.types import ASGIApp, Message, Scope

from airgap_bundle.keys import PrivateKey
from controlplane.access.signing import SOCKET_AUTHORITY, Unsigned, signed_headers


class Answer(NamedTuple):
    """What the application sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


def call(
    app: ASGIApp,
    key: PrivateKey,
    method: str,
    target: str,
    body: Any = None,
    *,
    created: int,
    messages: list[Message] | None = None,
) -> Answer:
    """Send one signed request; `messages` takes the place of the body's one message."""
    content = b"" if body is None else json.dumps(body).encode()
    unsigned = Unsigned(method, SOCKET_AUTHORITY, target, content)
    headers = {**signed_headers(unsigned, key, created), "Content-Type": "application/json"}
    path, _, query = target.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    waiting = messages if messages is not None else [{"type": "http.request", "body": content}]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(_run(app, scope, receive, send))
    start = next(message for message in sent if message["type"] == "http.response.start")
    got = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], got, b"".join(message.get("body", b"") for message in sent))


async def _run(app: ASGIApp, scope: Scope, receive: Any, send: Any) -> None:
    await app(scope, receive, send)
