"""Verify a bundle where it lies: the twelve checks of SPEC section 13, and nothing is written.

    report = verify([Path("/media/usb")], TrustedRoot.read(path), clock=now)
    print(report.to_text())

An auditor has files and a root; who has a trust state gives its past too (check 9), who has a store gives it
(check 12 of deltas). Everything is read once. What has to be unpacked is unpacked from a copy in a temporary
folder, because a medium may give other bytes the second time; contents are hashed and not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from airgap_bundle import pipeline
from airgap_bundle.content import DELTA, HELD, ZSTD, Blob, Entry
from airgap_bundle.errors import BundleRefused
from airgap_bundle.incoming import Quarantine
from airgap_bundle.medium import Located, open_medium
from airgap_bundle.metadata_source import Damaged, Patient
from airgap_bundle.order import Past
from airgap_bundle.pieces import Outcome
from airgap_bundle.pipeline import SILENCE
from airgap_bundle.policy import Policy
from airgap_bundle.rebuild import Receiving, bases_missing
from airgap_bundle.report import Progress, Report
from airgap_bundle.store import Store
from airgap_bundle.trust import VerifiedBundle, open_bundle
from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.walk import framing_size, here, walk


def verify(
    paths: Sequence[Path],
    root: TrustedRoot,
    *,
    clock: datetime,
    past: Past | None = None,
    policy: Policy | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    silence: float = SILENCE,
) -> Report:
    """Make all checks of the bundle at `paths`: a folder, a container, or some of its volumes.

    `past`: what was accepted before, from a trust state. `progress` is told bytes done and in all. `silence`:
    seconds that the medium may give nothing.

    A refusal is in the report. Raises InputProblem: there is no bundle; OSError: no room for temporary files.
    """
    report = Report()
    try:
        with opened(paths, root, past or Past.unknown(), clock, policy or Policy(), report) as bundle:
            _check_blobs(bundle, report, store, progress, silence)
    except BundleRefused:
        if report.problem is None:  # a refusal that no check made would look like an acceptance
            raise
    return report


@dataclass(frozen=True)
class Opened:
    """A bundle whose metadata passed checks 1 to 9, and where its blobs are."""

    verified: VerifiedBundle
    located: Located
    blobs: dict[str, Blob]
    """By digest, in the medium's order."""

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.verified.release.bundle} {self.verified.release.sequence}"

    def whole(self) -> set[str]:
        """The blobs that are here from their first byte to their last."""
        found = here(self.located, self.blobs)
        return {sha256 for sha256, size in found.items() if size == self.blobs[sha256].size}

    def path_of(self, blob: str) -> str:
        """The path of an entry that needs this blob."""
        return next((entry.path for entry in self.verified.content.entries if entry.blob == blob), blob)


@contextmanager
def opened(
    paths: Sequence[Path],
    root: TrustedRoot,
    past: Past,
    clock: datetime,
    policy: Policy,
    report: Report,
    on_roots: Callable[[Sequence[bytes]], object] = lambda roots: None,
) -> Iterator[Opened]:
    """Checks 1 to 9; closes the medium at the end. Raises BundleRefused, InputProblem, OSError."""
    with report.checking(1):
        medium = open_medium(paths)
    with medium:
        report.passed(1, medium.summary)
        verified = open_bundle(
            Patient(medium.metadata),
            root,
            past,
            clock=clock,
            policy=policy,
            report=report,
            on_roots=lambda roots: void(on_roots(roots)),
        )
        # A folder's names are judged (1); a container's length and VOLUME.json are predicted (10).
        with report.checking(1 if medium.folder is not None else 10):
            located = medium.locate(verified)
        yield Opened(verified, located, verified.content.blobs)


def void(_: object) -> None:
    """Take a value and give none."""


