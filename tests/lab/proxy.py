"""A small HTTP/1.1 proxy between one client and one service, with a hook at every point of an exchange.

It copies bytes and reads only what it must: the first line, the body's framing, and the token. Connections
are kept alive on both sides, one to the service for each of the client's.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

HEAD_LIMIT = 1 << 20
KEPT_BODY = 1 << 20
"""How much of a body an exchange keeps; a longer one passes through."""
BODILESS = (204, 304)

_SHAPED = re.compile(r"(?<=/)(?:[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}|\d+)(?=/|$)")


@dataclass
class Exchange:
    """One request and what became of it.

    `status` is what the client was answered and `effect` what the service answered, 0 for nothing;
    `fault` names the rule that took part. Times are seconds of `time.monotonic`; `ended` is 0 while the
    exchange is under way. Bodies are the first MiB, without the framing of chunks.
    """

    service: str
    method: str
    path: str
    query: str
    connection: int
    started: float
    ended: float = 0.0
    status: int = 0
    effect: int = 0
    fault: str = ""
    request_body: bytes = field(default=b"", repr=False)
    response_body: bytes = field(default=b"", repr=False)

    @property
    def shape(self) -> str:
        """The path with `{id}` in place of each identifier."""
        return _SHAPED.sub("{id}", self.path)


class Message:
    """The head of a request or response, with what is needed to know where its body ends."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.first = raw[: raw.index(b"\r\n")].decode("latin-1")
        self._lower = raw.lower()
        self.chunked = b"chunked" in self.header(b"transfer-encoding").lower()
        length = self.header(b"content-length")
        self.length = int(length) if length else None
        self.closes = self.header(b"connection").lower() == b"close" or " HTTP/1.0" in f" {self.first}"

    def header(self, name: bytes) -> bytes:
        """The value of the header `name`, given in lower case; empty when there is none."""
        at = self._lower.find(b"\r\n" + name + b":")
        if at < 0:
            return b""
        begin = at + len(name) + 3
        return self.raw[begin : self.raw.index(b"\r\n", begin)].strip()

    def without(self, name: bytes) -> bytes:
        """The head's bytes without the header `name`, given in lower case."""
        at = self._lower.find(b"\r\n" + name + b":")
        return self.raw if at < 0 else self.raw[:at] + self.raw[self.raw.index(b"\r\n", at + 2) :]


class Interrupted(Exception):
    """The exchange ended without an answer to the client, and with it the connection."""


Hook = Callable[["Passage"], Awaitable[None]]


