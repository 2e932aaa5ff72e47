"""A client of the plane: signs each request with the operator's key and gives back the plane's JSON.

Synchronous and of the standard library, over a Unix socket or TCP with TLS, one connection kept open. It is
for one thread; make another Client for another.

    with Client() as plane:
        for tenant in plane.get("/v1/tenants"):
            print(tenant["name"])
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from airgap_bundle.keys import Passphrase, PrivateKey
from controlplane import places
from controlplane.access.signing import SOCKET_AUTHORITY, Unsigned, signed_headers
from controlplane.client.refusal import Refusal, ReplyLost, ReplyUnreadable, Unreachable

SECONDS = 60.0
"""How long the plane may be silent before a request is given up."""
EVENT_SECONDS = 60.0
"""How long a stream of events may be silent; the plane sends a comment more often than that."""
SAFE = frozenset({"GET", "HEAD"})

Query = Mapping[str, str | int | Sequence[str] | None]


@dataclass(frozen=True)
class Event:
    """One server-sent event (WHATWG HTML, section 9.2)."""

    name: str
    data: Any
    """The decoded JSON of its data."""
    id: str = ""


class Client:
    """A signed connection to one plane."""

    def __init__(
        self,
        *,
        site: str | None = None,
        socket_path: Path | str | None = None,
        url: str | None = None,
        ca_file: Path | str | None = None,
        key: PrivateKey | Path | str | None = None,
        passphrase: Passphrase | None = None,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Nothing is opened yet: neither the connection nor the key.

        `url`, such as `https://plane.zone:8443`, takes the place of the socket; `ca_file` is a PEM file of
        the authority that its certificate must come from. `key` is a key or its file. `seconds` is how long
        the plane may be silent.
        """
        self._url, self._ca_file = url, ca_file
        self._socket = Path(socket_path) if socket_path is not None else None
        self._site = site
        self._key_or_path = key
        self._passphrase = passphrase
        self._seconds = seconds
        self._clock = clock
        self._connection: HTTPConnection | None = None
        self._key: PrivateKey | None = key if isinstance(key, PrivateKey) else None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str, query: Query | None = None) -> Any:
        """Read. Safe to repeat, so it is, once, when a connection breaks.

        `path` is percent-encoded (see `segment`). Gives the decoded JSON.

        Raises Refusal, Unreachable, ReplyUnreadable, KeyProblem.
        """
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, query: Query | None = None) -> Any:
        """Change something; `body` is made JSON. Never repeated by itself.

        Raises Refusal, Unreachable, ReplyLost, ReplyUnreadable, KeyProblem.
        """
        return self.request("POST", path, body, query)

    def put(self, path: str, body: Any = None, query: Query | None = None) -> Any:
        """As `post`."""
        return self.request("PUT", path, body, query)

    def delete(self, path: str, query: Query | None = None) -> Any:
        """As `post`."""
        return self.request("DELETE", path, query=query)

    def request(self, method: str, path: str, body: Any = None, query: Query | None = None) -> Any:
        """One request; gives the decoded JSON of its answer, None when it has none.

        Raises Refusal, Unreachable, ReplyLost, ReplyUnreadable, KeyProblem.
        """
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        response = self._exchange(method, target(path, query), content)
        try:
            data = response.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise ReplyLost(where=self.where, why=reason(error)) from error
        return self._decoded(response, data)

    def events(self, path: str, query: Query | None = None) -> Iterator[Event]:
        """Server-sent events, until the plane ends the stream.

        A connection that breaks raises Unreachable: ask again from the last `Event.id` you have.

        Raises Refusal, Unreachable, ReplyUnreadable, KeyProblem.
        """
        response = self._exchange("GET", target(path, query), b"", accept="text/event-stream")
        if response.status != 200 or "text/event-stream" not in response.headers.get("Content-Type", ""):
            answer = self._decoded(response, response.read())
            raise ReplyUnreadable(where=self.where, why=f"no events but {type(answer).__name__}")
        connection = self._connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(EVENT_SECONDS)
        try:
            yield from decode_events(iter(response.readline, b""))
            if not whole(response):
                raise IncompleteRead(b"")
        except (OSError, HTTPException) as error:
            remedy = "The work goes on without you; follow it again."
            raise Unreachable(where=self.where, why=reason(error), remedy=remedy) from error
        except ValueError as error:
            raise ReplyUnreadable(where=self.where, why=str(error)) from error
        finally:
            self.close()  # a stream that was left early cannot be used again

    @property
    def key(self) -> PrivateKey:
        """The operator's key, loaded when first needed. Raises KeyProblem."""
        if self._key is None:
            path = self._key_or_path or places.key_path()
            assert not isinstance(path, PrivateKey)
            self._key = PrivateKey.load(path, self._passphrase)
        return self._key

    @property
    def where(self) -> str:
        """What it connects to, for people."""
        return self._url or str(self.socket_path)

    @property
    def socket_path(self) -> Path:
        """The Unix socket."""
        if self._socket is None:
            self._socket = places.socket_path(self._site)
        return self._socket

    def _exchange(self, method: str, request_target: str, content: bytes, accept: str = "") -> HTTPResponse:
        """Send and give the answer's head; a safe request is sent once more over a fresh connection."""
        self._connected()  # a passphrase is asked for only when there is a plane to talk to,
        self.key  # noqa: B018  and before the request is signed: typing takes time
        again = True
        while True:
            connection, reused = self._connected()
            try:
                self._send(connection, method, request_target, content, accept or "application/json")
                return connection.getresponse()
            except (OSError, HTTPException) as error:
                self.close()
                # Signed anew, a request is a new one. A change is sent again only if it cannot have arrived:
                # the kept connection turned out closed while it was being written.
                unsent = reused and isinstance(error, BrokenPipeError)
                if again and (unsent or (method in SAFE and not isinstance(error, TimeoutError))):
                    again = False
                    continue
                if method in SAFE:
                    remedy = "Ask again; the daemon's log may say more."
                    raise Unreachable(where=self.where, why=reason(error), remedy=remedy) from error
                raise ReplyLost(where=self.where, why=reason(error)) from error

    def _send(
        self, connection: HTTPConnection, method: str, request_target: str, content: bytes, accept: str
    ) -> None:
        """Sign the request, now, and write it."""
        connection.putrequest(method, request_target, skip_host=True, skip_accept_encoding=True)
        unsigned = Unsigned(method, self.authority, request_target, content)
        for name, value in signed_headers(unsigned, self.key, int(self._clock())).items():
            connection.putheader(name, value)
        connection.putheader("Accept", accept)
        if content:
            connection.putheader("Content-Type", "application/json")
        if content or method not in SAFE:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)

    def _connected(self) -> tuple[HTTPConnection, bool]:
        """An open connection, and whether it was used before. Raises Unreachable."""
        if self._connection is not None and still_open(self._connection):
            return self._connection, True
        self.close()
        connection = self._new_connection()
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(where=self.where, why=reason(error), remedy=self._remedy(error)) from error
        self._connection = connection
        return connection, False

    def _new_connection(self) -> HTTPConnection:
        if self._url is None:
            return UnixConnection(self.socket_path, self._seconds)
        scheme, _, rest = self._url.partition("://")
        address = rest.rstrip("/")
        if scheme == "http":
            return HTTPConnection(address, timeout=self._seconds)
        import ssl
        from http.client import HTTPSConnection

        cafile = None if self._ca_file is None else os.fspath(self._ca_file)
        context = ssl.create_default_context(cafile=cafile)
        return HTTPSConnection(address, timeout=self._seconds, context=context)

    @property
    def authority(self) -> str:
        """The Host of requests, and what they are signed for (RFC 9421 section 2.2.3)."""
        if self._url is None:
            return SOCKET_AUTHORITY
        scheme, _, rest = self._url.partition("://")
        authority = rest.rstrip("/").lower()
        return authority.removesuffix(":443") if scheme == "https" else authority

    def _remedy(self, error: OSError) -> str:
        if isinstance(error, PermissionError):
            return "You may not open the socket: ask to be in its group (ls -l shows it)."
        if self._url is None and isinstance(error, FileNotFoundError | ConnectionRefusedError):
            return "Start it with `controlplane serve`, or say where it is with --socket or --site."
        return "Check that the plane runs and that the address is right."

    def _decoded(self, response: HTTPResponse, data: bytes) -> Any:
        kind = response.headers.get("Content-Type", "")
        if response.status == 204 or (response.status < 300 and not data):
            return None
        if "json" not in kind:
            raise ReplyUnreadable(where=self.where, why=f"HTTP {response.status} with {kind or 'no type'}")
        try:
            document = json.loads(data)
        except ValueError:
            raise ReplyUnreadable(where=self.where, why=f"HTTP {response.status}, broken JSON") from None
        if response.status < 300:
            return document
        raise Refusal(document if isinstance(document, dict) else {}, response.status)


class UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__(SOCKET_AUTHORITY, timeout=seconds)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def still_open(connection: HTTPConnection) -> bool:
    """Whether a kept connection can be used: readable before any request means that it was closed."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def target(path: str, query: Query | None) -> str:
    """The request-target: a percent-encoded path, and the query of what is not None."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True, quote_via=quote)}" if given else path


def segment(name: str) -> str:
    """A name as one segment of a path."""
    return quote(name, safe="")


def reason(error: BaseException) -> str:
    """Why, in a few words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def whole(response: HTTPResponse) -> bool:
    """Whether a body read by lines came whole: `readline` takes the end of the connection for its end.

    A body with a length has none left; a chunked one stands behind its last chunk.
    """
    return not response.length and not (
        response.chunked and getattr(response, "chunk_left", None) is not None
    )


def decode_events(lines: Iterator[bytes]) -> Iterator[Event]:
    """Events from the lines of a stream (WHATWG HTML, section 9.2.6). Raises ValueError for data not JSON."""
    name, identity = "message", ""
    data: list[str] = []
    for raw in lines:
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            if data:
                yield Event(name, json.loads("\n".join(data)), identity)
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            identity = value
