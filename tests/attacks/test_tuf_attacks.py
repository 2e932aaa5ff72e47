"""The attacks of TUF's threat model, and those that TUF alone does not stop, each against a whole bundle.

Who attacks holds the medium: they read, change, mix and replay all that was ever on one, and may hold some of
the keys. What they reach must be a refusal in plain words, before anything is believed. Source of the names:
TUF specification, section 1.5.2, and "Survivable Key Compromise in Software Update Systems" (2010).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.canonical import Malformed
from airgap_bundle.content import Entry
from airgap_bundle.errors import BundleRefused
from airgap_bundle.metadata_source import Damaged, MemorySource, Patient, StuckMedium
from airgap_bundle.order import Past
from airgap_bundle.refusals import (
    AnotherHistory,
    AnotherRoot,
    Expired,
    ForeignSignature,
    NotSignedByEnough,
    RolledBack,
    RootHole,
    RootTooOld,
    Stray,
)
from airgap_bundle.report import Report, Result
from airgap_bundle.trust import TrustedRoot, VerifiedBundle
from tests.bundle.zone import (
    ANNA,
    BERT,
    CREATED,
    DORA,
    EMIL,
    MALLORY,
    YEAR,
    Zone,
    after,
    all_roles,
    compact,
    key_id,
    open_,
    root_value,
    sha,
    signed,
)

ONLINE = ("timestamp", "snapshot", "targets")
ORDER = 2**252 + 27742317777372353535851937790883648493


def everywhere(*people: Any) -> dict[str, Any]:
    """These sign each of the three roles of a bundle."""
    return dict.fromkeys(ONLINE, people)


def name_of(files: Mapping[str, bytes], role: str) -> str:
    return next(name for name in files if name.endswith(f"{role}.json") and name.startswith("metadata/"))


def changed(
    files: Mapping[str, bytes], role: str, change: Callable[[dict[str, Any]], object]
) -> dict[str, bytes]:
    """The file of a role, changed after it was signed."""
    name = name_of(files, role)
    value = json.loads(files[name])
    change(value)
    return {**files, name: compact(value)}


def refused(files: Any, zone: Zone, past: Past | None = None, **options: Any) -> BundleRefused:
    """The refusal; nothing after the failed check was called passed."""
    report = options.setdefault("report", Report())
    with pytest.raises(BundleRefused) as caught:
        open_(files, options.pop("root", zone.first), past, **options)
    results = [check.result for check in report.checks[1:9]]
    assert results.count(Result.FAILED) == 1
    assert Result.PASSED not in results[results.index(Result.FAILED) :]
    assert 40 <= caught.value.exit_code <= 49
    assert caught.value.remedy
    return caught.value


class TestRollback:
    """An older file is offered as if it were new."""

    def test_of_the_whole_bundle(self) -> None:
        zone = Zone()
        old = zone.bundle(6)
        problem = refused(old, zone, after(open_(zone.bundle(7), zone.first)))
        assert isinstance(problem, RolledBack)
        assert problem.exit_code == 43

    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_of_one_role_under_newer_ones(self, role: str) -> None:
        """The newer timestamp names the newer files, so an older one fits nowhere, whatever its name."""
        zone = Zone()
        old, new = zone.bundle(6), zone.bundle(7)
        for files in (
            {**new, name_of(new, role): old[name_of(old, role)]},
            {
                **{name: data for name, data in new.items() if name != name_of(new, role)},
                name_of(old, role): old[name_of(old, role)],
            },
        ):
            assert isinstance(refused(files, zone), Damaged)

    def test_of_the_timestamp_over_newer_files(self) -> None:
        zone = Zone()
        old, new = zone.bundle(6), zone.bundle(7)
        files = {**new, "metadata/timestamp.json": old["metadata/timestamp.json"]}
        assert isinstance(refused(files, zone), Damaged)
        assert isinstance(refused(files, zone, after(open_(new, zone.first))), RolledBack)

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_by_a_version_below_the_sequence_that_its_own_signers_made(self, role: str) -> None:
        zone = Zone()
        files = zone.bundle(7, edit={role: lambda value: value.update(version=6)})
        assert isinstance(refused(files, zone), (Damaged, Malformed))

    def test_of_the_root_by_leaving_out_the_newest(self) -> None:
        """The zone knows version 2, which revoked dora; the medium ends with version 1."""
        zone = Zone()
        old = zone.bundle(6, by=everywhere(ANNA, DORA))
        second = zone.rotate((ANNA, BERT, EMIL))
        problem = refused(old, zone, root=TrustedRoot.parse(second))
        assert str(problem) == "the root went backwards: 2 is here, the bundle offers 1"

    def test_of_the_root_for_a_zone_that_does_not_know_the_newest(self) -> None:
        """Nothing but the release can tell: it names the root that it needs."""
        zone = Zone()
        zone.rotate((ANNA, BERT, EMIL))
        files = zone.bundle(7, minimum_root=2)
        shortened = {name: data for name, data in files.items() if name != "metadata/2.root.json"}
        assert isinstance(refused(shortened, zone), RootTooOld)

    def test_of_the_release_inside_valid_metadata(self) -> None:
        """The signers were tricked into signing an older release under a newer version."""
        zone = Zone()
        assert isinstance(refused(zone.bundle(8, sequence=6), zone), Malformed)


class TestFreeze:
    """Newer bundles are kept away, so that the old one looks current."""

    @pytest.mark.parametrize("role", ONLINE)
    def test_an_expired_file_is_refused(self, role: str) -> None:
        zone = Zone()
        files = zone.bundle(7, edit={role: lambda value: value.update(expires="2026-12-03T00:00:00Z")})
        problem = refused(files, zone)
        assert isinstance(problem, Expired)
        assert problem.exit_code == 42

    def test_a_clock_that_was_turned_back_does_not_help(self) -> None:
        """The zone accepted a bundle of January; one that expired in December stays expired."""
        zone = Zone()
        past = after(open_(zone.bundle(7, created=CREATED + timedelta(days=29)), zone.first))
        stale = zone.bundle(8, expires=CREATED + timedelta(days=20), created=CREATED + timedelta(days=10))
        problem = refused(stale, zone, past, clock=CREATED - YEAR)
        assert isinstance(problem, Expired)
        assert "the date of bundle 7, accepted here" in str(problem)

    def test_a_bundle_that_should_have_been_followed_is_pointed_out(self) -> None:
        zone, report = Zone(), Report()
        open_(zone.bundle(7), zone.first, clock=CREATED + timedelta(days=60), report=report)
        assert any("cut off from newer ones" in note for note in report.notes)


class TestMixAndMatch:
    """Files of different bundles that were never together."""

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_signed_file_of_another_bundle_with_the_same_number(self, role: str) -> None:
        zone = Zone()
        one, other = zone.bundle(7), zone.bundle(7, title="Another")
        mixed = {**one, name_of(one, role): other[name_of(other, role)]}
        assert isinstance(refused(mixed, zone), Damaged)

    @pytest.mark.parametrize("target", ["release.json", "content.ndjson"])
    def test_a_target_of_another_bundle(self, target: str) -> None:
        zone = Zone()
        listed = [Entry("files/b", sha(b"b"), 1, "a/b", "raw", sha(b"b"), 1)]
        one, other = zone.bundle(7), zone.bundle(7, title="Another", entries=listed)
        mine, theirs = (next(name for name in files if name.endswith(target)) for files in (one, other))
        under_my_name = {**one, mine: other[theirs]}
        assert isinstance(refused(under_my_name, zone), Damaged)
        under_its_own = {name: data for name, data in one.items() if name != mine} | {theirs: other[theirs]}
        assert isinstance(refused(under_its_own, zone), (Damaged, Stray))

    def test_two_bundles_on_one_medium(self) -> None:
        zone = Zone()
        assert isinstance(refused(zone.bundle(6) | zone.bundle(7), zone), Stray)

    @pytest.mark.parametrize("outer", ["timestamp", "snapshot"])
    def test_files_that_name_each_other_by_version_only_are_refused(self, outer: str) -> None:
        """TUF allows that, and then two bundles of one number could be mixed."""
        zone = Zone()

        def forget(value: dict[str, Any]) -> None:
            for entry in value["meta"].values():
                del entry["x-signed-sha256"]

        problem = refused(zone.bundle(7, edit={outer: forget}), zone)
        assert "without its digest" in str(problem)

    def test_the_same_number_with_another_content_is_not_accepted_twice(self) -> None:
        """The signers, or who stole enough keys, made two bundles of one number."""
        zone = Zone()
        past = after(open_(zone.bundle(7), zone.first))
        problem = refused(zone.bundle(7, title="Another"), zone, past)
        assert isinstance(problem, AnotherHistory)
        assert "ask the release engineer before anything else" in problem.remedy


class TestThreshold:
    """Fewer people than it takes."""

    @pytest.mark.parametrize("role", ONLINE)
    @pytest.mark.parametrize(
        "who",
        [(), (ANNA,), (ANNA, MALLORY), (MALLORY, EMIL)],
        ids=["nobody", "one", "one and a stranger", "strangers"],
    )
    def test_too_few_of_the_right_people(self, role: str, who: tuple[Any, ...]) -> None:
        zone = Zone()
        problem = refused(zone.bundle(7, by={role: who}), zone)
        assert isinstance(problem, NotSignedByEnough)
        assert problem.exit_code == 41
        assert "bert" in problem.remedy

    @pytest.mark.parametrize("role", ONLINE)
    def test_one_key_twice_in_the_file(self, role: str) -> None:
        zone = Zone()
        files = zone.bundle(7, by={role: (ANNA,)})
        twice = changed(files, role, lambda value: value["signatures"].append(dict(value["signatures"][0])))
        assert "two of its signatures are by one key" in str(refused(twice, zone))

    @pytest.mark.parametrize("role", ONLINE)
    def test_one_key_with_two_signatures(self, role: str) -> None:
        """Ed25519 lets its holder make as many valid signatures as they like."""
        zone = Zone()
        files = zone.bundle(7, by={role: (ANNA,)})

        def second(value: dict[str, Any]) -> None:
            raw = bytes.fromhex(value["signatures"][0]["sig"])
            other = int.from_bytes(raw[32:], "little") + ORDER
            value["signatures"].append(
                {
                    "keyid": value["signatures"][0]["keyid"],
                    "sig": (raw[:32] + other.to_bytes(32, "little")).hex(),
                }
            )

        assert isinstance(refused(changed(files, role, second), zone), Malformed)

    @pytest.mark.parametrize("form", ["another ID", "a longer value", "upper case"])
    def test_one_key_under_two_names_in_the_root(self, form: str) -> None:
        """Whoever makes the root tries to let one key count as two."""
        value = root_value(2, all_roles((ANNA, BERT), 2))
        again = {"keytype": "ed25519", "keyval": {"public": ANNA.public.raw.hex()}, "scheme": "ed25519"}
        if form == "a longer value":
            again["keyval"] = {"public": ANNA.public.raw.hex(), "note": "another"}
        if form == "upper case":
            again["keyval"] = {"public": ANNA.public.raw.hex().upper()}
        keyid = sha(compact(again)) if form != "another ID" else "ab" * 32
        value["keys"][keyid] = again
        for role in value["roles"].values():
            role["keyids"] = [key_id(ANNA.public), keyid]
        payload = compact(value)
        signatures = [{"keyid": one, "sig": ANNA.sign(payload).hex()} for one in (key_id(ANNA.public), keyid)]
        signatures.append({"keyid": key_id(BERT.public), "sig": BERT.sign(payload).hex()})
        zone = Zone()
        zone.chain.append(compact({"signatures": signatures, "signed": value}))
        problem = refused(zone.bundle(1), zone)
        assert isinstance(problem, Malformed)
        assert "2.root.json" in str(problem)

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_third_signature_that_is_not_valid_is_not_overlooked(self, role: str) -> None:
        """Two are enough, and TUF would not look at the third; but then a byte of the file went unchecked."""
        zone = Zone()
        files = zone.bundle(7, by=everywhere(ANNA, BERT, DORA))

        def damage(value: dict[str, Any]) -> None:
            doras = next(one for one in value["signatures"] if one["keyid"] == key_id(DORA.public))
            doras["sig"] = "00" + doras["sig"][2:]

        assert "that is not valid" in str(refused(changed(files, role, damage), zone))

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_strangers_signature_is_not_overlooked(self, role: str) -> None:
        zone = Zone()
        problem = refused(zone.bundle(7, by={role: (ANNA, BERT, MALLORY)}), zone)
        assert isinstance(problem, ForeignSignature)
        assert "by a key that does not count" in str(problem)


class TestRootChain:
    """Who may sign is decided by the chain of roots alone."""

    def test_a_forged_root(self) -> None:
        zone, forger = Zone(), Zone(people=(MALLORY, EMIL))
        problem = refused(forger.bundle(1), zone)
        assert isinstance(problem, AnotherRoot)
        assert problem.exit_code == 41

    def test_a_forged_root_with_the_same_version_further_on(self) -> None:
        zone, forger = Zone(), Zone(people=(MALLORY, EMIL))
        second = zone.rotate((ANNA, EMIL))
        forger.rotate((MALLORY, EMIL))
        assert isinstance(refused(forger.bundle(1), zone, root=TrustedRoot.parse(second)), AnotherRoot)

    def test_a_forged_root_at_the_end_of_the_chain(self) -> None:
        zone = Zone()
        zone.rotate((MALLORY, EMIL), by=(MALLORY, EMIL))
        problem = refused(zone.bundle(1), zone)
        assert str(problem) == "2.root.json needs 2 of the 3 keys of root version 1, and 0 signed it".replace(
            "2.root", "metadata/2.root"
        )

    def test_a_new_root_that_only_the_old_signed(self) -> None:
        zone = Zone()
        zone.rotate((DORA, EMIL), by=(ANNA, BERT))
        assert "of root version 2" in str(refused(zone.bundle(1), zone))

    def test_a_new_root_that_only_the_new_signed(self) -> None:
        zone = Zone()
        zone.rotate((DORA, EMIL), by=(DORA, EMIL))
        assert "of root version 1, and 1 signed it" in str(refused(zone.bundle(1), zone))

    def test_a_hole_in_the_chain(self) -> None:
        """TUF reads a missing version as «there is no newer one», and would go on with the revoked key."""
        zone = Zone()
        stolen = zone.bundle(7, by=everywhere(ANNA, DORA))
        zone.rotate((ANNA, BERT, EMIL))
        zone.rotate((ANNA, BERT, EMIL))
        for missing in (1, 2):
            files = stolen | {
                f"metadata/{number}.root.json": data for number, data in enumerate(zone.chain, 1)
            }
            del files[f"metadata/{missing}.root.json"]
            problem = refused(files, zone)
            assert isinstance(problem, RootHole)
            assert problem.exit_code == 45
            assert f"metadata/{missing}.root.json is not there" in str(problem)

    def test_a_version_that_was_skipped(self) -> None:
        """Version 3 lies where version 2 should be, signed by all who were asked."""
        zone = Zone()
        zone.chain.append(signed(root_value(3, all_roles((ANNA, BERT), 2)), (ANNA, BERT)))
        zone.people = (ANNA, BERT)
        assert "says that it is version 3" in str(refused(zone.bundle(1), zone))

    def test_a_version_far_away(self) -> None:
        zone = Zone()
        files = zone.bundle(1) | {"metadata/9007199254740991.root.json": zone.chain[0]}
        assert "longer than 1024 versions" in str(refused(files, zone))

    def test_a_root_under_the_name_of_another(self) -> None:
        zone = Zone()
        second = zone.rotate((ANNA, EMIL))
        files = zone.bundle(1)
        swapped = files | {"metadata/1.root.json": second, "metadata/2.root.json": zone.chain[0]}
        assert isinstance(refused(swapped, zone), AnotherRoot)

    @pytest.mark.parametrize("field", ["keys", "roles", "expires", "consistent_snapshot"])
    def test_a_root_changed_after_it_was_signed(self, field: str) -> None:
        zone = Zone()
        zone.rotate((ANNA, EMIL))
        files = zone.bundle(1)

        def change(value: dict[str, Any]) -> None:
            if field == "roles":
                value["signed"]["roles"]["targets"]["threshold"] = 1
            elif field == "keys":
                first = next(iter(value["signed"]["keys"].values()))
                first["x-owner"] = "mallory"
            elif field == "expires":
                value["signed"]["expires"] = "2099-01-01T00:00:00Z"
            else:
                value["signed"][field] = False

        name = "metadata/2.root.json"
        value = json.loads(files[name])
        change(value)
        refused(files | {name: compact(value)}, zone)


class TestKeyCompromise:
    """A key is stolen, noticed and replaced."""

    def test_one_stolen_key_of_three_signs_nothing(self) -> None:
        zone = Zone()
        assert isinstance(refused(zone.bundle(7, by=everywhere(DORA, MALLORY)), zone), NotSignedByEnough)

    def test_after_its_revocation_a_bundle_that_it_helped_to_sign_is_refused(self) -> None:
        zone = Zone()
        old = zone.bundle(7, by=everywhere(ANNA, DORA))
        second = zone.rotate((ANNA, BERT, EMIL))
        known = TrustedRoot.parse(second)
        assert isinstance(refused(old, zone, root=known), RolledBack)
        assert isinstance(
            refused(old | {"metadata/2.root.json": second}, zone, root=known), NotSignedByEnough
        )
        fresh = zone.bundle(8, by=everywhere(ANNA, DORA))
        assert isinstance(refused(fresh, zone), NotSignedByEnough)

    def test_after_its_revocation_it_adds_nothing_to_enough_others(self) -> None:
        zone = Zone()
        zone.rotate((ANNA, BERT, EMIL))
        assert isinstance(refused(zone.bundle(7, by=everywhere(ANNA, BERT, DORA)), zone), ForeignSignature)
        open_(zone.bundle(7, by=everywhere(ANNA, EMIL)), zone.first)

    def test_the_holder_of_a_revoked_key_rotates_nothing(self) -> None:
        zone = Zone()
        zone.rotate((ANNA, BERT, EMIL))
        zone.rotate((DORA, MALLORY), by=(DORA, MALLORY, ANNA))
        assert isinstance(refused(zone.bundle(1), zone), NotSignedByEnough)

    def test_keys_of_one_role_sign_no_other(self) -> None:
        """A timestamp key lies on a less protected machine: it opens nothing but the timestamp."""
        holders = all_roles((ANNA, BERT), 2) | {"timestamp": ((EMIL,), 1)}
        zone = Zone(chain=[signed(root_value(1, holders), (ANNA, BERT))], people=(ANNA, BERT))
        open_(zone.bundle(1, by={"timestamp": (EMIL,)}), zone.first)
        for role in ("snapshot", "targets"):
            files = zone.bundle(1, by={"timestamp": (EMIL,), role: (EMIL,)})
            assert isinstance(refused(files, zone), NotSignedByEnough)

    def test_signatures_of_one_file_are_worth_nothing_on_another(self) -> None:
        zone = Zone()
        files = zone.bundle(7)
        snapshot = json.loads(files["metadata/7.snapshot.json"])
        moved = changed(files, "timestamp", lambda value: value.update(signatures=snapshot["signatures"]))
        assert isinstance(refused(moved, zone), NotSignedByEnough)

    def test_fast_forward_is_undone_by_a_rotation(self) -> None:
        """Stolen keys signed the highest number there is; see the trust state's tests for the rest."""
        zone = Zone()
        highest = 2**53 - 1
        past = after(open_(zone.bundle(highest), zone.first))
        assert isinstance(refused(zone.bundle(8), zone, past), RolledBack)
        zone.rotate((EMIL, MALLORY))
        assert open_(zone.bundle(8), zone.first, past).restarts


