"""The cache of validated tokens, one for all threads of a service, that can be told to forget.

keystonemiddleware by itself keeps a validated token for five minutes, so that a revoked one would
still work. This cache does too, but empties when the lab's `revocations` file is touched: after
that, the next request with the token asks Keystone, and its 401 is a real one.
"""

from __future__ import annotations

import os
import time as clock
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class TokenMemory:
    """What keystonemiddleware expects of a memcached client: `get` and `set`."""

    def __init__(self, revocations: Path) -> None:
        self._revocations = os.fspath(revocations)
        self._touched = os.stat(self._revocations).st_mtime_ns
        self._kept: dict[str, tuple[float, object]] = {}

    def get(self, key: str) -> object | None:
        """The value kept under `key`, unless it is too old or tokens were revoked since."""
        touched = os.stat(self._revocations).st_mtime_ns
        if touched != self._touched:
            self._kept, self._touched = {}, touched
        until, value = self._kept.get(key, (0.0, None))
        return value if until > clock.monotonic() else None

    def set(self, key: str, value: object, time: int = 0) -> None:
        """Keep `value` for `time` seconds."""
        if len(self._kept) > 10_000:
            self._kept.clear()
        self._kept[key] = (clock.monotonic() + time, value)


def with_token_memory(application: Application, memory: TokenMemory, name: str) -> Application:
    """`application`, with `memory` under `name` in every request."""

    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ[name] = memory
        return application(environ, start_response)

    return call
