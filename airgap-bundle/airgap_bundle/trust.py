"""Open a bundle against a trusted root: checks 2 to 9 of SPEC section 13.

    verified = open_bundle(source, TrustedRoot.read(path), past, clock=now, policy=Policy(), report=Report())
    verified.release.sequence, verified.content.entries, verified.signers

Pure but for reading the source: the clock, the past and the site's policy are arguments, and nothing is
written. What is read is bounded, and interpreted only after the check that vouches for it; python-tuf makes
TUF's checks (`workflow.py`), and ours come on top. What is trusted afterwards is the caller's to keep
(`trust_state.py`): the roots at once, the order when the content is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]

from airgap_bundle import attest, metadata
from airgap_bundle import content as contents
from airgap_bundle.canonical import malformed
from airgap_bundle.content import Content
from airgap_bundle.metadata import CONTENT, RELEASE, SIGNED_SHA256, file_name, target_name
from airgap_bundle.metadata_source import Damaged, MetadataSource
from airgap_bundle.order import Past, after_rotation, check_order
from airgap_bundle.policy import TWO_PEOPLE, Policy
from airgap_bundle.quorum import quorum
from airgap_bundle.refusals import (
    AlreadyHere,
    AnotherRoot,
    Expired,
    ExpiredNeedsTwo,
    RolledBack,
    RootHole,
    RootTooOld,
    Stray,
    plain,
)
from airgap_bundle.release import Release, moment, read_moment
from airgap_bundle.report import Report, Signer
from airgap_bundle.trusted_root import LONG_AGO, NotARoot, TrustedRoot
from airgap_bundle.workflow import Workflow

__all__ = ["NotARoot", "Past", "TrustedRoot", "VerifiedBundle", "open_bundle", "reference_time"]

BUILD_DATE = datetime(2026, 11, 23, tzinfo=UTC)
"""When this reader was released: it is not earlier than that, whatever the clock says."""

A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle whose metadata passed checks 2 to 9. Its content is still to be compared."""

    release: Release
    release_sha256: str
    content: Content
    root_version: int
    """The newest version in its chain."""
    metadata: Mapping[str, bytes] = field(repr=False)
    """Every verified metadata and target file by name, in the order of a container (SPEC section 6)."""
    attestations: Mapping[str, bytes] = field(repr=False)
    """By their names in targets.json, such as attestation-apt-1.json."""
    signers: tuple[Signer, ...]
    reference_time: datetime
    """It is this late at least."""
    expires: datetime
    """When the first of its metadata expires."""
    repeated: bool
    """The very same bundle was accepted before: to be resumed or repaired, not accepted again."""
    admitted_by: tuple[str, ...]
    """Who admitted it although it had expired; empty when nobody had to."""
    restarts: bool
    """A rotated root has voided the order before it: sequence numbers may begin lower than those accepted."""

    def refuse_repeat(self) -> None:
        """For who does not repair. Raises AlreadyHere."""
        if self.repeated:
            raise AlreadyHere(bundle=self.release.bundle, sequence=self.release.sequence)

    def roots(self, after: int = 0) -> list[bytes]:
        """The root chain from the version after `after`, oldest first."""
        names = [file_name("root", version) for version in range(after + 1, self.root_version + 1)]
        return [self.metadata[name] for name in names]


def open_bundle(
    source: MetadataSource,
    root: TrustedRoot,
    past: Past,
    *,
    clock: datetime,
    policy: Policy,
    report: Report,
    on_roots: Callable[[Sequence[bytes]], object] = lambda roots: None,
) -> VerifiedBundle:
    """Make checks 2 to 9 in order, and record each in `report`; the first that fails ends it.

    `on_roots` gets the roots that follow the trusted one, as soon as check 2 has passed: TUF trusts them from
    then on, whatever becomes of the rest, so that a revocation works even when its bundle is damaged.

    Raises BundleRefused: the failed check's problem, also in the report.
    """
    opening = _Opening(source, root, past, clock, policy, report)
    with report.checking(2):
        report.passed(2, opening.check_root())
    on_roots(opening.new_roots)
    for number, check in (
        (3, opening.check_timestamp),
        (4, opening.check_snapshot),
        (5, opening.check_targets),
        (6, opening.check_release),
        (7, opening.check_content),
        (8, opening.check_vouched),
    ):
        with report.checking(number):
            report.passed(number, check())
    if past.known:
        with report.checking(9):
            report.passed(9, opening.check_order())
    else:
        report.skipped(9, "there is no trust state here, so nothing is known of what came before")
    opening.note()
    return opening.verified()