class TestArbitraryInstallation:
    """Other content under the names of the signed."""

    @pytest.mark.parametrize("target", ["release.json", "content.ndjson"])
    @pytest.mark.parametrize("how", ["changed", "longer", "shorter", "empty", "missing"])
    def test_a_target_that_is_not_what_was_signed(self, target: str, how: str) -> None:
        zone = Zone()
        files = dict(zone.bundle(7))
        name = next(name for name in files if name.endswith(target))
        data = files.pop(name)
        new = {
            "changed": bytes([data[0] ^ 1]) + data[1:],
            "longer": data + b" ",
            "shorter": data[:-1],
            "empty": b"",
        }
        if how != "missing":
            files[name] = new[how]
        problem = refused(files, zone)
        assert isinstance(problem, Damaged)
        assert problem.exit_code == 44

    def test_a_target_under_the_digest_of_the_forged_one(self) -> None:
        zone = Zone()
        files = dict(zone.bundle(7))
        name = next(name for name in files if name.endswith("release.json"))
        forged = files.pop(name).replace(b"For tests", b"For mallory")
        files[f"targets/{sha(forged)}.release.json"] = forged
        assert isinstance(refused(files, zone), (Stray, Damaged))

    @pytest.mark.parametrize(
        "name",
        ["install.sh", "../../etc/passwd", "release.json.sig", "attestation-.json", "attestation-A-1.json"],
    )
    def test_a_target_that_no_bundle_has_although_it_is_signed(self, name: str) -> None:
        zone = Zone()
        problem = refused(zone.bundle(7, targets={name: b"x"}), zone)
        assert isinstance(problem, Malformed)
        assert "7.targets.json" in str(problem)

    @pytest.mark.parametrize(
        "name",
        [
            "metadata/root.json",
            "metadata/8.root.json.bak",
            "metadata/6.targets.json",
            "metadata/7.unclaimed.json",
            "metadata/01.root.json",
            "metadata/.hidden",
            "targets/install.sh",
            "targets/release.json",
            "metadata/\x1b[31mred",
        ],
    )
    def test_a_file_that_nothing_signed_names(self, name: str) -> None:
        zone = Zone()
        problem = refused(zone.bundle(7) | {name: b"x"}, zone)
        assert isinstance(problem, Stray)
        assert problem.exit_code == 40
        assert str(problem).isprintable()

    @pytest.mark.parametrize("value", [{}, {"keys": {}, "roles": []}, None], ids=str)
    def test_delegations_even_empty_ones(self, value: object) -> None:
        """Independent clients disagree about them."""
        zone = Zone()
        edit = {"targets": lambda signed: signed.update(delegations=value)}
        assert "delegations" in str(refused(zone.bundle(7, edit=edit), zone))

    def test_delegations_to_somebody_else(self) -> None:
        zone = Zone()
        delegated = {
            "keys": {
                key_id(MALLORY.public): {
                    "keytype": "ed25519",
                    "keyval": {"public": MALLORY.public.raw.hex()},
                    "scheme": "ed25519",
                }
            },
            "roles": [
                {
                    "name": "mallory",
                    "keyids": [key_id(MALLORY.public)],
                    "threshold": 1,
                    "terminating": True,
                    "paths": ["*"],
                }
            ],
        }
        refused(zone.bundle(7, edit={"targets": lambda value: value.update(delegations=delegated)}), zone)


