"""The floor: the plane's own requests, replayed raw, as fast as the services let them.

No retries, no client library, no database, no observation to think about: bytes out, bytes in, over pooled
connections, each request as soon as what it really needs is there (`dependencies.py`). What OpenStack
answers is new each time, so identifiers and tokens are exchanged for those of this replay. The statuses must
be those of the recording, or the replay counts for nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.dependencies import ID, Step
from tests.bench.recorded import service
from tests.lab.openstack.layout import HOST, SERVICES, Site

Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Pace:
    """How many requests may be under way: in all, and at one service."""

    at_once: int
    each: int = 99

    def __str__(self) -> str:
        return f"{self.each} a service" if self.each < self.at_once else f"{self.at_once} at once"


PACES = (Pace(1), Pace(2), Pace(4), Pace(8), Pace(16), Pace(16, 1), Pace(16, 2))


class Differs(Exception):
    """A replayed request was answered with another status than the recorded one."""


def replay(steps: Sequence[Step], lab: Site, pace: Pace) -> float:
    """Send all `steps` to `lab`; the CPU seconds of this process. Raises Differs."""
    began = time.process_time()
    asyncio.run(_Replay(steps, lab, pace).all())
    return time.process_time() - began


@dataclass
class _Replay:
    steps: Sequence[Step]
    lab: Site
    pace: Pace
    now: dict[str, str] = field(default_factory=dict)
    """Recorded identifier or token -> the one of this replay."""

    def __post_init__(self) -> None:
        self._waits = {step.index: len(step.after) for step in self.steps}
        self._then: dict[int, list[int]] = {}
        for step in self.steps:
            for before in step.after:
                self._then.setdefault(before, []).append(step.index)
        self._service = [service(step.recorded) for step in self.steps]
        self._ready: dict[str, list[int]] = {name: [] for name in SERVICES}
        self._busy = dict.fromkeys(SERVICES, 0)
        self._idle: dict[str, list[Pipe]] = {name: [] for name in SERVICES}

    async def all(self) -> None:
        """Send everything, the recorded order deciding among what is ready."""
        for step in self.steps:
            if not self._waits[step.index]:
                self._make_ready(step)
        under_way: set[asyncio.Task[Step]] = set()
        done = 0
        while done < len(self.steps):
            while len(under_way) < self.pace.at_once and (next_ := self._next()) is not None:
                self._busy[self._service[next_.index]] += 1
                under_way.add(asyncio.create_task(self._send(next_)))
            if not under_way:
                raise Differs("nothing is ready, and not all is done: the recording waits for itself")
            finished, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                step = task.result()
                done += 1
                self._busy[self._service[step.index]] -= 1
                for index in self._then.get(step.index, ()):
                    self._waits[index] -= 1
                    if not self._waits[index]:
                        self._make_ready(self.steps[index])
        for pipes in self._idle.values():
            for _, writer in pipes:
                writer.close()

    def _make_ready(self, step: Step) -> None:
        heapq.heappush(self._ready[self._service[step.index]], step.index)

    def _next(self) -> Step | None:
        """The earliest recorded of what is ready, at a service that may have another."""
        open_ = [q for name, q in self._ready.items() if q and self._busy[name] < self.pace.each]
        return self.steps[heapq.heappop(min(open_, key=lambda queue: queue[0]))] if open_ else None

    def _exchanged(self, text: str) -> str:
        return ID.sub(lambda found: self.now.get(found[0], found[0]), text)

    async def _send(self, step: Step) -> Step:
        at = self._service[step.index]
        pipes, port = self._idle[at], self.lab.service_port(at)
        reader, writer = pipes.pop() if pipes else await asyncio.open_connection(HOST, port, limit=1 << 20)
        one = step.recorded
        body = self._exchanged(one.body)
        headers = dict(one.headers)
        if token := headers.get("X-Auth-Token"):
            headers["X-Auth-Token"] = self.now.get(token, token)
        if step.logs_in:
            for old in re.findall(r'"token": *\{"id": *"([^"]+)"', body):
                body = body.replace(old, self.now.get(old, old))
        content = body.encode()
        lines = [f"{one.method} {self._exchanged(step.path)} HTTP/1.1", f"Host: {HOST}:{port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if content or one.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(content)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        status, subject, answer, closing = await _answer(reader)
        if closing:
            writer.close()
        else:
            pipes.append((reader, writer))
        if status != one.status:
            said = answer[:300].decode(errors="replace")
            raise Differs(f"{one.method} {step.path}: {status} in place of {one.status}: {said}")
        if one.token:
            self.now[one.token] = subject
        if step.gives:
            self._learn(json.loads(one.answer), json.loads(answer), step.gives)
        return step

    def _learn(self, old: Any, new: Any, wanted: frozenset[str]) -> None:
        """Pair the identifiers of two answers to the same request."""
        if isinstance(old, dict) and isinstance(new, dict):
            for key in old.keys() & new.keys():
                self._learn(old[key], new[key], wanted)
        elif isinstance(old, list) and isinstance(new, list):
            same: dict[object, list[Any]] = {}
            for item in new:
                same.setdefault(_known_as(item), []).append(item)
            for item in old:  # a list may be longer than the recorded one, and ordered otherwise
                if found := same.get(_known_as(item)):
                    self._learn(item, found.pop(0), wanted)
        elif isinstance(old, str) and isinstance(new, str):
            for a, b in zip(ID.findall(old), ID.findall(new), strict=False):
                if a in wanted:
                    self.now[a] = b


def _known_as(item: Any) -> object:
    """What tells one item of a list from the others in every replay; without it, its place does."""
    return tuple(item.get(key) for key in _TELLING) if isinstance(item, dict) else None


_TELLING = ("name", "description", "direction", "ethertype", "type", "interface")


async def _answer(reader: asyncio.StreamReader) -> tuple[int, str, bytes, bool]:
    """Status, X-Subject-Token and body of one response (RFC 9112), and whether the service closes now."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    status, body = int(first.split(" ")[1]), b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    elif status not in (204, 304):
        length = headers.get("content-length")
        body = await (reader.readexactly(int(length)) if length is not None else reader.read())
    return status, headers.get("x-subject-token", ""), body, headers.get("connection", "").lower() == "close"
