"""The wire: one pool of connections, told of every request, and what it means when no answer comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError


@dataclass(frozen=True)
class RequestSeen:
    """One HTTP request that went out; status 0 when no answer came."""

    service: str
    method: str
    path: str
    status: int
    seconds: float
    address: str


class Fault(Exception):
    """No definite answer. What was asked may have happened all the same."""

    def __init__(
        self, why: str, *, acted: bool, service: str, slow: bool = False, asked: float | None = None
    ) -> None:
        super().__init__(why)
        self.why, self.acted, self.slow, self.asked, self.service = why, acted, slow, asked, service


class Wire(requests.Session):
    """A requests session that tells of every request, those of authentication included."""

    def __init__(self, workers: int, seen: Callable[[requests.PreparedRequest, int, float], None]) -> None:
        super().__init__()
        self._seen = seen
        for scheme in ("http://", "https://"):
            self.mount(scheme, HTTPAdapter(pool_connections=16, pool_maxsize=workers * 2, max_retries=0))

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send, and tell of it, whether an answer comes or not."""
        started, status = time.perf_counter(), 0
        try:
            response = super().send(request, **options)
            status = response.status_code
        finally:
            self._seen(request, status, time.perf_counter() - started)
        return response


def never_sent(error: BaseException | None) -> bool:
    """Whether the connection was never made, so that nothing can have happened."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        inner = [
            error,
            *(a for a in error.args if isinstance(a, BaseException)),
            getattr(error, "reason", None),
        ]
        if any(isinstance(e, NewConnectionError | ConnectTimeoutError) for e in inner):
            return True
        error = error.__cause__ or error.__context__
        if isinstance(error, requests.RequestException) and error.args:
            cause = error.args[0]
            if isinstance(getattr(cause, "reason", cause), NewConnectionError | ConnectTimeoutError):
                return True
    return False