class TestEndlessData:
    """A file that never ends, to fill the memory or the disk."""

    @pytest.mark.parametrize(
        "name",
        [
            "metadata/1.root.json",
            "metadata/timestamp.json",
            "metadata/7.snapshot.json",
            "metadata/7.targets.json",
        ],
    )
    def test_no_more_than_the_limit_is_read(self, name: str) -> None:
        zone = Zone()
        asked: dict[str, int] = {}

        class Endless(MemorySource):
            def read(self, read: str, limit: int) -> bytes:
                asked[read] = limit
                if read == name:
                    raise Damaged(what=read, why=f"it is longer than the {limit} bytes that it may have")
                return super().read(read, limit)

        assert isinstance(refused(Endless(zone.bundle(7)), zone), Damaged)
        assert asked[name] == (5_000_000 if "targets" in name else 512_000)

    def test_of_a_target_no_more_than_its_signed_length_is_read(self) -> None:
        zone = Zone()
        files = zone.bundle(7)
        asked: dict[str, int] = {}

        class Watched(MemorySource):
            def read(self, name: str, limit: int) -> bytes:
                asked[name] = limit
                return super().read(name, limit)

        open_(Watched(files), zone.first)
        targets = {name: len(data) for name, data in files.items() if name.startswith("targets/")}
        assert {name: asked[name] for name in targets} == targets

    @pytest.mark.parametrize("role", ["root", *ONLINE])
    def test_a_file_beyond_its_limit(self, role: str) -> None:
        zone = Zone()
        files = zone.bundle(7)
        name = name_of(files, role)
        problem = refused({**files, name: files[name] + b" " * 5_000_000}, zone)
        assert isinstance(problem, Damaged)
        assert "longer than the" in str(problem)

    def test_a_signed_length_beyond_the_limit(self) -> None:
        zone = Zone()
        edit = {"targets": lambda value: value["targets"]["release.json"].update(length=2**50)}
        assert "of more than 1000000 bytes" in str(refused(zone.bundle(7, edit=edit), zone))

    def test_more_attestations_than_there_may_be(self) -> None:
        zone = Zone()
        targets = {f"attestation-a-{number}.json": b"{}" for number in range(257)}
        assert "more than 256 attestations" in str(refused(zone.bundle(7, targets=targets), zone))


