"""The plane's daemon, unchanged, with a record of every HTTP request it makes to OpenStack.

    python -m tests.bench.recorded FILE serve --site FOLDER     # as `controlplane serve`, recorded into FILE

One JSON object a line. With `RECORD_BODIES=1` also headers and bodies, from which `floor.py` replays; without
it, one line costs a few microseconds. Times are seconds of `time.monotonic`, which all processes share.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests

from controlplane.cli.main import main
from tests.lab.openstack.layout import BLOCK, FIRST_PORT, SERVICES

KEPT_HEADERS = ("X-Auth-Token", "Content-Type", "OpenStack-API-Version", "Accept")


@dataclass(frozen=True)
class Recorded:
    """One request, and what was answered; status 0 when nothing was."""

    method: str
    url: str
    status: int
    began: float
    ended: float
    thread: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    """Of the request, as text."""
    answer: str = ""
    """The body of the response, as text."""
    token: str = ""
    """X-Subject-Token of the response: a token that this request was given."""

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return self.ended - self.began


def shape(one: Recorded) -> str:
    """Method, service and path, `{id}` in place of each identifier; without the query.

    >>> shape(Recorded("GET", "http://127.0.0.1:25003/v2.0/networks?limit=1", 200, 0, 0, ""))
    'GET neutron /v2.0/networks'
    """
    parts = urlsplit(one.url)
    return f"{one.method} {service(one)} {_SHAPED.sub('{id}', parts.path)}"


_SHAPED = re.compile(r"(?<=/)(?:[0-9a-f]{32}|[0-9a-f-]{36})(?=/|$)")


def service(one: Recorded) -> str:
    """The service that a request went to, by its place in the lab's block of ports."""
    offset = ((urlsplit(one.url).port or 0) - FIRST_PORT) % BLOCK
    return next(service.name for service in SERVICES.values() if service.offset == offset)


def read(path: Path) -> list[Recorded]:
    """What was recorded so far, in the order in which the requests began."""
    lines = path.read_text().splitlines() if path.exists() else []
    return sorted((Recorded(**json.loads(line)) for line in lines), key=lambda one: one.began)


def record(into: IO[str], *, bodies: bool) -> None:
    """From now on, write what `requests` sends in this process into `into`."""
    send = requests.Session.send
    writing = threading.Lock()

    def recorded(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        began, response = time.monotonic(), None
        try:
            response = send(self, request, **options)
            return response
        finally:
            one = Recorded(
                str(request.method),
                str(request.url),
                response.status_code if response is not None else 0,
                began,
                time.monotonic(),
                threading.current_thread().name,
                **(_contents(request, response) if bodies else {}),
            )
            line = json.dumps(asdict(one))
            with writing:
                into.write(line + "\n")
                into.flush()

    requests.Session.send = recorded  # type: ignore[method-assign]


def _contents(request: requests.PreparedRequest, response: requests.Response | None) -> dict[str, Any]:
    body = request.body or b""
    return {
        "headers": {name: request.headers[name] for name in KEPT_HEADERS if name in request.headers},
        "body": body if isinstance(body, str) else body.decode(),
        "answer": response.text if response is not None else "",
        "token": response.headers.get("X-Subject-Token", "") if response is not None else "",
    }


if __name__ == "__main__":
    with open(sys.argv[1], "a") as file:
        record(file, bodies=bool(os.environ.get("RECORD_BODIES")))
        sys.exit(main(sys.argv[2:]))
