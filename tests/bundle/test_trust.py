"""Opening a bundle: what passes, what the report says, and rules beyond TUF's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from airgap_bundle import attest
from airgap_bundle.attest import Demand, NotVouched
from airgap_bundle.canonical import Malformed
from airgap_bundle.content import HELD, Entry, content
from airgap_bundle.metadata_source import Damaged, FolderSource, MemorySource
from airgap_bundle.order import Past
from airgap_bundle.policy import TWO_PEOPLE, Policy
from airgap_bundle.refusals import (
    AlreadyHere,
    AnotherHistory,
    AnotherStream,
    BaseMissing,
    Expired,
    ExpiredNeedsTwo,
    RolledBack,
    RootTooOld,
    Stray,
)
from airgap_bundle.report import Report, Result
from airgap_bundle.trust import BUILD_DATE, NotARoot, TrustedRoot, open_bundle, reference_time
from airgap_bundle.trusted_root import LONG_AGO
from tests.bundle.make_bundle import Keys, make_bundle
from tests.bundle.zone import ANNA, BERT, CREATED, DORA, EMIL, NOW, YEAR, Zone, after, open_, sha

DAY = timedelta(days=1)


class TestWhatPasses:
    def test_a_first_bundle(self) -> None:
        zone, report = Zone(), Report()
        files = zone.bundle(1)
        verified = open_(files, zone.first, report=report)
        assert verified.release.sequence == 1
        assert verified.release_sha256 == sha(zone.releases[1])
        assert [entry.path for entry in verified.content.entries] == ["files/a.txt"]
        assert dict(verified.metadata) == files
        assert verified.root_version == 1
        assert {signer.name for signer in verified.signers} == {"anna", "bert"}
        assert not verified.repeated
        assert [check.result for check in report.checks[1:9]] == [Result.PASSED] * 8
        assert (report.bundle, report.sequence, report.release) == (
            "zone-updates",
            1,
            verified.release_sha256,
        )
        assert (report.root_version, report.root_fingerprint) == (1, zone.first.fingerprint)
        assert report.checks[2].text.startswith("version 1, signed by 2 of 3 keys (2 needed), good until 20")

    def test_its_files_come_in_the_order_of_a_container(self) -> None:
        zone = Zone()
        zone.rotate((ANNA, EMIL))
        files = zone.bundle(1, targets={"attestation-b-1.json": b"{}", "attestation-a-1.json": b"{}"})
        shuffled = dict(sorted(files.items(), key=lambda pair: sha(pair[0].encode())))
        assert list(open_(shuffled, zone.first).metadata) == list(files)

    def test_a_bundle_by_plain_python_tuf_with_its_own_digests(self, tmp_path: Path) -> None:
        """Made by other code than ours: snapshot and timestamp name whole files by `hashes` and `length`."""
        made = make_bundle(tmp_path / "b", {"files/a": b"a"}, roots=[Keys.fresh(), Keys.fresh(4, 3)])
        verified = open_(FolderSource(made.folder), TrustedRoot.parse(made.root_bytes))
        assert dict(verified.metadata) == made.files
        assert list(verified.metadata) == list(made.files)

    def test_three_signatures_where_two_are_needed(self) -> None:
        zone = Zone()
        everyone = dict.fromkeys(("targets", "snapshot", "timestamp"), (ANNA, BERT, DORA))
        assert len(open_(zone.bundle(1, by=everyone), zone.first).signers) == 2 + 3 * 3

    def test_an_auditor_without_a_past_is_told_that_order_was_not_checked(self) -> None:
        zone, report = Zone(), Report()
        open_(zone.bundle(7), zone.first, Past.unknown(), report=report)
        assert report.checks[8].result is Result.NOT_CHECKED
        assert "no trust state" in report.checks[8].text

    def test_unknown_fields_that_are_signed(self) -> None:
        zone = Zone()
        more = {
            role: lambda value: value.update({"x-tap": [1]}) for role in ("targets", "snapshot", "timestamp")
        }
        open_(zone.bundle(1, edit=more), zone.first)


class TestRoots:
    def test_newer_roots_are_told_as_soon_as_they_are_verified(self) -> None:
        """Even when the rest is refused: a revocation must not be held up by a damaged bundle."""
        zone = Zone()
        second, third = zone.rotate((ANNA, EMIL)), zone.rotate((EMIL, DORA))
        files = zone.bundle(1)
        files["metadata/timestamp.json"] = b"damaged"
        told: list[bytes] = []
        with pytest.raises(Malformed):
            open_bundle(
                MemorySource(files), zone.first, Past(), clock=NOW, policy=Policy(), report=Report(),
                on_roots=told.extend,
            )  # fmt: skip
        assert told == [second, third]

    def test_nothing_is_told_when_the_chain_is_wrong(self) -> None:
        zone = Zone()
        zone.rotate((ANNA, EMIL), by=(EMIL,))
        told: list[bytes] = []
        with pytest.raises(Exception, match="root version 1"):
            open_bundle(
                MemorySource(zone.bundle(1)), zone.first, Past(), clock=NOW, policy=Policy(), report=Report(),
                on_roots=told.extend,
            )  # fmt: skip
        assert told == []

    def test_a_place_that_knows_a_later_root_checks_the_whole_chain_all_the_same(self) -> None:
        zone = Zone()
        second = zone.rotate((ANNA, EMIL))
        zone.rotate((EMIL, DORA))
        verified = open_(zone.bundle(1), TrustedRoot.parse(second))
        assert verified.root_version == 3
        assert verified.roots(after=2) == [zone.chain[2]]

    def test_more_signatures_on_a_trusted_root_change_nothing(self) -> None:
        """The same root was assembled twice, once from two shares and once from three."""
        from tests.bundle.zone import all_roles, root_value, signed

        value = root_value(1, all_roles((ANNA, BERT, DORA), 2))
        two, three = signed(value, (ANNA, BERT)), signed(value, (ANNA, BERT, DORA))
        assert two != three
        zone = Zone(chain=[three])
        assert open_(zone.bundle(1), TrustedRoot.parse(two)).metadata["metadata/1.root.json"] == three

    def test_a_release_may_ask_for_a_newer_root(self) -> None:
        zone = Zone()
        with pytest.raises(
            RootTooOld, match="ends at version 1, and this release asks for version 2"
        ) as refused:
            open_(zone.bundle(1, minimum_root=2), zone.first)
        assert refused.value.exit_code == 45

    @pytest.mark.parametrize(
        "data", [b"", b"{}", b"x" * 600_000, Zone().bundle(1)["metadata/timestamp.json"]]
    )
    def test_what_is_no_root_is_not_trusted(self, data: bytes, tmp_path: Path) -> None:
        (tmp_path / "r").write_bytes(data)
        with pytest.raises(NotARoot) as refused:
            TrustedRoot.read(tmp_path / "r")
        assert refused.value.exit_code == 19

    def test_an_unsigned_root_is_not_trusted(self) -> None:
        from tests.bundle.zone import all_roles, root_value, signed

        with pytest.raises(NotARoot):
            TrustedRoot.parse(signed(root_value(1, all_roles((ANNA, BERT), 2)), (ANNA,)))

    def test_the_fingerprint_is_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "r").write_bytes(Zone().chain[0])
        assert TrustedRoot.read(tmp_path / "r").fingerprint == sha(Zone().chain[0])


class TestTime:
    def test_it_is_the_latest_of_the_clock_the_past_and_the_build(self) -> None:
        zone = Zone()
        past = after(open_(zone.bundle(7), zone.first))
        made = CREATED + timedelta(hours=7)
        assert reference_time(NOW, past)[0] == NOW
        assert reference_time(LONG_AGO, past)[0] == made
        assert "bundle 7" in reference_time(LONG_AGO, past)[1]
        assert reference_time(LONG_AGO, Past())[0] == BUILD_DATE
        assert reference_time(datetime(2999, 1, 1, tzinfo=UTC), past)[1] == "by this machine's clock"

    def test_python_tuf_still_takes_its_time_from_where_we_set_it(self) -> None:
        """`reference_time` is an internal attribute: when it moves, this fails, and not some zone."""
        trusted = TrustedMetadataSet(Zone().chain[0], EnvelopeType.METADATA)
        assert abs(trusted.reference_time - datetime.now(UTC)) < timedelta(minutes=1)
        zone = Zone()
        timestamp = zone.bundle(1)["metadata/timestamp.json"]
        trusted.reference_time = CREATED + YEAR
        with pytest.raises(Exception, match="expired"):
            trusted.update_timestamp(timestamp)
        trusted.reference_time = CREATED + YEAR - timedelta(seconds=1)
        trusted = TrustedMetadataSet(zone.chain[0], EnvelopeType.METADATA)
        trusted.reference_time = CREATED + YEAR - timedelta(seconds=1)
        assert trusted.update_timestamp(timestamp).version == 1

    @pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
    def test_each_role_expires_by_itself(self, role: str) -> None:
        zone = Zone()
        soon = {role: lambda value: value.update(expires="2026-12-02T00:00:00Z")}
        files = zone.bundle(1, edit=soon)
        assert open_(files, zone.first, clock=CREATED).expires == datetime(2026, 12, 2, tzinfo=UTC)
        with pytest.raises(
            Expired, match=rf"{role}\.json expired on 2026-12-02T00:00:00Z; it is 2026-12-04"
        ) as refused:
            open_(files, zone.first)
        assert refused.value.exit_code == 42

    def test_a_root_expires_too(self) -> None:
        zone = Zone()
        with pytest.raises(Expired, match=r"1\.root\.json expired"):
            open_(zone.bundle(1, expires=CREATED + 9 * YEAR), zone.first, clock=CREATED + 4 * YEAR)

    def test_an_expired_root_that_is_followed_by_another_is_no_obstacle(self) -> None:
        from tests.bundle.zone import all_roles, root_value, signed

        first = signed(root_value(1, all_roles((ANNA, BERT), 2), expires=CREATED - YEAR), (ANNA, BERT))
        second = signed(root_value(2, all_roles((ANNA, BERT), 2)), (ANNA, BERT))
        zone = Zone(chain=[first, second], people=(ANNA, BERT))
        assert open_(zone.bundle(1), zone.first).root_version == 2

    def test_two_people_admit_what_expired_where_the_site_lets_them(self) -> None:
        zone, report = Zone(), Report()
        files, late = zone.bundle(1), CREATED + 2 * YEAR
        site = Policy(expired=TWO_PEOPLE)
        with pytest.raises(ExpiredNeedsTwo) as refused:
            open_(files, zone.first, clock=late, policy=site.admitted_by("anna", "Anna"))
        assert "1 of 2 are named" in refused.value.remedy
        verified = open_(
            files, zone.first, clock=late, policy=site.admitted_by("anna", "bert"), report=report
        )
        assert verified.admitted_by == ("anna", "bert")
        assert any("anna and bert admit it" in note for note in report.notes)
        with pytest.raises(Expired):
            open_(files, zone.first, clock=late, policy=Policy().admitted_by("anna", "bert"))

    def test_nobody_is_recorded_when_nothing_had_expired(self) -> None:
        zone = Zone()
        policy = Policy(expired=TWO_PEOPLE).admitted_by("anna", "bert")
        assert open_(zone.bundle(1), zone.first, policy=policy).admitted_by == ()

    def test_admitting_overlooks_expiry_and_nothing_else(self) -> None:
        zone = Zone()
        policy = Policy(expired=TWO_PEOPLE).admitted_by("anna", "bert")
        past = after(open_(zone.bundle(7), zone.first))
        with pytest.raises(RolledBack):
            open_(zone.bundle(6), zone.first, past, clock=CREATED + 2 * YEAR, policy=policy)

    def test_an_overdue_next_bundle_and_a_slow_clock_are_noted(self) -> None:
        zone, report = Zone(), Report()
        open_(zone.bundle(1), zone.first, clock=CREATED + 31 * DAY, report=report)
        assert any("may be cut off from newer ones" in note for note in report.notes)
        report = Report()
        open_(zone.bundle(1), zone.first, clock=datetime(1970, 1, 2, tzinfo=UTC), report=report)
        assert any("clock is 207" in note for note in report.notes)

    def test_metadata_that_expired_before_it_was_made_is_refused(self) -> None:
        zone = Zone()
        with pytest.raises(Malformed, match="expired before it was made"):
            open_(zone.bundle(1, expires=CREATED), zone.first, clock=CREATED - DAY)


class TestOrder:
    """Section 12 of the SPEC, line by line, with 5, 6 and 7 accepted."""

    @pytest.fixture
    def zone(self) -> Zone:
        return Zone()

    @pytest.fixture
    def past(self, zone: Zone) -> Past:
        return after(*(open_(zone.bundle(number), zone.first) for number in (5, 6, 7)))

    def test_the_same_is_here_already(self, zone: Zone, past: Past) -> None:
        report = Report()
        verified = open_(zone.bundle(7), zone.first, past, report=report)
        assert verified.repeated
        assert "is here already" in report.checks[8].text
        with pytest.raises(AlreadyHere) as refused:
            verified.refuse_repeat()
        assert refused.value.exit_code == 43

    def test_another_of_the_same_number_is_refused(self, zone: Zone, past: Past) -> None:
        with pytest.raises(AnotherHistory, match="this zone-updates 7 is not the one that was accepted here"):
            open_(zone.bundle(7, title="Another"), zone.first, past)

    def test_an_older_one_is_refused_before_its_content_is_read(self, zone: Zone, past: Past) -> None:
        report = Report()
        with pytest.raises(RolledBack, match="timestamp went backwards: 7 is here, the bundle offers 6"):
            open_(zone.bundle(6), zone.first, past, report=report)
        assert report.checks[2].result is Result.FAILED

    def test_the_next_follows_the_digest_of_the_one_before(self, zone: Zone, past: Past) -> None:
        report = Report()
        verified = open_(zone.bundle(8), zone.first, past, report=report)
        assert not verified.repeated
        assert report.checks[8].text == "zone-updates 8 comes after 7"
        with pytest.raises(AnotherHistory, match="follows another zone-updates 7"):
            open_(zone.bundle(8, previous="cd" * 32), zone.first, past)

    def test_a_full_bundle_may_skip_numbers(self, zone: Zone, past: Past) -> None:
        report = Report()
        open_(zone.bundle(10), zone.first, past, report=report)
        assert report.checks[8].text == "zone-updates 10 comes after 7 and skips 2"

    def test_a_delta_may_skip_numbers_when_its_base_was_accepted(self, zone: Zone, past: Past) -> None:
        open_(zone.bundle(10, base=6), zone.first, past)

    def test_a_delta_on_a_bundle_that_was_skipped_is_refused(self, zone: Zone, past: Past) -> None:
        with pytest.raises(
            BaseMissing, match="zone-updates 10 stands on zone-updates 8, which was not"
        ) as refused:
            open_(zone.bundle(10, base=8), zone.first, past)
        assert refused.value.exit_code == 45
        assert "Ingest zone-updates 8 first" in refused.value.remedy

    def test_the_first_bundle_may_have_any_number_but_no_base(self, zone: Zone) -> None:
        open_(zone.bundle(40), zone.first)
        with pytest.raises(BaseMissing):
            open_(zone.bundle(40, base=39), zone.first)

    def test_dates_do_not_go_back(self, zone: Zone, past: Past) -> None:
        with pytest.raises(RolledBack, match="the date went backwards"):
            open_(zone.bundle(8, created=CREATED), zone.first, past)

    def test_another_stream_is_refused(self, zone: Zone, past: Past) -> None:
        with pytest.raises(
            AnotherStream, match="a bundle of tenant-images, and zone-updates is received here"
        ):
            open_(zone.bundle(8, bundle="tenant-images"), zone.first, past)


class TestContent:
    def test_sums_must_agree(self) -> None:
        zone = Zone()
        with pytest.raises(Malformed, match="sums"):
            open_(
                zone.bundle(1, entries=[Entry("a/b", sha(b""), 0, "a/b", "raw", sha(b""), 0)], size=1),
                zone.first,
            )

    def test_what_is_held_needs_a_base(self) -> None:
        zone = Zone()
        with pytest.raises(Malformed, match="names no base"):
            open_(zone.bundle(1, entries=[Entry("a/b", sha(b""), 0, "a/b", HELD)]), zone.first)

    def test_the_sequence_is_the_version(self) -> None:
        zone = Zone()
        with pytest.raises(Malformed, match="it is number 3 under metadata of version 4"):
            open_(zone.bundle(4, sequence=3), zone.first)


class TestVouched:
    def bundle(self, zone: Zone, team: str = "debian", part: str | None = None) -> Mapping[str, bytes]:
        listed = content([Entry("apt/a.deb", sha(b"a"), 1, "a/b", "raw", sha(b"a"), 1)])
        envelope = attest.attest(part or "apt", listed.parts()["apt"], team, "reviewed", DORA)
        return zone.bundle(1, entries=listed.entries, targets={"attestation-apt-1.json": envelope.render()})

    def test_a_demand_that_is_met(self) -> None:
        zone, report = Zone(), Report()
        policy = Policy(demands=(Demand("apt", "debian", (DORA.public,)),))
        verified = open_(self.bundle(zone), zone.first, policy=policy, report=report)
        assert list(verified.attestations) == ["attestation-apt-1.json"]
        assert report.checks[7].text == "apt: debian (dora)"

    def test_a_demand_that_is_not_met(self) -> None:
        zone = Zone()
        policy = Policy(demands=(Demand("apt", "debian", (EMIL.public,)),))
        with pytest.raises(NotVouched) as refused:
            open_(self.bundle(zone), zone.first, policy=policy)
        assert refused.value.exit_code == 41

    def test_attestations_that_nobody_demands_are_carried_unread(self) -> None:
        zone, report = Zone(), Report()
        files = zone.bundle(1, targets={"attestation-x-1.json": b"no JSON at all"})
        open_(files, zone.first, report=report)
        assert "1 attestations are carried unread" in report.checks[7].text


class TestReading:
    def test_a_folder_is_read(self, tmp_path: Path) -> None:
        zone = Zone()
        files = zone.bundle(1)
        write(tmp_path, files)
        assert dict(open_(FolderSource(tmp_path), zone.first).metadata) == files

    @pytest.mark.parametrize("what", ["fifo", "link", "folder", "device"])
    def test_what_is_no_regular_file_is_refused(self, tmp_path: Path, what: str) -> None:
        zone = Zone()
        write(tmp_path, zone.bundle(1))
        path = tmp_path / "metadata" / "timestamp.json"
        path.rename(tmp_path / "elsewhere")
        if what == "fifo":
            os.mkfifo(path)
        elif what == "link":
            path.symlink_to(tmp_path / "elsewhere")
        elif what == "folder":
            path.mkdir()
        elif os.geteuid() == 0:
            os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))
        else:
            pytest.skip("making a device needs root")
        with pytest.raises(Malformed, match="not a regular file"):
            open_(FolderSource(tmp_path), zone.first)
        with pytest.raises((Malformed, OSError)):
            FolderSource(tmp_path).read("metadata/timestamp.json", 100)

    def test_a_flood_of_files_is_not_listed(self, tmp_path: Path) -> None:
        (tmp_path / "metadata").mkdir()
        for number in range(2_001):
            (tmp_path / "metadata" / f"{number}.root.json").touch()
        with pytest.raises(Malformed, match="more than 2000 files"):
            FolderSource(tmp_path).names()

    def test_a_missing_file_and_a_stray_are_named(self) -> None:
        zone = Zone()
        files = zone.bundle(1)
        with pytest.raises(Damaged, match=r"metadata/timestamp\.json is damaged: it is not there"):
            open_({name: data for name, data in files.items() if "timestamp" not in name}, zone.first)
        with pytest.raises(Stray, match=r"metadata/notes\.txt does not belong"):
            open_(files | {"metadata/notes.txt": b""}, zone.first)

    def test_a_medium_that_cannot_be_read_is_damaged(self) -> None:
        zone = Zone()

        class Broken(MemorySource):
            def read(self, name: str, limit: int) -> bytes:
                raise OSError(5, "Input/output error")

        with pytest.raises(Damaged, match="cannot be read"):
            open_(Broken(zone.bundle(1)), zone.first)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