class TestSlowRetrieval:
    """A medium that gives its bytes one by one, or never."""

    def test_a_medium_that_never_answers(self) -> None:
        zone = Zone()
        release = threading.Event()

        class Stuck(MemorySource):
            def read(self, name: str, limit: int) -> bytes:
                release.wait(60)
                return super().read(name, limit)

        began = time.monotonic()
        problem = refused(Patient(Stuck(zone.bundle(7)), grace=0.3, rate=1e9), zone)
        release.set()
        assert isinstance(problem, StuckMedium)
        assert "still has not given metadata/1.root.json" in str(problem)
        assert time.monotonic() - began < 30

    def test_a_medium_that_is_a_little_late_each_time(self) -> None:
        """Every read alone is quick enough; together they are not."""
        zone = Zone()

        class Late(MemorySource):
            def read(self, name: str, limit: int) -> bytes:
                time.sleep(0.15)
                return super().read(name, limit)

        for _ in range(5):
            zone.rotate(zone.people, 2)
        problem = refused(Patient(Late(zone.bundle(7)), grace=0.5, rate=1e9), zone)
        assert isinstance(problem, StuckMedium)

    def test_a_medium_whose_list_of_files_never_comes(self) -> None:
        zone = Zone()
        release = threading.Event()

        class Stuck(MemorySource):
            def names(self) -> frozenset[str]:
                release.wait(60)
                return super().names()

        problem = refused(Patient(Stuck(zone.bundle(7)), grace=0.2), zone)
        release.set()
        assert "the list of its files" in str(problem)

    def test_an_ordinary_medium_passes_and_its_problems_come_through(self) -> None:
        zone = Zone()
        open_(Patient(MemorySource(zone.bundle(7))), zone.first)
        assert isinstance(refused(Patient(MemorySource({})), zone), RootHole)


