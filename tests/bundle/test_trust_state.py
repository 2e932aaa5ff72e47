"""The trust state: begun by hand, it only grows, is old or new after any death, and never taken for empty."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from airgap_bundle.canonical import parse, render
from airgap_bundle.fingerprint_sheet import code
from airgap_bundle.refusals import AnotherHistory, AnotherRoot, AnotherStream, NotSignedByEnough, RolledBack
from airgap_bundle.report import Report
from airgap_bundle.trust import NotARoot, VerifiedBundle
from airgap_bundle.trust_state import (
    FingerprintDiffers,
    NoState,
    NotAFingerprint,
    StateDamaged,
    StateExists,
    TrustState,
)
from tests.bundle.zone import (
    ANNA,
    BERT,
    CREATED,
    DORA,
    EMIL,
    MALLORY,
    Zone,
    all_roles,
    open_,
    root_value,
    sha,
    signed,
)

MOST = 2**53 - 1


@pytest.fixture
def zone() -> Zone:
    return Zone()


@pytest.fixture
def state(tmp_path: Path, zone: Zone) -> TrustState:
    return TrustState.init(tmp_path / "trust", zone.chain[0], sha(zone.chain[0]))


def opened(state: TrustState, files: dict[str, bytes]) -> VerifiedBundle:
    now = TrustState.load(state.folder)
    return open_(files, now.root, now.past)


def accepted(state: TrustState, files: dict[str, bytes]) -> TrustState:
    return state.accept(opened(state, files))


class TestTheBeginning:
    def test_a_root_and_its_fingerprint(self, state: TrustState, zone: Zone) -> None:
        again = TrustState.load(state.folder)
        assert again == state
        assert again.root.data == zone.chain[0]
        assert (again.past.highest, again.past.newest, again.bundle) == (0, None, None)

    def test_the_fingerprint_may_be_words_or_the_code(self, tmp_path: Path, zone: Zone) -> None:
        assert TrustState.init(tmp_path / "t", zone.chain[0], code(zone.chain[0])).root.version == 1

    def test_another_fingerprint_is_refused_and_nothing_is_written(self, tmp_path: Path, zone: Zone) -> None:
        with pytest.raises(
            FingerprintDiffers, match=f"has the SHA-256 {sha(zone.chain[0])}, and abab"
        ) as refused:
            TrustState.init(tmp_path / "t", zone.chain[0], "ab" * 32)
        assert refused.value.exit_code == 41
        assert not (tmp_path / "t").exists()

    def test_what_is_no_fingerprint_or_no_root_is_refused(self, tmp_path: Path, zone: Zone) -> None:
        with pytest.raises(NotAFingerprint):
            TrustState.init(tmp_path / "t", zone.chain[0], "1234")
        with pytest.raises(NotAFingerprint, match="no name of a stream"):
            TrustState.init(tmp_path / "t", zone.chain[0], sha(zone.chain[0]), "Not A Name")
        with pytest.raises(NotARoot):
            TrustState.init(tmp_path / "t", b"{}", sha(b"{}"))

    def test_it_does_not_begin_twice(self, state: TrustState, zone: Zone) -> None:
        before = (state.folder / "trust.json").read_bytes()
        with pytest.raises(StateExists):
            TrustState.init(state.folder, zone.chain[0], sha(zone.chain[0]))
        assert (state.folder / "trust.json").read_bytes() == before

    def test_a_stream_given_by_hand_is_the_only_one_received(self, tmp_path: Path, zone: Zone) -> None:
        state = TrustState.init(tmp_path / "t", zone.chain[0], sha(zone.chain[0]), "tenant-images")
        with pytest.raises(AnotherStream):
            opened(state, zone.bundle(1))


class TestGrowing:
    def test_what_is_accepted_is_remembered(self, state: TrustState, zone: Zone) -> None:
        accepted(state, zone.bundle(6))
        accepted(state, zone.bundle(7))
        again = TrustState.load(state.folder)
        assert list(again.accepted) == [6, 7]
        assert again.accepted[7].release == sha(zone.releases[7])
        assert again.past.newest == CREATED + timedelta(hours=7)
        assert again.bundle == "zone-updates"
        assert again.describe()["sequence"] == 7
        with pytest.raises(RolledBack):
            opened(state, zone.bundle(6))

    def test_accepting_the_same_again_changes_nothing(self, state: TrustState, zone: Zone) -> None:
        files = zone.bundle(7)
        accepted(state, files)
        before = (state.folder / "trust.json").stat()
        assert accepted(state, files).past.highest == 7
        assert (state.folder / "trust.json").stat().st_ino == before.st_ino

    def test_of_two_at_a_time_the_later_one_is_checked_against_the_earlier(
        self, state: TrustState, zone: Zone
    ) -> None:
        """Both were opened before either was accepted."""
        seven, eight = opened(state, zone.bundle(7)), opened(state, zone.bundle(8))
        other_seven = opened(state, zone.bundle(7, title="Another"))
        state.accept(eight)
        with pytest.raises(RolledBack):
            state.accept(seven)
        with pytest.raises(RolledBack):
            state.accept(other_seven)

    def test_two_of_one_number_are_not_both_accepted(self, state: TrustState, zone: Zone) -> None:
        one, other = opened(state, zone.bundle(7)), opened(state, zone.bundle(7, title="Another"))
        state.accept(one)
        with pytest.raises(AnotherHistory):
            state.accept(other)

    def test_many_processes_at_once_lose_nothing(self, state: TrustState, zone: Zone) -> None:
        bundles = [opened(state, zone.bundle(number)) for number in range(1, 9)]
        children = []
        for one in bundles:
            if not (pid := os.fork()):
                try:
                    state.accept(one)
                except RolledBack:
                    os._exit(43)
                except BaseException:
                    os._exit(1)
                os._exit(0)
            children.append(pid)
        results = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        assert set(results) <= {0, 43}
        assert sorted(TrustState.load(state.folder).accepted) == [
            number for number, result in enumerate(results, 1) if result == 0
        ]


class TestRoots:
    def test_new_roots_are_trusted_although_the_bundle_is_refused(
        self, state: TrustState, zone: Zone
    ) -> None:
        """Dora's key is stolen and revoked; the bundle that says so is damaged. Hers count no more."""
        old = zone.bundle(3, by=dict.fromkeys(("targets", "snapshot", "timestamp"), (BERT, DORA)))
        zone.rotate((ANNA, BERT, EMIL))
        files = zone.bundle(4) | {"metadata/timestamp.json": b"damaged"}
        report = Report()
        with pytest.raises(Exception, match="malformed"):
            open_(files, state.root, state.past, report=report, on_roots=state.accept_roots)
        assert TrustState.load(state.folder).root.version == 2
        with pytest.raises(RolledBack, match="the root went backwards: 2 is here, the bundle offers 1"):
            opened(state, old)
        with pytest.raises(NotSignedByEnough):
            opened(state, old | {"metadata/2.root.json": zone.chain[1]})

    def test_accepting_a_bundle_brings_its_roots(self, state: TrustState, zone: Zone) -> None:
        zone.rotate((ANNA, EMIL))
        zone.rotate((EMIL, DORA))
        accepted(state, zone.bundle(1))
        again = TrustState.load(state.folder)
        assert list(again.roots) == zone.chain
        assert again.accepted[1].root == 3

    def test_roots_are_verified_again_before_they_are_written(self, state: TrustState, zone: Zone) -> None:
        forged = signed(root_value(2, all_roles((MALLORY,), 1)), (MALLORY,))
        with pytest.raises(Exception, match="signature that TUF does not accept"):
            state.accept_roots([forged])
        third = signed(root_value(3, all_roles((ANNA, BERT), 2)), (ANNA, BERT))
        with pytest.raises(Exception, match="is damaged"):
            state.accept_roots([third])
        other = signed(root_value(1, all_roles((ANNA, BERT), 1)), (ANNA, BERT))
        with pytest.raises(AnotherRoot):
            state.accept_roots([other])
        assert TrustState.load(state.folder) == state

    def test_roots_that_are_known_change_nothing(self, state: TrustState, zone: Zone) -> None:
        before = (state.folder / "trust.json").stat().st_ino
        assert state.accept_roots([]) == state
        assert state.accept_roots(zone.chain) == state
        assert (state.folder / "trust.json").stat().st_ino == before


