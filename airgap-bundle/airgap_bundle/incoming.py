"""The quarantine of one ingest: what has matched so far waits here until all of it is there.

    STORE/incoming/<release>/release.json       what is ingested,
    STORE/incoming/<release>/content.ndjson     and what it needs: collection leaves that alone
    STORE/incoming/<release>/<sha256>           a blob or content that matched, durable
    STORE/incoming/<release>/batch-…/<sha256>   small ones
    STORE/incoming/<release>/<sha256>.partial   on its way when we crashed, and
    STORE/incoming/<release>/batch-….partial/   so too: removed when the ingest goes on
    STORE/incoming/<release>/<sha256>.pieces/   pieces of a blob that other volumes continue; see `spread`

A name that is not partial was verified and is durable. So an ingest that was killed at any moment goes on
where it was: what has a name here is not copied again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from airgap_bundle.durable import sync_folder, write_durably
from airgap_bundle.keeping import Batch, NewFile, Ways
from airgap_bundle.pieces import Keep
from airgap_bundle.pipeline import SMALL_WORKERS
from airgap_bundle.store import Store, remove

RELEASE, CONTENT = "release.json", "content.ndjson"
_SHA = re.compile(r"[0-9a-f]{64}")
_BATCH = re.compile(r"batch-[0-9a-f]{16}")
_PIECES = re.compile(r"[0-9a-f]{64}\.pieces")
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Quarantine:
    """A folder in which verified files get their names; a `Sink` of the pipeline."""

    def __init__(self, folder: Path, *, durable: bool = True, ways: Ways | None = None) -> None:
        """`folder` is there. `durable`: False when nothing of it is needed after a crash. Raises OSError."""
        self.folder, self._durable = folder, durable
        self._descriptor = os.open(folder, FOLDER_FLAGS)
        self._ways = ways or Ways()
        self._batches: list[Batch | None] = [None] * (SMALL_WORKERS + 1)
        self._added: list[list[str]] = [[] for _ in self._batches]
        self.there: dict[str, str] = {}
        """What is durable here: digest, and the batch that it is in or an empty text."""

    @property
    def descriptor(self) -> int:
        """The open folder."""
        return self._descriptor

    def held(self, sha256: str) -> Path | None:
        """The file of a blob or content that is here, or None."""
        batch = self.there.get(sha256)
        return None if batch is None else self.folder / batch / sha256

    def begin(self, blob: str, size: int) -> Keep | None:
        """See `pieces.Sink`."""
        return self.new(blob, size)

    def new(
        self, name: str, size: int, *, durable: bool = True, tell: Callable[[str], None] | None = None
    ) -> NewFile:
        """A place for a large file. When it has settled, `tell` is told, and it is `there` if it is durable.

        Raises OSError.
        """

        def settled(name: str) -> None:
            if durable:
                self.there[name] = ""
            if tell is not None:
                tell(name)

        durably = durable and self._durable
        return NewFile(self._descriptor, name, size, self._ways, durable=durably, tell=settled)

    def small(self, worker: int, blob: str, data: memoryview | bytes) -> None:
        """See `pieces.Sink`."""
        batch = self._batches[worker]
        if batch is None:
            batch = self._batches[worker] = Batch(self._descriptor, durable=self._durable)
        batch.add(blob, data)
        self._added[worker].append(blob)
        if batch.full:
            self.flush(worker)

    def flush(self, worker: int) -> None:
        """See `pieces.Sink`."""
        batch, self._batches[worker] = self._batches[worker], None
        if batch is not None:
            name = batch.settle()
            self.there.update(dict.fromkeys(self._added[worker], name))
            self._added[worker].clear()

    def drop(self, sha256: str) -> None:
        """Remove a file that is not needed any more. Raises OSError."""
        if (path := self.held(sha256)) is not None:
            del self.there[sha256]
            path.unlink()

    def close(self) -> None:
        """Close what is open; what has not settled stays partial."""
        for batch in self._batches:
            if batch is not None:
                batch.close()
        self._batches = [None] * len(self._batches)
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Incoming(Quarantine):
    """The quarantine of a release in a store. The caller holds the store's lock until it is closed."""

    def __init__(self, store: Store, release: str, manifest: bytes, content: bytes) -> None:
        """`release`: SHA-256 of release.json, which is `manifest`. Removes what a crash left half done.

        Raises OSError.
        """
        folder = store.folder / "incoming" / release
        if not (folder / RELEASE).exists():  # written last: with it, the folder says what it needs
            folder.mkdir(exist_ok=True)
            write_durably(folder / CONTENT, content, 0o444)
            write_durably(folder / RELEASE, manifest, 0o444)
            sync_folder(folder.parent)
        super().__init__(folder)
        for name in os.listdir(self._descriptor):
            if _SHA.fullmatch(name):
                self.there[name] = ""
            elif _BATCH.fullmatch(name):
                self.there.update((one, name) for one in os.listdir(folder / name) if _SHA.fullmatch(one))
            elif name not in (RELEASE, CONTENT) and not _PIECES.fullmatch(name):
                remove(folder / name)

    def remove(self) -> None:
        """Remove the whole quarantine. Crash here: leftovers, which the next ingest or collection removes."""
        # First what says what it is: without it, the folder is a leftover to everybody.
        with suppress(FileNotFoundError):
            os.unlink(self.folder / RELEASE)
        remove(self.folder)
        sync_folder(self.folder.parent)