class TestMalleability:
    """Another file that means the same, or the same file that means another thing."""

    @pytest.mark.parametrize("role", ONLINE)
    def test_a_signature_with_s_above_the_order(self, role: str) -> None:
        zone = Zone()

        def raise_s(value: dict[str, Any]) -> None:
            raw = bytes.fromhex(value["signatures"][0]["sig"])
            s = int.from_bytes(raw[32:], "little") + ORDER
            value["signatures"][0]["sig"] = (raw[:32] + s.to_bytes(32, "little")).hex()

        assert isinstance(refused(changed(zone.bundle(7), role, raise_s), zone), NotSignedByEnough)

    @pytest.mark.parametrize(
        "public",
        [
            "01" + "00" * 31,
            "00" * 32,
            "ec" + "ff" * 30 + "7f",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ee" + "ff" * 30 + "7f",
        ],
    )
    def test_a_key_in_the_root_that_anyone_can_sign_for(self, public: str) -> None:
        value = root_value(2, all_roles((ANNA, BERT), 2))
        key = {"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"}
        value["keys"][sha(compact(key))] = key
        value["roles"]["targets"]["keyids"].append(sha(compact(key)))
        zone = Zone()
        zone.chain.append(signed(value, (ANNA, BERT)))
        assert isinstance(refused(zone.bundle(7), zone), Malformed)

    @pytest.mark.parametrize("role", ["root", *ONLINE])
    def test_every_bit_of_a_file_counts(self, role: str) -> None:
        zone = Zone()
        files = zone.bundle(7, by=everywhere(ANNA, BERT, DORA))
        name = name_of(files, role)
        for at in range(0, len(files[name]), 11):
            damaged = bytearray(files[name])
            damaged[at] ^= 1 << at % 8
            with pytest.raises(BundleRefused):
                open_({**files, name: bytes(damaged)}, zone.first)

    @given(st.data())
    def test_every_change_of_any_file_is_refused(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(FILES)))
        whole = bytearray(FILES[name])
        at = data.draw(st.integers(0, len(whole) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "remove", "repeat"]))
        if how == "flip":
            whole[at] ^= data.draw(st.integers(1, 255))
        elif how == "cut":
            del whole[at:]
        elif how == "insert":
            whole.insert(at, data.draw(st.integers(0, 255)))
        elif how == "remove":
            del whole[at]
        else:
            whole[at:at] = whole[: data.draw(st.integers(1, len(whole)))]
        if bytes(whole) != FILES[name]:
            with pytest.raises(BundleRefused):
                open_({**FILES, name: bytes(whole)}, ZONE.first)


