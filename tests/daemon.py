"""A real daemon on a real Unix socket, and requests to it that are exactly the bytes we choose."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airgap_bundle.keys import PrivateKey
from controlplane.access.signing import SOCKET_AUTHORITY, Unsigned, signed_headers

READY_SECONDS = 60
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    document: dict[str, Any]
    text: str

    @property
    def kind(self) -> str:
        return str(self.document.get("type", ""))


@dataclass(frozen=True)
class Request:
    """A request as it goes on the wire."""

    method: str
    target: str
    headers: Headers = field(default_factory=tuple)
    body: bytes = b""

    def with_(self, name: str, value: str) -> Request:
        """The same with one header changed."""
        return replace(self, headers=[(n, value if n == name else v) for n, v in self.headers])

    def plus(self, *lines: tuple[str, str]) -> Request:
        """The same with header lines more."""
        return replace(self, headers=[*self.headers, *lines])

    def header(self, name: str) -> str:
        return next(v for n, v in self.headers if n == name)

    def wire(self) -> bytes:
        """The bytes."""
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in self.headers):
            lines.append(f"Content-Length: {len(self.body)}")
        if self.body:
            lines.append("Content-Type: application/json")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + self.body


def signed(
    key: PrivateKey,
    method: str,
    target: str,
    body: bytes = b"",
    *,
    offset: float = 0,
    authority: str = SOCKET_AUTHORITY,
) -> Request:
    """A rightly signed request; `offset` moves its clock, in seconds."""
    unsigned = Unsigned(method, authority, target, body)
    headers = signed_headers(unsigned, key, int(time.time() + offset))
    return Request(method, target, tuple(headers.items()), body)


class Daemon:
    """`controlplane serve` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.socket = self.site / "plane.sock"
        self.key = PrivateKey.generate("anna@zone")
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "daemon.log"

    def init(self, *extra: str) -> None:
        """Make the site, anna its first operator."""
        clouds = self.folder / "clouds.yaml"
        login = {"auth_url": "http://127.0.0.1:9/v3", "username": "plane", "password": "none"}
        clouds.write_text(json.dumps({"clouds": {"lab": {"auth": {**login, "project_name": "plane"}}}}))
        self.run(
            "init", "--cloud", "lab", "--clouds", str(clouds), "--operator", self.key.public.line, *extra
        )

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "controlplane.cli.main", *arguments, "--site", str(self.site)]

    def run(self, *arguments: str) -> str:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments), check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        ).stdout

    def start(self, *arguments: str, **environ: str) -> Daemon:
        """Start, and wait until it says that it is ready."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            command, environment = self.command("serve", *arguments), {**os.environ, **environ}
            self._process = subprocess.Popen(command, stderr=log, stdout=log, env=environment)
        deadline = time.monotonic() + READY_SECONDS
        while "\nready: site" not in "\n" + (said := self.log.read_bytes()[begin:].decode()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the daemon did not start: {said}")
            time.sleep(0.02)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)

    def stop_if_running(self) -> None:
        """For the end of a test that may have failed anywhere."""
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def send(self, request: Request) -> Answer:
        """Send exactly these bytes on a connection of their own."""
        return send(self.socket, request)

    def raw(self, data: bytes) -> bytes:
        """Send bytes that need not be HTTP; gives all that comes back."""
        return exchange(self.socket, data)

    def enrol(self, name: str, *roles: str) -> PrivateKey:
        """A new operator."""
        key = PrivateKey.generate(f"{name}@zone")
        body = json.dumps({"name": name, "roles": roles, "public_key": key.public.line}).encode()
        answer = self.send(signed(self.key, "POST", "/v1/operators", body))
        assert answer.status == 201, answer
        return key

    def contents(self, ignore: Iterable[str] = ("nonce",)) -> dict[str, list[Any]]:
        """All rows of all tables, but those of the nonces."""
        with sqlite3.connect(f"file:{self.site}/plane.db?mode=ro", uri=True) as database:
            tables = [row[0] for row in database.execute("select name from sqlite_master where type='table'")]
            return {
                table: database.execute(f'select * from "{table}"').fetchall()
                for table in tables
                if table not in ignore and not table.startswith("sqlite_")
            }

    def nonces(self) -> int:
        """How many are remembered."""
        with sqlite3.connect(f"file:{self.site}/plane.db?mode=ro", uri=True) as database:
            return int(database.execute("select count(*) from nonce").fetchone()[0])


def send(path: Path, request: Request) -> Answer:
    """Send a request and read its answer."""
    head, _, body = exchange(path, request.wire()).partition(b"\r\n\r\n")
    found = re.match(rb"HTTP/1\.1 (\d{3})", head)
    assert found, head
    if b"transfer-encoding: chunked" in head.lower():
        body = b"".join(re.findall(rb"[0-9a-f]+\r\n(.*?)\r\n", body, re.S))
    try:
        document = json.loads(body)
    except ValueError:
        document = {}
    return Answer(
        int(found[1]), document if isinstance(document, dict) else {}, body.decode("utf-8", "replace")
    )


def exchange(path: Path, data: bytes) -> bytes:
    """Send bytes, read until the end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(os.fspath(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may refuse before it read all
            connection.sendall(data)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
        return received