def _check_blobs(
    bundle: Opened, report: Report, store: Store | None, progress: Progress | None, silence: float
) -> None:
    entries = bundle.verified.content.entries
    wanted = bundle.whole()
    total = framing_size(bundle.located) + sum(bundle.blobs[sha256].size for sha256 in wanted)
    with (
        tempfile.TemporaryDirectory(prefix="airgap-bundle-") as folder,
        Quarantine(Path(folder), durable=False) as quarantine,
        Receiving(quarantine, entries, keep=False) as receiving,
    ):
        with report.checking(11):
            outcome = pipeline.run(
                walk(bundle.located, bundle.verified.metadata, bundle.blobs, wanted),
                receiving,
                hashers=2,
                progress=told(progress, total),
                silence=silence,
            )
        receiving.finish()
        check_outcome(bundle, outcome, report)
        missing = describe_missing(bundle.located)
        if missing:
            report.skipped(10, f"what is here is as predicted; {missing}")
            report.skipped(11, f"{outcome.blobs} of {len(bundle.blobs)} blobs are here and match; {missing}")
            report.skipped(12, "it waits for the blobs that are not here")
            return

        def held(sha256: str) -> Path | None:
            return quarantine.held(sha256) or (store.held(sha256) if store else None)

        waiting = receiving.apply(entries, held, lambda size: None)
        check_rebuilt(receiving, entries, waiting, held, report)


def check_outcome(bundle: Opened, outcome: Outcome, report: Report) -> None:
    """Checks 10 and 11 of what was read. Raises Damaged: the lower number's, with both in the report."""
    volumes = len(bundle.located.volumes)
    if volumes:
        report.passed(10, f"every byte between the blobs is as predicted in {_volumes(volumes)}")
    else:
        report.passed(10, "a folder has no framing")
    report.passed(11, f"{outcome.blobs} blobs of {outcome.size} bytes match")
    problems: list[tuple[int, Damaged]] = []
    framing = [damage for damage in outcome.damages if not damage.blob]
    if framing:
        more = _more(outcome.damaged_framing, "other place", "other places")
        first = min(framing, key=lambda damage: (damage.path, damage.at))
        why = f"at byte {first.at} {first.why}{more}"
        problems.append((10, Damaged(what=first.path, why=why)))
    if outcome.damaged_blobs:
        first = min((d for d in outcome.damages if d.blob), key=lambda damage: (damage.path, damage.at))
        more = _more(outcome.damaged_blobs, "other blob", "other blobs")
        where = f" (from byte {first.at} on)" if first.at else ""
        why = f"{first.why}, in {first.path}{where}{more}"
        problems.append((11, Damaged(what=f"the blob of {bundle.path_of(first.blob)}", why=why)))
    if outcome.given_up:
        why = "its device fails again and again, and the rest was not tried"
        problems.append((11, Damaged(what="the medium", why=why)))
    for number, problem in problems:
        report.failed(number, problem)
    if problems:
        raise problems[0][1]


def check_rebuilt(
    receiving: Receiving,
    entries: Sequence[Entry],
    waiting: Sequence[Entry],
    held: Callable[[str], Path | None],
    report: Report,
) -> None:
    """Check 12. Raises NotAsSigned, DeltaMalformed, DeltaBaseMissing."""
    if receiving.wrong:
        report.failed(12, receiving.wrong[0])
        raise receiving.wrong[0]
    absent = [entry for entry in entries if entry.way == HELD and held(entry.sha256) is None]
    if waiting:
        bases = bases_missing(waiting, held)
        report.skipped(
            12,
            f"{receiving.rebuilt} contents come out as signed; {len(waiting)} stand on contents that are not "
            f"here, such as {bases[0]}",
        )
    elif absent:
        report.skipped(
            12,
            f"{receiving.rebuilt} contents come out as signed; {len(absent)} did not travel and are not "
            f"here, such as {absent[0].path}",
        )
    elif any(entry.way in (ZSTD, DELTA) for entry in entries):
        report.passed(12, f"{receiving.rebuilt} contents come out as signed")
    else:
        report.passed(12, "every blob is the content itself")


def describe_missing(located: Located) -> str:
    """Which volumes are not here, as a clause; empty when none is missing."""
    gone = located.missing
    if not gone:
        return ""
    return f"{numbers(gone)} {'is' if len(gone) == 1 else 'are'} not here"


def numbers(volumes: Collection[int]) -> str:
    """`volume 2`, `volumes 1, 3`."""
    listed = ", ".join(map(str, sorted(volumes)))
    return f"volume{'s' * (len(volumes) > 1)} {listed}"


def told(progress: Progress | None, total: int) -> Callable[[int], None] | None:
    """`progress` for who tells only what is done."""
    if progress is None:
        return None
    tell = progress
    return lambda done: tell(min(done, total), total)


def _more(count: int, one: str, many: str) -> str:
    rest = count - 1
    return f"; so are {rest} {one if rest == 1 else many}" if rest else ""


def _volumes(count: int) -> str:
    return "the container" if count == 1 else f"{count} volumes"
