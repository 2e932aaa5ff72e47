"""What this place trusts and has accepted: one small file, apart from all content (SPEC section 12).

    state = TrustState.init(folder, root_bytes, fingerprint, bundle="zone-updates")     once, by hand
    state = TrustState.load(folder)
    verified = open_bundle(source, state.root, state.past, ..., on_roots=state.accept_roots)
    ...                                     every blob is in the store, for good
    state.accept(verified)                  from now on, nothing older is accepted

There is one file, and it is replaced as a whole: whatever happens, the old state is there or the new one. A
state that is damaged or missing is refused, never taken for an empty one: an empty one accepts old bundles.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from airgap_bundle import canonical, metadata
from airgap_bundle.canonical import Malformed
from airgap_bundle.durable import write_durably
from airgap_bundle.errors import BundleRefused, InputProblem, StateProblem
from airgap_bundle.fingerprint_sheet import read_fingerprint
from airgap_bundle.order import Accepted, Past, after_rotation, check_order
from airgap_bundle.refusals import AnotherRoot, plain
from airgap_bundle.release import NAME, SHA256, count, match, moment, read_moment
from airgap_bundle.trust import VerifiedBundle
from airgap_bundle.trusted_root import LONG_AGO, NotARoot, TrustedRoot
from airgap_bundle.workflow import Workflow

FORMAT = "airgap-bundle/trust/1"
FILE, LOCK = "trust.json", "lock"
MOST_BYTES = 64 * 1024 * 1024


class NoState(StateProblem):
    """Nothing is trusted here yet."""

    exit_code = 35
    message = "{folder} holds no trust state"
    hint = (
        "Begin with `airgap-bundle trust init`; if there was a state before, restore it from a copy instead."
    )


class StateExists(StateProblem):
    """There is a state already."""

    exit_code = 34
    message = "{folder} holds a trust state already"
    hint = "Name another folder. Beginning anew would accept old bundles: only two people should decide that."


class StateDamaged(StateProblem):
    """The state cannot be believed."""

    exit_code = 36
    message = "the trust state {path} is damaged: {why}"
    hint = (
        "Restore the file from a copy. Without one, move it away and begin anew with the root and its "
        "fingerprint: until the next bundle is accepted, older ones would be accepted too."
    )


class FingerprintDiffers(BundleRefused):
    """The root is not the one on the sheet."""

    exit_code = 41
    message = "{where} has the SHA-256 {have}, and {given} was given"
    hint = "Do not trust it: compare with the printed sheet again, and ask who handed it over."


class NotAFingerprint(InputProblem):
    """What was typed is no fingerprint."""

    exit_code = 15
    message = "that is no fingerprint of a root: {why}"
    hint = "Give the 64 digits, or the 32 words, of the sheet."


@dataclass(frozen=True)
class TrustState:
    """The state as it was read. `accept` and `accept_roots` give the next one."""

    folder: Path
    roots: tuple[bytes, ...] = field(repr=False)
    """Every root trusted here, oldest first: the one given by hand, and those that followed in bundles."""
    bundle: str | None
    """The stream that is received here; None until the first bundle has said it."""
    accepted: Mapping[int, Accepted]
    """What was accepted, by sequence number."""

    @classmethod
    def init(cls, folder: Path, root: bytes, fingerprint: str, bundle: str | None = None) -> TrustState:
        """Begin to trust `root`, whose SHA-256 a person compared with the printed sheet.

        Raises StateExists, NotARoot, FingerprintDiffers, NotAFingerprint, OSError.
        """
        if bundle is not None and not NAME.fullmatch(bundle):
            raise NotAFingerprint(why=f"{bundle!r} is no name of a stream of bundles")
        try:
            given = read_fingerprint(fingerprint)
        except ValueError as why:
            raise NotAFingerprint(why=why) from None
        trusted = TrustedRoot.parse(root)
        if trusted.fingerprint != given:
            where = f"{trusted.version}.root.json"
            raise FingerprintDiffers(where=where, have=trusted.fingerprint, given=given)
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            if (folder / FILE).exists():
                raise StateExists(folder=folder)
            return cls(folder, (root,), bundle, {})._written()

    @classmethod
    def load(cls, folder: Path) -> TrustState:
        """Read the state. Raises NoState, StateDamaged, OSError."""
        path = folder / FILE
        try:
            with path.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NoState(folder=folder) from None
        try:
            return cls._of(folder, canonical.parse(data, FILE))
        except Malformed as problem:
            _damaged(path, problem.facts["why"])
        except (KeyError, TypeError, ValueError, AttributeError, NotARoot):
            _damaged(path, "a field is missing or wrong")

    @property
    def root(self) -> TrustedRoot:
        """The newest trusted root."""
        return TrustedRoot.parse(self.roots[-1])

    @property
    def past(self) -> Past:
        """What the order of the next bundle is judged by."""
        return Past(self.bundle, self.accepted, self.roots)

    def accept_roots(self, chain: Sequence[bytes]) -> TrustState:
        """Trust the roots that follow the newest one; those that are known already must be the same.

        Each is verified again, from what is on the disk. Raises BundleRefused, OSError.
        """
        with self._fresh() as now:
            grown = now._with_roots(chain)
            return grown if grown.roots == now.roots else grown._written()

    def accept(self, verified: VerifiedBundle) -> TrustState:
        """Record that this bundle was accepted, when all its content is stored for good.

        Its order is checked again, against what is on the disk now. Accepting the same one again changes
        nothing. Raises RolledBack and the like: another one was accepted in between; OSError.
        """
        release = verified.release
        with self._fresh() as now:
            grown = now._with_roots(verified.roots(after=now.root.version))
            newest = Workflow(grown.roots[-1], lambda *_: None, LONG_AGO).root
            past = after_rotation(now.past, newest)
            check_order(release, verified.release_sha256, past)
            if past.highest == release.sequence:
                return now
            before = {number: one for number, one in now.accepted.items() if number < release.sequence}
            this = Accepted(verified.release_sha256, release.created, verified.root_version)
            return TrustState(
                self.folder, grown.roots, release.bundle, before | {release.sequence: this}
            )._written()

    def describe(self) -> dict[str, Any]:
        """The state as one record for people and scripts."""
        root = self.root
        return {
            "bundle": self.bundle,
            "sequence": self.past.highest or None,
            "newest": moment(self.past.newest) if self.past.newest else None,
            "root": {"version": root.version, "fingerprint": root.fingerprint},
            "accepted": _list(self.accepted),
        }

    def _with_roots(self, chain: Sequence[bytes]) -> TrustState:
        """The same with those of `chain` that follow. Raises BundleRefused."""
        known = {metadata.check("root", "a root", data)["version"]: data for data in self.roots}
        roots = list(self.roots)
        workflow = Workflow(roots[-1], lambda *_: None, LONG_AGO)
        for data in chain:
            name = "the new root"
            version = metadata.check("root", name, data)["version"]
            if version in known:
                if metadata.signed_part(known[version]) != metadata.signed_part(data):
                    raise AnotherRoot(name=name, version=version)
                continue
            with plain(name):
                workflow.next_root(data)
            roots.append(data)
        return TrustState(self.folder, tuple(roots), self.bundle, self.accepted)

    @contextmanager
    def _fresh(self) -> Iterator[TrustState]:
        """The state on the disk, which nobody else changes meanwhile."""
        with _locked(self.folder):
            yield TrustState.load(self.folder)

    def _written(self) -> TrustState:
        state: canonical.Json = {
            "accepted": _list(self.accepted),
            "bundle": self.bundle,
            "format": FORMAT,
            "roots": [canonical.parse(root, "a root") for root in self.roots],
        }
        digest = hashlib.sha256(canonical.render(state)).hexdigest()
        write_durably(self.folder / FILE, canonical.render({"sha256": digest, "state": state}))
        return self  # crash before: the old state; after: this one

    @classmethod
    def _of(cls, folder: Path, value: Any) -> TrustState:
        state = value["state"]
        if set(value) != {"sha256", "state"} or set(state) != {"accepted", "bundle", "format", "roots"}:
            raise ValueError("other fields")
        if hashlib.sha256(canonical.render(state)).hexdigest() != value["sha256"]:
            raise Malformed(what=FILE, why="its own digest differs, so something on the disk has changed it")
        if state["format"] != FORMAT:
            raise Malformed(what=FILE, why=f"its format is not {FORMAT}")
        accepted = {
            count(one["sequence"], least=1): Accepted(
                match(SHA256, one["release"]), read_moment(one["created"]), count(one["root"], least=1)
            )
            for one in state["accepted"]
        }
        roots = tuple(canonical.render(root) for root in state["roots"])
        for root in roots:
            TrustedRoot.parse(root)
        bundle = state["bundle"]
        return cls(folder, roots, None if bundle is None else match(NAME, bundle), accepted)


def _list(accepted: Mapping[int, Accepted]) -> list[Any]:
    return [
        {"created": moment(one.created), "release": one.release, "root": one.root, "sequence": number}
        for number, one in sorted(accepted.items())
    ]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; a lock dies with its process."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except (FileNotFoundError, NotADirectoryError):
        raise NoState(folder=folder) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _damaged(path: Path, why: object) -> NoReturn:
    raise StateDamaged(path=path, why=why) from None
