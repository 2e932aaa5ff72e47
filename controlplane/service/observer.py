"""Looking at the cloud once for everybody who asks at the same time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.ports import Cloud


class Observer:
    """Merges looks: while one is under way, all who ask wait and share the next.

    Whoever asks gets a listing that began after the question, so it shows everything the asker has done.
    Twenty tenants that are applied together cost two or three looks, not sixty.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._next: tuple[Scope, Future[Listing]] | None = None
        self._looking = False

    def look(self, scope: Scope, wait: float = 0.0) -> Listing:
        """A listing of at least `scope`, begun after `wait` seconds in which others may join.

        Raises CloudUnavailable, CloudRefused.
        """
        with self._lock:
            if self._next is None:
                self._next = (scope, Future())
            else:
                self._next = (self._next[0] | scope, self._next[1])
            future = self._next[1]
            lead = not self._looking
            if lead:
                self._looking = True
        if lead:
            time.sleep(wait)
            self._serve(future)
        return future.result()

    def _serve(self, mine: Future[Listing]) -> None:
        """Look for whoever waits until the asker's own answer is there, then hand over."""
        while True:
            with self._lock:
                if self._next is None:
                    self._looking = False
                    return
                if mine.done():
                    threading.Thread(target=self._serve, args=(self._next[1],), daemon=True).start()
                    return
                scope, future = self._next
                self._next = None
            try:
                future.set_result(self._cloud.listing(scope))
            except BaseException as problem:  # everybody who waits hears of it
                future.set_exception(problem)