class Passage:
    """One exchange on its way; hooks may answer it, cut it or hold it."""

    def __init__(self, exchange: Exchange, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.exchange = exchange
        self.token = b""
        self.issued = b""
        self.answered = False
        self.after: Hook | None = None
        self._reader, self._writer = client

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Answer in the service's place."""
        lines = [f"HTTP/1.1 {status} Fault", *(f"{name}: {value}" for name, value in headers.items())]
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        self.exchange.status, self.exchange.response_body = status, body
        self.exchange.ended = monotonic()
        self.answered = True
        self._writer.write("\r\n".join(lines).encode() + body)

    def cut(self, *, reset: bool) -> None:
        """End the connection without an answer: with a reset, or closed in good order."""
        if reset:
            connection = self._writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        raise Interrupted

    async def hold(self) -> None:
        """Never answer; returns by Interrupted when the client gives up."""
        while await self._reader.read(1 << 16):
            pass
        raise Interrupted


@dataclass
class Hooks:
    """What the proxy asks: before a request is forwarded, and before its answer is."""

    before: Callable[[Passage], Hook | None]
    after: Callable[[Passage], Hook | None]


class Proxy:
    """Serves one client connection after another for the service at `(host, port)`."""

    def __init__(self, service: str, host: str, port: int, hooks: Hooks) -> None:
        self.service = service
        self._host, self._port, self._hooks = host, port, hooks
        self._connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass exchanges until either side closes."""
        self._connections += 1
        connection = self._connections
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        try:
            while True:
                request = Message(await reader.readuntil(b"\r\n\r\n"))
                if upstream is None or upstream[0].at_eof():
                    upstream = await asyncio.open_connection(self._host, self._port, limit=HEAD_LIMIT)
                method, _, rest = request.first.partition(" ")
                path, _, query = rest.rpartition(" ")[0].partition("?")
                exchange = Exchange(self.service, method, path, query, connection, monotonic())
                passage = Passage(exchange, (reader, writer))
                try:
                    if await self._pass(request, passage, (reader, writer), upstream):
                        return
                finally:
                    exchange.ended = monotonic()
        except (asyncio.IncompleteReadError, OSError, Interrupted):
            return  # one side closed, or was made to
        finally:
            for one in (writer, upstream[1] if upstream else None):
                if one is not None:
                    one.close()

    async def _pass(
        self,
        request: Message,
        passage: Passage,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> bool:
        """Pass one exchange; True when the connection must close after it."""
        exchange = passage.exchange
        passage.token = request.header(b"x-auth-token")
        head = request.raw
        if request.header(b"expect"):
            client[1].write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = request.without(b"expect")
        small = not request.chunked and (request.length or 0) <= KEPT_BODY
        if small and request.length:
            exchange.request_body = await client[0].readexactly(request.length)
        if hook := self._hooks.before(passage):
            if not small:
                exchange.request_body = await _copy(client[0], request, None)
            await hook(passage)
            if passage.answered:
                return request.closes
        upstream[1].write(head + exchange.request_body if small else head)
        if not small:
            exchange.request_body = await _copy(client[0], request, upstream[1])
        response = Message(await upstream[0].readuntil(b"\r\n\r\n"))
        exchange.effect = int(response.first.split(" ", 2)[1])
        passage.issued = response.header(b"x-subject-token")
        bodiless = exchange.method == "HEAD" or exchange.effect in BODILESS
        whole = not response.chunked and response.length is not None and response.length <= KEPT_BODY
        after = self._hooks.after(passage)
        if after or whole or bodiless:
            body = b"" if bodiless else await _copy(upstream[0], response, None)
            exchange.response_body = body
            if after:
                await after(passage)
                if passage.answered:
                    return request.closes
            # All is recorded before the client can know: it may look at the record at once.
            exchange.status, exchange.ended = exchange.effect, monotonic()
            client[1].write((response.raw if whole or bodiless else _with_length(response, body)) + body)
        else:
            exchange.status = exchange.effect
            client[1].write(response.raw)
            exchange.response_body = await _copy(upstream[0], response, client[1])
        await client[1].drain()
        return request.closes or response.closes


def _with_length(response: Message, body: bytes) -> bytes:
    """The head for a body that is known now; Interrupted when it was too long to be kept."""
    if len(body) == KEPT_BODY:
        raise Interrupted
    head = Message(response.without(b"transfer-encoding")).without(b"content-length")
    return head[:-2] + f"Content-Length: {len(body)}\r\n\r\n".encode()


async def _copy(reader: asyncio.StreamReader, message: Message, writer: asyncio.StreamWriter | None) -> bytes:
    """Read the body of `message`, write it to `writer` as it comes, and return its first MiB."""
    kept = bytearray()

    async def piece(data: bytes, *, content: bool = True) -> None:
        if content and len(kept) < KEPT_BODY:
            kept.extend(data[: KEPT_BODY - len(kept)])
        if writer is not None:
            writer.write(data)
            await writer.drain()

    if message.chunked:
        size = 1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            await piece(line, content=False)
            if size:
                await piece(await reader.readexactly(size))
            await piece(await reader.readuntil(b"\r\n"), content=False)
    else:
        left = message.length if message.length is not None else 0
        if message.length is None and message.first.startswith("HTTP/"):
            while data := await reader.read(1 << 16):
                await piece(data)
        while left:
            data = await reader.readexactly(min(left, 1 << 16))
            left -= len(data)
            await piece(data)
    return bytes(kept)