class TestRecovery:
    """Stolen keys signed an absurd number and date: TUF's fast-forward attack."""

    @pytest.fixture
    def attacked(self, state: TrustState, zone: Zone) -> TrustState:
        accepted(state, zone.bundle(7))
        later = CREATED + timedelta(days=300)
        return accepted(state, zone.bundle(MOST, created=later, next_expected=later + timedelta(days=1)))

    def test_nothing_honest_can_follow(self, attacked: TrustState, zone: Zone) -> None:
        with pytest.raises(RolledBack):
            opened(attacked, zone.bundle(8))

    def test_when_both_stolen_keys_are_replaced_numbers_begin_anew(
        self, attacked: TrustState, zone: Zone
    ) -> None:
        zone.rotate((DORA, EMIL, MALLORY))
        verified = opened(attacked, zone.bundle(8))
        assert verified.restarts
        assert verified.reference_time < CREATED + timedelta(days=200)
        again = attacked.accept(verified)
        assert list(again.accepted) == [7, 8]
        assert again.past.highest == 8
        with pytest.raises(RolledBack):
            opened(attacked, zone.bundle(7))

    def test_when_enough_old_keys_stay_nothing_can_be_rolled_back(
        self, state: TrustState, zone: Zone
    ) -> None:
        """One of three keys is replaced; a bundle that the other two signed would pass under the new root.

        TUF clients that only look whether the last timestamp still verifies forget it here.
        """
        both = dict.fromkeys(("targets", "snapshot", "timestamp"), (ANNA, DORA))
        old = zone.bundle(6, by=both)
        accepted(state, zone.bundle(7))  # by anna and bert
        second = zone.rotate((ANNA, DORA, EMIL), by=(ANNA, BERT, DORA))
        replayed = old | {"metadata/2.root.json": second}
        with pytest.raises(RolledBack, match="7 is here, the bundle offers 6"):
            opened(state, replayed)
        assert not opened(state, zone.bundle(8)).restarts