def reference_time(clock: datetime, past: Past) -> tuple[datetime, str]:
    """The time that expiry is judged by, and what says so: none of these can be made earlier by a bundle."""
    times = [(clock, "by this machine's clock"), (BUILD_DATE, "the date of this program")]
    if past.newest is not None:
        times.append((past.newest, f"the date of bundle {past.highest}, accepted here"))
    return max(times, key=lambda pair: pair[0])


class _Opening:
    """One bundle on its way through the checks; each gives what it found, in words."""

    def __init__(
        self,
        source: MetadataSource,
        root: TrustedRoot,
        past: Past,
        clock: datetime,
        policy: Policy,
        report: Report,
    ) -> None:
        self.source, self.trusted, self.past = source, root, past
        self.clock, self.policy, self.report = clock, policy, report
        self.files: dict[str, bytes] = {}
        self.signed: dict[str, dict[str, Any]] = {}
        self.signers: list[Signer] = []
        self.expiries: list[datetime] = []
        self.admitted = False
        self.new_roots: list[bytes] = []

    # Check 2 ---------------------------------------------------------------------------------------------

    def check_root(self) -> str:
        self.names = self.source.names()
        versions = metadata.root_versions(self.names)
        newest = versions[-1] if versions else 1
        if newest > metadata.MOST_ROOTS:
            malformed("the root chain", f"it is longer than {metadata.MOST_ROOTS} versions")
        for version in range(1, newest + 1):
            if version not in versions:
                raise RootHole(name=file_name("root", version), newest=newest)
        if newest < self.trusted.version:
            raise RolledBack(what="the root", have=self.trusted.version, offered=newest)
        name = file_name("root", self.trusted.version)
        self._form("root", self.trusted.version)
        if metadata.signed_part(self.files[name]) != metadata.signed_part(self.trusted.data):
            raise AnotherRoot(name=name, version=self.trusted.version)
        self._walk(newest)
        self.past = after_rotation(self.past, self.workflow.root)
        self.now, self.because = reference_time(self.clock, self.past)
        self.workflow.trusted.reference_time = LONG_AGO if self.policy.admitted else self.now
        new = range(self.trusted.version + 1, newest + 1)
        self.new_roots = [self.files[file_name("root", version)] for version in new]
        self.report.root_version, self.report.root_fingerprint = newest, self.trusted.fingerprint
        return self._root_text(newest)

    def _walk(self, newest: int) -> None:
        """From version 1 on; the trusted version was compared, so from there on it is TUF's own walk."""
        before: list[Root] = []
        for version in range(1, newest + 1):
            name = file_name("root", version)
            self._form("root", version)
            with plain(name):
                this: Root = Metadata[Root].from_bytes(self.files[name]).signed
            if this.version != version:
                malformed(name, f"it says that it is version {this.version}")
            signers = self._quorum("root", name, [*before, this])
            with plain(name):
                if version == 1:
                    self.workflow = Workflow(self.files[name], self._fetch, LONG_AGO)
                else:
                    self.workflow.next_root(self.files[name])
            before = [this]
        self.signers += signers

    def _root_text(self, newest: int) -> str:
        if newest == 1:
            return "version 1, which is trusted here"
        new = newest - self.trusted.version
        came = f"; {new} of them new here" if new else ""
        return f"versions 1 to {newest}, each signed by its own and the previous threshold{came}"

    # Checks 3, 4 and 5 -----------------------------------------------------------------------------------

    def check_timestamp(self) -> str:
        self._expiry(file_name("root", self.workflow.root.version), self.workflow.root.expires)
        name = file_name("timestamp", 0)
        with plain(name):
            timestamp = self.workflow.timestamp()
        self.sequence: int = timestamp.version
        if timestamp.snapshot_meta.version != self.sequence:
            malformed(name, "it names a snapshot of another version than its own")
        return f"version {self.sequence}, {self._by('timestamp')}, {self._until()}"

    def check_snapshot(self) -> str:
        name = file_name("snapshot", self.sequence)
        with plain(name):
            snapshot = self.workflow.snapshot()
        self._bound(name, self.workflow.trusted.timestamp.snapshot_meta.unrecognized_fields)
        if snapshot.meta["targets.json"].version != self.sequence:
            malformed(name, "it names targets of another version than its own")
        return f"version {self.sequence}, the one that timestamp names, {self._by('snapshot')}"

    def check_targets(self) -> str:
        name = file_name("targets", self.sequence)
        with plain(name):
            self.targets = dict(self.workflow.targets().targets)
        self._bound(name, self.workflow.trusted.snapshot.meta["targets.json"].unrecognized_fields)
        digests = {target: info.hashes["sha256"] for target, info in self.targets.items()}
        self.order = metadata.in_order(self.workflow.root.version, self.sequence, digests)
        if strays := sorted(self.names - set(self.order)):
            raise Stray(name=strays[0])
        if missing := sorted(set(self.order) - self.names):
            raise Damaged(what=missing[0], why="it is not there")
        count = len(self.targets)
        return f"version {self.sequence}, the one that snapshot names, {self._by('targets')}; {count} files"

    # Checks 6, 7 and 8 -----------------------------------------------------------------------------------

    def check_release(self) -> str:
        data = self._target(RELEASE)
        self.release, self.release_sha256 = Release.parse(data), hashlib.sha256(data).hexdigest()
        release = self.release
        if release.sequence != self.sequence:
            malformed(RELEASE, f"it is number {release.sequence} under metadata of version {self.sequence}")
        if release.created >= min(self.expiries):
            malformed(RELEASE, "its metadata expired before it was made")
        if release.minimum_root > self.workflow.root.version:
            raise RootTooOld(have=self.workflow.root.version, needed=release.minimum_root)
        self.report.bundle, self.report.sequence = release.bundle, release.sequence
        self.report.title, self.report.release = release.title, self.release_sha256
        return f"{release.bundle} {release.sequence}, made on {moment(release.created)}"

    def check_content(self) -> str:
        self.content = contents.parse(self._target(CONTENT))
        self.release.check_content(self.content)
        release = self.release
        return f"{release.entries} entries of {release.size} bytes in {len(release.parts)} parts"

    def check_vouched(self) -> str:
        names = sorted(set(self.targets) - {RELEASE, CONTENT})
        self.attestations = {name: self._target(name) for name in names}
        if not self.policy.demands:
            carried = f", and {len(names)} attestations are carried unread" if names else ""
            return f"the policy demands nothing{carried}"
        lines = attest.check(self.attestations, self.release.parts, self.policy.demands)
        return "; ".join(lines) or "the policy demands nothing of the parts in this bundle"

    # Check 9 ---------------------------------------------------------------------------------------------

    def check_order(self) -> str:
        return check_order(self.release, self.release_sha256, self.past)

    def note(self) -> None:
        """What a person should know although no check failed."""
        release, now = self.release, max(self.now, self.release.created)
        if now > release.next_expected:
            self.report.note(
                f"The next bundle was due on {moment(release.next_expected)}: this place may be cut off from "
                "newer ones (TUF's freeze attack), or somebody forgot it."
            )
        if now - self.clock > A_DAY:
            days = (now - self.clock).days
            self.report.note(f"This machine's clock is {days} days behind; it is {moment(now)} at least.")
        if self.admitted:
            self.report.note(f"It has expired, and {' and '.join(self.policy.people)} admit it all the same.")
        if self.past.void:
            self.report.note("The root was rotated so far that sequence numbers begin anew.")

    def verified(self) -> VerifiedBundle:
        self.report.signers = list(self.signers)
        return VerifiedBundle(
            release=self.release,
            release_sha256=self.release_sha256,
            content=self.content,
            root_version=self.workflow.root.version,
            metadata={name: self.files[name] for name in self.order},
            attestations=self.attestations,
            signers=tuple(self.signers),
            reference_time=self.now,
            expires=min(self.expiries),
            repeated=self.past.known and self.past.highest == self.sequence,
            admitted_by=self.policy.people if self.admitted else (),
            restarts=self.past.void,
        )

    # Reading ---------------------------------------------------------------------------------------------

    def _read(self, name: str, limit: int) -> bytes:
        try:
            return self.source.read(name, limit)
        except KeyError:
            raise Damaged(what=name, why="it is not there") from None
        except OSError as error:
            raise Damaged(what=name, why=f"it cannot be read ({error.strerror or error})") from None

    def _form(self, role: str, version: int) -> str:
        """Read a metadata file once, and refuse it unless it has the form of SPEC section 2."""
        name = file_name(role, version)
        if name not in self.files:
            data = self._read(name, metadata.LIMITS[role])
            self.signed[name] = metadata.check(role, name, data)
            self.files[name] = data
        return name

    def _fetch(self, role: str, version: int | None, limit: int) -> bytes:
        """What the workflow asks for, after all that we can say better than python-tuf."""
        name = self._form(role, version or 0)
        data = self.files[name]
        if len(data) > limit:
            raise Damaged(what=name, why=f"it is longer than the {limit} bytes that were signed")
        self.signers += self._quorum(role, name, [self.workflow.root])
        signed = self.signed[name]
        if signed["version"] < self.past.highest:
            raise RolledBack(what=role, have=self.past.highest, offered=signed["version"])
        self._expiry(name, read_moment(signed["expires"]))
        return data

    def _target(self, target: str) -> bytes:
        info = self.targets[target]
        name = target_name(target, info.hashes["sha256"])
        data = self._read(name, info.length)
        if len(data) != info.length or hashlib.sha256(data).hexdigest() != info.hashes["sha256"]:
            raise Damaged(what=name, why="its bytes are not those that were signed")
        self.files[name] = data
        return data

    def _bound(self, name: str, entry: Mapping[str, object]) -> None:
        """The file's signed part is what the file before it names (TUF's own digests are python-tuf's)."""
        if SIGNED_SHA256 in entry and metadata.signed_sha256(self.files[name]) != entry[SIGNED_SHA256]:
            raise Damaged(what=name, why="it is not the one that the signed metadata names")

    # Signatures and dates --------------------------------------------------------------------------------

    def _quorum(self, role: str, name: str, roots: Sequence[Root]) -> list[Signer]:
        keys = quorum(role, name, self.files[name], roots)
        return [Signer(role, key.fingerprint, key.comment) for key in keys]

    def _expiry(self, name: str, expires: datetime) -> None:
        self.expiries.append(expires)
        if self.now < expires:
            return
        if self.policy.admitted:
            self.admitted = True
            return
        facts = {"name": name, "expires": moment(expires), "now": moment(self.now), "because": self.because}
        if self.policy.expired == TWO_PEOPLE:
            raise ExpiredNeedsTwo(**facts, given=len(self.policy.people))
        raise Expired(**facts)

    def _by(self, role: str) -> str:
        of = self.workflow.root.roles[role]
        have = sum(1 for signer in self.signers if signer.role == role)
        return f"signed by {have} of {len(of.keyids)} keys ({of.threshold} needed)"

    def _until(self) -> str:
        first = min(self.expiries)
        return f"expired on {moment(first)} and admitted" if self.admitted else f"good until {moment(first)}"
