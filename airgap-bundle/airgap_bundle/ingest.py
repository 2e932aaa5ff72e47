"""Take a bundle into a store: all checks in one pass, copying while hashing, resumable at any moment.

    done = ingest([Path("/media/usb")], Store.at("store", create=True), TrustState.load("trust"), clock=now)

     checks 1 to 9        the metadata, before anything else is read
     pass over the media  every blob is hashed while it is copied into a quarantine; all other bytes compared
     rebuild              frames unpacked, deltas applied, both hashed
     publish              contents -> objects/, then the release -> releases/, then the trust state

In this order, because each step promises what the one before has made true: a release in the store has all
its contents, and an accepted bundle is in the store. Crash anywhere and run it again: what is in quarantine
or in the store is not copied again, and the end is the same. A refused bundle leaves objects/, releases/ and
the trust state as they were; only roots that check 2 verified are kept, so that a revocation works at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from airgap_bundle import pipeline, spread
from airgap_bundle.container import lay_out
from airgap_bundle.content import DELTA, HELD, ZSTD, Entry
from airgap_bundle.errors import BundleRefused, WaitingForPerson
from airgap_bundle.incoming import Incoming
from airgap_bundle.metadata import CONTENT, RELEASE
from airgap_bundle.pieces import Outcome
from airgap_bundle.pipeline import SILENCE
from airgap_bundle.policy import Policy
from airgap_bundle.rebuild import Receiving
from airgap_bundle.report import Progress, Report
from airgap_bundle.sizes import words
from airgap_bundle.store import Kept, Store, StoreBroken, StoreFull, no_space
from airgap_bundle.trust import VerifiedBundle
from airgap_bundle.trust_state import TrustState
from airgap_bundle.verify import Opened, check_outcome, check_rebuilt, numbers, opened, told
from airgap_bundle.walk import framing_size, partial, walk

SPARE = 16 * 1024 * 1024
"""Bytes that are left free for folders and metadata."""


class VolumesToCome(WaitingForPerson):
    """All is well so far, and other volumes of the bundle are needed."""

    message = "{bundle} {sequence} is not complete: {volumes} of {all} still to come"
    hint = "Put in the next volume and run it again, in any order; what was read is kept."


class ContentsMissing(BundleRefused):
    """What did not travel is not in the store."""

    exit_code = 45
    message = (
        "{bundle} {sequence} stands on {bundle} {base}, and {count} of its contents are not in {folder}, "
        "such as {path}"
    )
    hint = "Ingest {bundle} {base} again with --repair, or ask for {sequence} as a full bundle."


@dataclass(frozen=True)
class Ingested:
    """What is in the store now."""

    verified: VerifiedBundle
    kept: Kept
    report: Report
    read: int
    """Bytes read from the media in this run."""
    added: int
    """Contents that were not in the store before."""
    here: int
    """Contents that were."""


def ingest(
    paths: Sequence[Path],
    store: Store,
    state: TrustState,
    *,
    clock: datetime | None = None,
    policy: Policy | None = None,
    report: Report | None = None,
    progress: Progress | None = None,
    repair: bool = False,
    silence: float = SILENCE,
) -> Ingested:
    """Verify the bundle at `paths` and take it in; the trust state is advanced at the end.

    `clock`: this machine's, by default. `report` collects the checks, also when they refuse. `progress` is
    told bytes done and in all. `repair`: contents that are here already are hashed again, and replaced when
    damaged. `silence`: seconds that the medium may give nothing.

    Raises BundleRefused; VolumesToCome: what is here is well and kept; StoreBusy, StoreFull, StoreBroken;
    InputProblem.
    """
    report = report or Report()
    with (
        store.locked(),
        opened(
            paths,
            state.root,
            state.past,
            clock or datetime.now(UTC),
            policy or Policy(),
            report,
            state.accept_roots,
        ) as bundle,
        _disk_errors(store),
    ):
        return _Ingest(bundle, store, state, report).run(progress, silence, repair)


class _Ingest:
    def __init__(self, bundle: Opened, store: Store, state: TrustState, report: Report) -> None:
        self.bundle, self.store, self.state, self.report = bundle, store, state, report
        self.verified = bundle.verified
        self.release = bundle.verified.release
        self.entries = {entry.sha256: entry for entry in reversed(self.verified.content.entries)}
        """One entry for each content: the first that names it."""

    def run(self, progress: Progress | None, silence: float, repair: bool) -> Ingested:
        if repair:
            self._drop_damaged()
        self.needed = {sha256: entry for sha256, entry in self.entries.items() if not self.store.has(sha256)}
        self._check_held()
        with Incoming(
            self.store, self.verified.release_sha256, self._target(RELEASE), self._target(CONTENT)
        ) as self.incoming:
            with Receiving(self.incoming, self.needed.values(), keep=True) as self.receiving:
                outcome = self._copy(progress, silence)
                self._rebuild()
            self._publish()
            kept = self.store.keep(self.release, self.verified.release_sha256, self.verified.metadata)
            # Crash here: the release is kept and not accepted; run again, it finds all and goes on.
            self.state.accept(self.verified)
            # Crash here: it is accepted, and a quarantine is left that the next run or a collection removes.
            self.incoming.remove()
        added = len(self.needed)
        return Ingested(self.verified, kept, self.report, outcome.size, added, here=len(self.entries) - added)

    def _check_held(self) -> None:
        """What did not travel must be here: else nothing is begun."""
        absent = [entry for entry in self.needed.values() if entry.way == HELD]
        absent += [
            entry
            for entry in self.needed.values()
            if any(base not in self.entries and not self.store.has(base) for base in entry.bases)
        ]
        if absent:
            problem = self._contents_missing(absent)
            self.report.failed(12, problem)
            raise problem

    def _contents_missing(self, absent: Sequence[Entry]) -> ContentsMissing:
        return ContentsMissing(
            bundle=self.release.bundle,
            sequence=self.release.sequence,
            base=self.release.base.sequence if self.release.base else "?",
            count=len(absent),
            folder=self.store.folder,
            path=absent[0].path,
        )

    def _to_copy(self) -> dict[str, int]:
        """The blobs that must come from the media, and their sizes."""
        there = self.incoming.there
        return {
            entry.blob: entry.blob_size
            for sha256, entry in self.needed.items()
            if sha256 not in there and entry.blob not in there
        }

    def _check_room(self, to_copy: Mapping[str, int]) -> None:
        there = self.incoming.there
        made = sum(
            e.size for sha256, e in self.needed.items() if e.way in (ZSTD, DELTA) and sha256 not in there
        )
        need, free = sum(to_copy.values()) + made + SPARE, self.store.room()
        if need > free:
            why = f"up to {words(need)} are needed, and {words(free)} are free"
            raise StoreFull(folder=self.store.folder, why=why)

    def _copy(self, progress: Progress | None, silence: float) -> Outcome:
        """Checks 10 and 11: the pass over the media. Raises VolumesToCome."""
        bundle, located = self.bundle, self.bundle.located
        to_copy = self._to_copy()
        self._check_room(to_copy)
        wanted = bundle.whole() & to_copy.keys()
        for sha256 in self.needed.keys() - self.incoming.there.keys():  # matched in an earlier run
            if (blob := self.needed[sha256].blob) in self.incoming.there:
                self.receiving.again(blob)
        total = framing_size(located) + sum(to_copy[sha256] for sha256 in wanted)
        with self.report.checking(11):
            outcome = pipeline.run(
                walk(located, self.verified.metadata, bundle.blobs, wanted),
                self.receiving,
                progress=told(progress, total),
                silence=silence,
            )
        if located.missing:
            spread.take(self.incoming, partial(located, to_copy.keys() - wanted, bundle.blobs), outcome)
        to_come = to_copy.keys() - wanted
        if whole := [bundle.blobs[sha256] for sha256 in spread.whole(self.incoming, bundle.blobs)]:
            for blob in spread.join(self.incoming, whole, outcome):
                self.receiving.again(blob)
                to_come = to_come - {blob}
        self.receiving.finish()
        check_outcome(bundle, outcome, self.report)
        if to_come:
            raise self._to_come(to_come)
        again = len(bundle.blobs) - outcome.blobs
        here = f"; {again} were here already and are not read again" if again else ""
        self.report.passed(11, f"{outcome.blobs} blobs match{here}")
        return outcome

    def _to_come(self, to_come: set[str]) -> VolumesToCome:
        """Which volumes hold what is missing. What is here is durable first: then they may be changed."""
        located = self.bundle.located
        about = located.volumes[0].layout.about
        blobs = list(self.bundle.blobs.values())
        layouts = lay_out(about.metadata, blobs, about.cuts, bundle=about.bundle, sequence=about.sequence)
        volumes = [
            layout.number
            for layout in layouts
            if layout.number in located.missing and any(piece[0] in to_come for piece in layout.pieces())
        ]
        os.fsync(self.incoming.descriptor)
        gone = numbers(volumes)
        verb = "is" if len(volumes) == 1 else "are"
        self.report.skipped(10, f"what is here is as predicted; {gone} {verb} still to come")
        self.report.skipped(11, f"what is here matches and is kept; {gone} {verb} still to come")
        self.report.skipped(12, "it waits for the volumes that are still to come")
        return VolumesToCome(
            bundle=self.release.bundle,
            sequence=self.release.sequence,
            volumes=f"{gone}",
            all=about.volumes,
        )

    def _rebuild(self) -> None:
        """Check 12. Raises NotAsSigned, DeltaMalformed, DeltaBaseMissing, ContentsMissing."""
        waiting = self.receiving.apply(
            [e for sha256, e in self.needed.items() if sha256 not in self.incoming.there],
            self._held,
            lambda size: None,
        )
        if waiting and not self.receiving.wrong:
            problem = self._contents_missing(waiting)
            self.report.failed(12, problem)
            raise problem
        check_rebuilt(self.receiving, self.verified.content.entries, waiting, self._held, self.report)

    def _held(self, sha256: str) -> Path | None:
        return self.incoming.held(sha256) or self.store.held(sha256)

    def _publish(self) -> None:
        """Give every content its name: each was verified and is durable already."""
        folder, there = os.fspath(self.incoming.folder), self.incoming.there
        self.store.publish((sha256, f"{folder}/{there[sha256]}/{sha256}") for sha256 in self.needed)

    def _drop_damaged(self) -> None:
        """Remove contents of this bundle that are here and are not what they were: they are copied anew."""
        here = ((sha256, entry.size) for sha256, entry in self.entries.items() if self.store.has(sha256))
        bad = self.store.damaged(here)
        for sha256 in bad:
            self.store.path(sha256).unlink()
        if bad:
            self.store.sync_objects({sha256[:2] for sha256 in bad})
            self.report.note(f"{len(bad)} contents in the store were damaged and are replaced.")

    def _target(self, kind: str) -> bytes:
        return next(data for name, data in self.verified.metadata.items() if name.endswith(f".{kind}"))


@contextmanager
def _disk_errors(store: Store) -> Iterator[None]:
    """What a disk says, in a sentence. The media's errors are damage and do not come here."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if no_space(error):
            raise StoreFull(folder=store.folder, why=why) from None
        raise StoreBroken(folder=store.folder, why=why) from None