ZONE = Zone()
ZONE.rotate((ANNA, BERT, EMIL))
FILES = ZONE.bundle(7, by=everywhere(ANNA, BERT, EMIL), targets={"attestation-a-1.json": b"{}"})

BEFORE = b'"version":7'
JSON_TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "a key twice, the last one wins": lambda data: data.replace(BEFORE, b'"version":7,"version":8'),
    "a key twice, the first one wins": lambda data: data.replace(BEFORE, b'"version":8,"version":7'),
    "a key twice by an escape": lambda data: data.replace(BEFORE, b'"version":7,"\\u0076ersion":8'),
    "a fraction": lambda data: data.replace(BEFORE, b'"version":7.0'),
    "an exponent": lambda data: data.replace(BEFORE, b'"version":7e0'),
    "a huge number": lambda data: data.replace(BEFORE, b'"version":' + b"7" * 4000),
    "a number beyond 2^53": lambda data: data.replace(BEFORE, b'"version":9007199254740993'),
    "true": lambda data: data.replace(BEFORE, b'"version":true'),
    "infinity": lambda data: data.replace(BEFORE, b'"version":Infinity'),
    "a lone surrogate": lambda data: data.replace(BEFORE, b'"version":7,"x":"\\ud800"'),
    "a surrogate in UTF-8": lambda data: data.replace(BEFORE, b'"version":7,"x":"\xed\xa0\x80"'),
    "a NUL": lambda data: data + b"\0",
    "something behind": lambda data: data + data,
    "a space": lambda data: data.replace(b":", b": ", 1),
    "a line end": lambda data: data + b"\n",
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "another order": lambda data: json.dumps(
        dict(reversed(json.loads(data).items())), separators=(",", ":")
    ).encode(),
    "nested without end": lambda data: b"[" * 200_000,
    "nested in an unknown field": lambda data: data.replace(
        BEFORE, BEFORE + b',"x":' + b"[" * 90_000 + b"]" * 90_000
    ),
    "a comment": lambda data: data + b"//",
    "another outer field": lambda data: data[:-1] + b',"unsigned":"free text"}',
}