class TestDamage:
    def test_a_missing_state_is_not_an_empty_one(self, tmp_path: Path, state: TrustState) -> None:
        with pytest.raises(NoState) as refused:
            TrustState.load(tmp_path / "nowhere")
        assert refused.value.exit_code == 35
        (state.folder / "trust.json").unlink()
        with pytest.raises(NoState, match="holds no trust state"):
            TrustState.load(state.folder)
        with pytest.raises(NoState):
            state.accept_roots([])

    def test_every_flipped_bit_is_refused(self, state: TrustState, zone: Zone) -> None:
        accepted(state, zone.bundle(7))
        path = state.folder / "trust.json"
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 7):  # all bytes, every bit of some
            damaged = bytearray(whole)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(StateDamaged) as refused:
                TrustState.load(state.folder)
            assert refused.value.exit_code == 36
            assert "Restore the file from a copy" in refused.value.remedy

    def test_every_cut_is_refused(self, state: TrustState) -> None:
        path = state.folder / "trust.json"
        whole = path.read_bytes()
        for length in range(len(whole)):
            path.write_bytes(whole[:length])
            with pytest.raises(StateDamaged):
                TrustState.load(state.folder)
        path.write_bytes(whole + b"\n")
        with pytest.raises(StateDamaged):
            TrustState.load(state.folder)

    def test_a_number_changed_by_hand_is_refused(self, state: TrustState, zone: Zone) -> None:
        accepted(state, zone.bundle(7))
        path = state.folder / "trust.json"
        value = parse(path.read_bytes(), "state")
        value["state"]["accepted"] = []
        path.write_bytes(render(value))
        with pytest.raises(StateDamaged, match="its own digest differs"):
            TrustState.load(state.folder)

    def test_a_damaged_state_is_not_written_over(self, state: TrustState, zone: Zone) -> None:
        verified = opened(state, zone.bundle(7))
        (state.folder / "trust.json").write_bytes(b"{}")
        with pytest.raises(StateDamaged):
            state.accept(verified)
        with pytest.raises(StateExists):
            TrustState.init(state.folder, zone.chain[0], sha(zone.chain[0]))
        assert (state.folder / "trust.json").read_bytes() == b"{}"


class TestDeath:
    CALLS = ("open", "write", "fchmod", "fsync", "close", "rename")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_death_at_any_call_leaves_the_old_state_or_the_new(
        self, state: TrustState, zone: Zone, call: str, which: int
    ) -> None:
        zone.rotate((ANNA, EMIL))
        verified = opened(state, zone.bundle(7))
        old = TrustState.load(state.folder)

        def die_there() -> None:
            real, calls = getattr(os, call), [0]

            def killer(*arguments: object, **named: object) -> object:
                if calls[0] == which:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls[0] += 1
                return real(*arguments, **named)

            setattr(os, call, killer)
            state.accept(verified)

        in_a_child(die_there)
        now = TrustState.load(state.folder)
        assert now == old or (now.past.highest, now.root.version) == (7, 2)
        assert state.accept(verified).past.highest == 7  # and the work can be done again

    def test_at_random_moments(self, state: TrustState, zone: Zone, tmp_path: Path) -> None:
        """A process accepts one bundle after the other and is killed; what it said it did is there."""
        for number in range(1, 200):
            for name, data in zone.bundle(number).items():
                path = tmp_path / f"{number}" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        script = (
            "import sys\n"
            "from pathlib import Path\n"
            "from airgap_bundle.trust_state import TrustState\n"
            "from airgap_bundle.metadata_source import FolderSource\n"
            "from tests.bundle.zone import open_\n"
            "folder = Path(sys.argv[1])\n"
            "while True:\n"
            "    state = TrustState.load(folder / 'trust')\n"
            "    number = state.past.highest + 1\n"
            "    state.accept(open_(FolderSource(folder / str(number)), state.root, state.past))\n"
            "    print(number, flush=True)\n"
        )
        for pause in (0.05, 0.1, 0.02, 0.15):
            command = [sys.executable, "-c", script, str(tmp_path)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
                assert child.stdout is not None
                said = [child.stdout.readline()]
                try:
                    child.wait(pause)
                except subprocess.TimeoutExpired:
                    child.kill()
                said += child.stdout.readlines()
            last = int([line for line in said if line.endswith("\n")][-1])
            assert TrustState.load(state.folder).past.highest in (last, last + 1)


def in_a_child(work: Callable[[], object]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(17)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