@pytest.mark.parametrize("role", ONLINE)
@pytest.mark.parametrize("trick", JSON_TRICKS.values(), ids=JSON_TRICKS.keys())
def test_tricks_with_tufs_json_are_refused(trick: Callable[[bytes], bytes], role: str) -> None:
    """Two parsers that read one file differently make two clients believe two things."""
    zone = Zone()
    files = zone.bundle(7)
    name = name_of(files, role)
    assert trick(files[name]) != files[name]
    assert isinstance(refused({**files, name: trick(files[name])}, zone), (Malformed, Damaged))


@pytest.mark.parametrize("trick", [name for name in JSON_TRICKS if name not in ("something behind",)])
def test_tricks_with_our_json_are_refused_although_they_are_signed(trick: str) -> None:
    """The signers themselves sign a release that is not canonical: readers must not disagree about it."""
    zone = Zone()
    release = zone.release(7, zone_content()).render()
    data = JSON_TRICKS[trick](release.replace(b'"sequence":7', BEFORE)).replace(b'"version"', b'"sequence"')
    files = zone.bundle(7, targets={"release.json": data})
    assert isinstance(refused(files, zone), (Malformed, Damaged))


@pytest.mark.parametrize("role", ONLINE)
def test_unknown_fields_are_allowed_where_they_are_signed(role: str) -> None:
    zone = Zone()
    more: dict[str, Any] = {"x-tap-3": {"any": ["thing", 1, None, True]}}
    verified: VerifiedBundle = open_(
        zone.bundle(7, edit={role: lambda value: value.update(more)}), zone.first
    )
    assert verified.release.sequence == 7


def zone_content() -> Any:
    from airgap_bundle.content import content, raw

    return content([raw("files/a.txt", sha(b"7"), 9, "text/plain")])
