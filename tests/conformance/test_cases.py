"""The cases of the public TUF conformance suite that a simulator in memory can express, run on our workflow.

The suite itself (theupdateframework/tuf-conformance) runs the same client as a program, over HTTP and with a
false clock; see `client.py`. These need nothing but this repository, and say the same in words of our own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Signature  # type: ignore[attr-defined]
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, TargetFile  # type: ignore[attr-defined]

from airgap_bundle.keys import PrivateKey
from airgap_bundle.signing import Ed25519Key, TufSigner
from tests.conformance.simulator import NOW, TOP, Kept, Repository, crypto_signer, version

DAY = timedelta(days=1)
REST = ("targets", "snapshot", "timestamp")


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def kept(repository: Repository) -> Kept:
    return repository.first_client()


def refused(repository: Repository, kept: Kept, now: Any = NOW) -> None:
    with pytest.raises((RepositoryError, DownloadError)):
        repository.client(kept, now).refresh()


class TestRefreshing:
    def test_it_asks_for_just_what_it_needs(self, repository: Repository, kept: Kept) -> None:
        repository.client(kept).refresh()
        assert repository.requests == ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
        assert {role: kept.files[role] for role in TOP} == {
            role: repository.published[role][-1][1] for role in TOP
        }

    def test_what_has_not_changed_is_not_fetched_again(self, repository: Repository, kept: Kept) -> None:
        repository.client(kept).refresh()
        repository.client(kept).refresh()
        assert repository.requests == ["2.root.json", "timestamp.json"]

    def test_without_consistent_snapshots_names_have_no_number(self) -> None:
        repository = Repository(consistent=False)
        repository.client(repository.first_client()).refresh()
        assert repository.requests == ["2.root.json", "timestamp.json", "snapshot.json", "targets.json"]

    def test_bytes_are_kept_as_they_came(self, repository: Repository, kept: Kept) -> None:
        number, data = repository.published["timestamp"].pop()
        repository.put("timestamp", data + b" \n", number)
        repository.client(kept).refresh()
        assert kept.files["timestamp"] == data + b" \n"

    def test_a_first_root_that_is_none_is_refused_before_anything_is_asked(
        self, repository: Repository
    ) -> None:
        value = json.loads(repository.published["root"][0][1])
        del value["signed"]["version"]
        with pytest.raises(RepositoryError):
            repository.client(Kept({"root": json.dumps(value).encode()}))
        with pytest.raises(RepositoryError):
            repository.client(Kept())
        assert repository.requests == []

    def test_a_first_root_that_is_not_signed_is_refused(self, repository: Repository) -> None:
        value = json.loads(repository.published["root"][0][1])
        value["signatures"][0]["sig"] = "30" * 71
        with pytest.raises(RepositoryError):
            repository.client(Kept({"root": json.dumps(value).encode()}))

    @pytest.mark.parametrize(
        ("role", "trusted"),
        [
            ("root", {"root": 1}),
            ("timestamp", {"root": 2}),
            ("snapshot", {"root": 2, "timestamp": 2}),
            ("targets", {"root": 2, "timestamp": 2, "snapshot": 2}),
        ],
    )
    @pytest.mark.parametrize("wrong", ["unsigned", "version", "missing"])
    def test_what_comes_before_a_wrong_role_is_kept_and_nothing_more(
        self, repository: Repository, kept: Kept, role: str, trusted: dict[str, int], wrong: str
    ) -> None:
        if wrong == "missing" and role == "root":
            return  # that is how a chain ends
        if wrong == "version" and role == "timestamp":
            return  # its name has no number
        if wrong == "unsigned":
            repository.signers[role].clear()
        for one in ("root", *REST):
            if one != role or wrong == "unsigned":
                repository.publish(one)
            elif wrong == "version":
                repository.md[role].signed.version = 3
                repository.put(role, repository.signed(role), 2)
            elif role == "timestamp":
                repository.published[role].clear()
            else:
                setattr_named(repository, role, MetaFile(2))
        refused(repository, kept)
        assert kept.versions == trusted

    def test_a_timestamp_that_changed_without_its_number_is_left_where_it_is(
        self, repository: Repository, kept: Kept
    ) -> None:
        repository.client(kept).refresh()
        before = dict(kept.files)
        repository.timestamp.snapshot_meta.version = 100
        repository.put("timestamp", repository.signed("timestamp"), 1)
        repository.client(kept).refresh()
        assert kept.files == before
        assert repository.requests == ["2.root.json", "timestamp.json"]

    def test_a_file_of_another_type_is_refused(self, repository: Repository, kept: Kept) -> None:
        """A snapshot that would pass as a timestamp in all but its type, signed by the timestamp's key."""
        signer = next(iter(repository.signers["timestamp"].values()))
        repository.snapshot.meta = {"snapshot.json": MetaFile(1)}
        repository.md["snapshot"].signatures.clear()
        repository.md["snapshot"].signed.version = 2
        repository.md["snapshot"].sign(signer)
        repository.put("timestamp", repository.md["snapshot"].to_bytes(), 2)
        refused(repository, kept)
        assert kept.versions == {"root": 1}

    def test_unknown_fields_are_covered_by_the_signature(self, repository: Repository, kept: Kept) -> None:
        repository.root.unrecognized_fields["custom"] = {"a": [1, None]}
        repository.root.roles["root"].unrecognized_fields["custom"] = "value"
        repository.publish("root")
        repository.client(kept).refresh()
        assert kept.versions["root"] == 2
        repository.publish("root")
        number, data = repository.published["root"].pop()
        repository.put("root", data.replace(b'"value"', b'"other"'), number)
        refused(repository, kept)

    def test_a_misleading_field_of_a_key_is_ignored(self, repository: Repository, kept: Kept) -> None:
        repository.replace_key("snapshot")
        key = repository.root.keys[repository.root.roles["snapshot"].keyids[0]]
        key.unrecognized_fields["keyid_hash_algorithms"] = "md5"
        repository.publish("root", "snapshot", "timestamp")
        repository.client(kept).refresh()
        assert kept.versions["snapshot"] == 2


def setattr_named(repository: Repository, role: str, named: MetaFile) -> None:
    """Name a version of snapshot or targets that nobody published."""
    if role == "snapshot":
        repository.timestamp.snapshot_meta = named
    else:
        repository.snapshot.meta["targets.json"] = named


class TestDigestsOfMetadata:
    def test_digests_that_fit_are_taken(self, repository: Repository, kept: Kept) -> None:
        repository.hashes = True
        repository.publish(*REST)
        repository.client(kept).refresh()
        assert kept.versions == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2}

    @pytest.mark.parametrize("field", ["digest", "length"])
    @pytest.mark.parametrize("role", ["snapshot", "targets"])
    def test_digests_and_lengths_that_do_not_fit_are_refused(
        self, repository: Repository, kept: Kept, role: str, field: str
    ) -> None:
        repository.hashes = True
        repository.publish(role)
        named = (
            repository.timestamp.snapshot_meta
            if role == "snapshot"
            else repository.snapshot.meta["targets.json"]
        )
        assert named.hashes is not None
        assert named.length is not None
        if field == "digest":
            named.hashes["sha256"] = "0" * 64
        else:
            named.length -= 1
        repository.publish(*([] if role == "snapshot" else ["snapshot"]), "timestamp")
        refused(repository, kept)
        assert role not in kept.versions

    def test_a_snapshot_that_was_trusted_once_need_not_fit_a_newer_digest(
        self, repository: Repository, kept: Kept
    ) -> None:
        """The kept one guards against rollback, whatever the new timestamp says of the new one."""
        repository.hashes = True
        repository.publish(*REST)
        repository.client(kept).refresh()
        repository.publish("snapshot", "timestamp")
        repository.client(kept).refresh()
        assert kept.versions["snapshot"] == 3


class TestSignatures:
    def test_fewer_than_the_threshold(self, repository: Repository, kept: Kept) -> None:
        repository.root.roles["snapshot"].threshold = 3
        repository.add_key("snapshot")
        repository.add_key("snapshot")
        repository.publish("root", *REST)
        repository.client(kept).refresh()
        repository.signers["snapshot"].popitem()
        repository.publish(*REST)
        refused(repository, kept)
        assert kept.versions["snapshot"] == 2

    def test_fewer_keys_than_the_threshold(self, repository: Repository, kept: Kept) -> None:
        repository.root.roles["snapshot"].threshold = 2
        repository.publish("root", "snapshot", "timestamp")
        refused(repository, kept)
        assert "snapshot" not in kept.versions

    def test_one_signature_many_times(self, repository: Repository, kept: Kept) -> None:
        repository.root.roles["snapshot"].threshold = 2
        repository.add_key("snapshot")
        repository.signers["snapshot"].popitem()
        repository.publish("root", "snapshot", "timestamp")
        number, data = repository.published["snapshot"].pop()
        value = json.loads(data)
        value["signatures"] *= 9
        repository.put("snapshot", json.dumps(value).encode(), number)
        refused(repository, kept)
        assert "snapshot" not in kept.versions

    def test_one_key_many_times_in_a_role(self, repository: Repository, kept: Kept) -> None:
        number, data = 2, None
        repository.md["root"].signed.version = 2
        value = json.loads(repository.signed("root"))
        value["signed"]["roles"]["snapshot"]["keyids"] *= 3
        value["signed"]["roles"]["snapshot"]["threshold"] = 3
        data = resigned(repository, "root", value)
        repository.put("root", data, number)
        refused(repository, kept)
        assert kept.versions == {"root": 1}

    def test_a_signature_twice_although_once_is_enough(self, repository: Repository, kept: Kept) -> None:
        number, data = repository.published["snapshot"].pop()
        value = json.loads(data)
        value["signatures"] *= 2
        repository.put("snapshot", json.dumps(value).encode(), number)
        refused(repository, kept)

    @pytest.mark.parametrize("extra", ["3c" * 64, ""], ids=["plausible", "empty"])
    def test_a_wrong_signature_beside_enough_right_ones(
        self, repository: Repository, kept: Kept, extra: str
    ) -> None:
        """TUF looks for enough that are right. (Of a bundle, we refuse such a file on top of TUF.)"""
        other = repository.add_key("timestamp")
        del repository.signers["timestamp"][other.public_key.keyid]
        repository.publish("root", "timestamp")
        number, data = repository.published["timestamp"].pop()
        md: Metadata[Any] = Metadata.from_bytes(data)
        md.signatures[other.public_key.keyid] = Signature(other.public_key.keyid, extra)
        repository.put("timestamp", md.to_bytes(), number)
        repository.client(kept).refresh()
        assert kept.versions["timestamp"] == 2

    @pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
    def test_the_key_types_of_the_specification(self, repository: Repository, kept: Kept, kind: str) -> None:
        signer = TufSigner(PrivateKey.generate()) if kind == "ed25519" else crypto_signer(kind)
        repository.add_key("root", signer)
        repository.root.roles["root"].threshold = 2
        repository.publish("root")
        repository.client(kept).refresh()
        assert kept.versions["root"] == 2
        repository.publish("root")
        number, data = repository.published["root"].pop()
        md: Metadata[Any] = Metadata.from_bytes(data)
        wrong = md.signatures[signer.public_key.keyid].signature
        md.signatures[signer.public_key.keyid].signature = wrong[:-4] + (
            "0000" if wrong[-4:] != "0000" else "1111"
        )
        repository.put("root", md.to_bytes(), number)
        refused(repository, kept)
        assert kept.versions["root"] == 2


def resigned(repository: Repository, role: str, value: dict[str, Any]) -> bytes:
    """`value` with its signatures made again."""
    from securesystemslib.formats import encode_canonical

    payload = encode_canonical(value["signed"])
    assert payload is not None
    value["signatures"] = [one.sign(payload.encode()).to_dict() for one in repository.signers[role].values()]
    return json.dumps(value).encode()


class TestRollback:
    def test_an_older_timestamp(self, repository: Repository, kept: Kept) -> None:
        repository.publish("timestamp")
        repository.client(kept).refresh()
        repository.put("timestamp", repository.published["timestamp"][0][1], 1)
        refused(repository, kept)
        assert kept.versions["timestamp"] == 2

    @pytest.mark.parametrize("hashes", [False, True])
    def test_an_older_snapshot_under_a_newer_timestamp(
        self, repository: Repository, kept: Kept, hashes: bool
    ) -> None:
        repository.hashes = hashes
        repository.publish("snapshot", "timestamp")
        repository.client(kept).refresh()
        repository.put("snapshot", repository.published["snapshot"][0][1], 1)
        repository.publish("timestamp")
        refused(repository, kept)
        assert kept.versions["snapshot"] == 2

    @pytest.mark.parametrize("hashes", [False, True])
    def test_older_targets_under_a_newer_snapshot(
        self, repository: Repository, kept: Kept, hashes: bool
    ) -> None:
        repository.hashes = hashes
        repository.publish(*REST)
        repository.client(kept).refresh()
        repository.put("targets", repository.published["targets"][0][1], 1)
        repository.publish("snapshot", "timestamp")
        refused(repository, kept)
        assert kept.versions["targets"] == 2
        assert kept.versions["snapshot"] == 2

    def test_a_role_that_the_snapshot_no_longer_names(self, repository: Repository, kept: Kept) -> None:
        repository.client(kept).refresh()
        del repository.snapshot.meta["targets.json"]
        repository.publish("snapshot", "timestamp")
        refused(repository, kept)
        assert kept.versions["snapshot"] == 1

    def test_a_fast_forwarded_timestamp_is_recovered_from_by_its_new_key(
        self, repository: Repository, kept: Kept
    ) -> None:
        repository.timestamp.version = 99998
        repository.publish("timestamp")
        repository.client(kept).refresh()
        repository.replace_key("timestamp")
        repository.timestamp.version = 0
        repository.publish("root", "timestamp")
        repository.client(kept).refresh()
        assert kept.versions["timestamp"] == 1

    def test_a_fast_forwarded_snapshot_is_recovered_from_by_new_keys(
        self, repository: Repository, kept: Kept
    ) -> None:
        repository.snapshot.version = 99998
        repository.publish("snapshot", "timestamp")
        repository.client(kept).refresh()
        repository.replace_key("snapshot")
        repository.replace_key("timestamp")
        repository.snapshot.version = 0
        repository.publish("root", "snapshot", "timestamp")
        repository.client(kept).refresh()
        assert kept.versions["snapshot"] == 1

    def test_fast_forwarded_targets_are_recovered_from_by_a_new_snapshot_key(
        self, repository: Repository, kept: Kept
    ) -> None:
        repository.targets().version = 99998
        repository.publish(*REST)
        repository.client(kept).refresh()
        repository.replace_key("snapshot")
        repository.targets().version = 0
        repository.publish("root", *REST)
        repository.client(kept).refresh()
        assert kept.versions["targets"] == 1


class TestExpiry:
    def test_a_root_is_kept_before_its_expiry_is_looked_at(self, repository: Repository, kept: Kept) -> None:
        repository.client(kept).refresh()
        repository.root.expires = NOW - DAY
        repository.publish("root", *REST)
        refused(repository, kept)
        assert kept.versions == {"root": 2, "timestamp": 1, "snapshot": 1, "targets": 1}

    @pytest.mark.parametrize(
        ("role", "trusted"),
        [
            ("timestamp", {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}),
            ("snapshot", {"root": 1, "timestamp": 2, "snapshot": 1, "targets": 1}),
            ("targets", {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1}),
        ],
    )
    def test_an_expired_role_is_not_kept(
        self, repository: Repository, kept: Kept, role: str, trusted: dict[str, int]
    ) -> None:
        repository.client(kept).refresh()
        repository.md[role].signed.expires = NOW - 5 * DAY
        repository.publish(*REST)
        refused(repository, kept)
        assert kept.versions == trusted

    def test_an_expired_root_leads_to_its_successor(self, repository: Repository, kept: Kept) -> None:
        repository.root.expires = NOW + 7 * DAY
        repository.publish("root")
        repository.client(kept).refresh()
        repository.root.expires = NOW + 21 * DAY
        repository.publish("root")
        repository.client(kept, NOW + 18 * DAY).refresh()
        assert kept.versions["root"] == 3

    def test_an_expired_timestamp_still_guards_against_rollback(
        self, repository: Repository, kept: Kept
    ) -> None:
        repository.timestamp.expires = NOW + 7 * DAY
        repository.publish("timestamp")
        repository.client(kept).refresh()
        repository.timestamp.expires = NOW + 21 * DAY
        repository.publish(*REST)
        repository.client(kept, NOW + 18 * DAY).refresh()
        assert kept.versions == {"root": 1, "timestamp": 3, "snapshot": 2, "targets": 2}

    def test_the_moment_of_expiry_is_too_late(self, repository: Repository, kept: Kept) -> None:
        repository.timestamp.expires = NOW
        repository.publish("timestamp")
        refused(repository, kept)
        repository.client(kept, NOW - timedelta(seconds=1)).refresh()


KEYS = [PrivateKey(bytes([number]) * 32) for number in range(10)]
Version = tuple[list[int], int, list[int]]
"""Who holds the root role, the threshold, and who signs this version."""
ROTATIONS: dict[str, tuple[list[Version], int]] = {
    "one key, again and again": ([([1], 1, [1]), ([1], 1, [1]), ([1], 1, [1])], 3),
    "one key for another": ([([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])], 3),
    "another without the old": ([([1], 1, [1]), ([2], 1, [2])], 1),
    "another without the new": ([([1], 1, [1]), ([2], 1, [1])], 1),
    "a threshold of all": ([([1, 2, 3], 3, [1, 2, 3]), ([1, 2, 3], 3, [1, 2, 3])], 2),
    "two of three, one changes": (
        [([1, 2, 3], 2, [1, 3]), ([1, 3, 4], 2, [1, 3]), ([1, 3, 4], 2, [4, 1])],
        3,
    ),
    "two of three, all change": (
        [([1, 2, 3], 2, [1, 3]), ([4, 5, 6], 2, [1, 3, 4, 5]), ([4, 5, 6], 2, [4, 6])],
        3,
    ),
    "two of three, all change, one old is missing": ([([1, 2, 3], 2, [1, 3]), ([4, 5, 6], 2, [1, 4, 5])], 1),
    "two of three, all change, one new is missing": ([([1, 2, 3], 2, [1, 3]), ([4, 5, 6], 2, [1, 2, 4])], 1),
    "the threshold rises": ([([1], 1, [1]), ([1, 2], 2, [1, 2]), ([1, 2], 2, [1, 2])], 3),
    "the threshold rises and is not met": ([([1], 1, [1]), ([1, 2], 2, [1])], 1),
    "the threshold falls": ([([1, 2], 2, [1, 2]), ([1], 1, [1, 2]), ([1], 1, [1])], 3),
    "the threshold falls too early": ([([1, 2], 2, [1, 2]), ([1], 1, [1])], 1),
    "a stranger signs too": ([([1], 1, [1]), ([1], 1, [1, 9])], 2),
    "a stranger signs instead": ([([1], 1, [1]), ([1], 1, [9])], 1),
    "through many": ([([n], 1, [n, n - 1] if n > 1 else [1]) for n in range(1, 9)], 8),
}


@pytest.mark.parametrize(("versions", "reached"), ROTATIONS.values(), ids=ROTATIONS.keys())
def test_rotations_of_the_root(versions: list[Version], reached: int) -> None:
    repository = Repository()
    repository.published["root"].clear()
    repository.root.version = 0
    for holders, threshold, signing in versions:
        for keyid in list(repository.root.roles["root"].keyids):
            repository.root.revoke_key(keyid, "root")
        for number in holders:
            repository.root.add_key(Ed25519Key.of(KEYS[number].public), "root")
        repository.root.roles["root"].threshold = threshold
        signers = [TufSigner(KEYS[number]) for number in signing]
        repository.signers["root"] = {one.public_key.keyid: one for one in signers}
        repository.publish("root")
    kept = repository.first_client()
    if reached == len(versions):
        repository.client(kept).refresh()
    else:
        refused(repository, kept)
    assert kept.versions["root"] == reached


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
@pytest.mark.parametrize("signs", ["old", "new", "both"])
def test_rotations_of_other_roles(repository: Repository, kept: Kept, role: str, signs: str) -> None:
    """The new root decides at once; what the old key signed is worth nothing from then on."""
    repository.client(kept).refresh()
    old = dict(repository.signers[role])
    repository.replace_key(role)
    if signs == "old":
        repository.signers[role] = old
    if signs == "both":
        repository.signers[role] |= old
    repository.publish("root", *REST)
    if signs == "old":
        refused(repository, kept)
        assert kept.versions[role] == 1
    else:
        repository.client(kept).refresh()
        assert kept.versions[role] == 2


class TestDownloading:
    @pytest.mark.parametrize("name", ["file.txt", "a/path/to/file.txt", "with spaces & more/ümlaut.txt"])
    def test_a_target(self, repository: Repository, kept: Kept, tmp_path: Path, name: str) -> None:
        repository.add_target(name, b"content")
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        client.download(name, tmp_path, repository.target)
        [path] = tmp_path.iterdir()
        assert path.read_bytes() == b"content"

    def test_it_is_not_fetched_twice(self, repository: Repository, kept: Kept, tmp_path: Path) -> None:
        repository.add_target("file", b"content")
        repository.publish(*REST)
        for asked in (1, 0):
            client = repository.client(kept)
            client.refresh()
            client.download("file", tmp_path, repository.target)
            assert sum(request.endswith(".file") for request in repository.requests) == asked

    def test_a_changed_one_replaces_the_old(self, repository: Repository, kept: Kept, tmp_path: Path) -> None:
        for content in (b"one", b"two", b"three"):
            repository.add_target("file", content)
            repository.publish(*REST)
            client = repository.client(kept)
            client.refresh()
            client.download("file", tmp_path, repository.target)
            [path] = tmp_path.iterdir()
            assert path.read_bytes() == content

    @pytest.mark.parametrize("served", [b"contenT", b"conten", b"content and more", None])
    def test_another_content_is_refused(
        self, repository: Repository, kept: Kept, tmp_path: Path, served: bytes | None
    ) -> None:
        repository.add_target("file", b"content")
        repository.publish(*REST)
        [name] = repository.files
        repository.files.pop(name)
        if served is not None:
            repository.files[name] = served
        client = repository.client(kept)
        client.refresh()
        with pytest.raises((RepositoryError, DownloadError)):
            client.download("file", tmp_path, repository.target)
        assert list(tmp_path.iterdir()) == []

    def test_two_that_were_swapped_are_refused(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        repository.add_target("one", b"1")
        repository.add_target("two", b"2")
        repository.publish(*REST)
        one, two = repository.files
        repository.files[one], repository.files[two] = repository.files[two], repository.files[one]
        client = repository.client(kept)
        client.refresh()
        for name in ("one", "two"):
            with pytest.raises(RepositoryError):
                client.download(name, tmp_path, repository.target)

    def test_one_that_nobody_offers_is_refused(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        client = repository.client(kept)
        client.refresh()
        with pytest.raises(RepositoryError, match="is not in the repository"):
            client.download("file", tmp_path, repository.target)

    @pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
    def test_kinds_of_digests(
        self, repository: Repository, kept: Kept, tmp_path: Path, algorithm: str
    ) -> None:
        target = TargetFile.from_data("file", b"content", [algorithm])
        repository.targets().targets["file"] = target
        repository.files[f"{target.hashes[algorithm]}.file"] = b"content"
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        client.download("file", tmp_path, repository.target)

    def test_a_digest_of_an_unknown_kind_is_refused(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        repository.add_target("file", b"content")
        target = repository.targets().targets["file"]
        target.hashes = {"sha999": target.hashes["sha256"]}
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        with pytest.raises(RepositoryError):
            client.download("file", tmp_path, repository.target)


Edge = tuple[str, str, bool, list[str]]
"""Who delegates, to whom, whether it ends there, and which paths."""
GRAPHS: dict[str, tuple[list[Edge], list[str]]] = {
    "one": ([("targets", "a", False, ["*"])], ["a"]),
    "in their order": ([("targets", "a", False, ["*"]), ("targets", "b", False, ["*"])], ["a", "b"]),
    "depth first": (
        [("targets", "a", False, ["*"]), ("targets", "b", False, ["*"]), ("a", "c", False, ["*"])],
        ["a", "c", "b"],
    ),
    "terminating": ([("targets", "a", True, ["*"]), ("targets", "b", False, ["*"])], ["a"]),
    "terminating further down": (
        [("targets", "a", False, ["*"]), ("targets", "b", False, ["*"]), ("a", "c", True, ["*"])],
        ["a", "c"],
    ),
    "a circle": (
        [("targets", "a", False, ["*"]), ("a", "b", False, ["*"]), ("b", "a", False, ["*"])],
        ["a", "b"],
    ),
    "to itself": ([("targets", "a", False, ["*"]), ("a", "a", False, ["*"])], ["a"]),
    "a diamond": (
        [
            ("targets", "a", False, ["*"]),
            ("targets", "b", False, ["*"]),
            ("a", "c", False, ["*"]),
            ("b", "c", False, ["*"]),
        ],
        ["a", "c", "b"],
    ),
    "only where the path fits": (
        [
            ("targets", "a", False, ["*.py"]),
            ("targets", "b", False, ["*.txt"]),
            ("targets", "c", True, ["x/*"]),
        ],
        ["b"],
    ),
    "unusual names": (
        [("targets", "../a", False, ["*"]), ("targets", "ü/ö?", False, ["*"])],
        ["../a", "ü/ö?"],
    ),
}


class TestDelegations:
    """Bundles refuse them; our client walks them for the suite, so that what it walks on is tested whole."""

    @pytest.mark.parametrize(("edges", "visited"), GRAPHS.values(), ids=GRAPHS.keys())
    def test_the_order_of_a_search(
        self, repository: Repository, kept: Kept, tmp_path: Path, edges: list[Edge], visited: list[str]
    ) -> None:
        for parent, child, terminating, paths in edges:
            repository.delegate(parent, child, paths, terminating=terminating)
        for role in dict.fromkeys(child for _, child, _, _ in edges):
            repository.publish(role)
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        repository.requests.clear()
        with pytest.raises(RepositoryError, match="is not in the repository"):
            client.download("missing.txt", tmp_path, repository.target)
        assert repository.requests == [f"1.{role}.json" for role in visited]

    def test_the_most_trusted_role_that_offers_it_wins(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        for role, content in (("a", b"from a"), ("b", b"from b")):
            repository.delegate("targets", role, ["*"])
            repository.add_target("file", content, role)
            repository.publish(role)
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        client.download("file", tmp_path, repository.target)
        assert (tmp_path / "file").read_bytes() == b"from a"

    def test_a_role_that_the_snapshot_does_not_name_is_refused(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        repository.delegate("targets", "a", ["*"])
        repository.add_target("file", b"content", "a")
        repository.publish("a")
        del repository.snapshot.meta["a.json"]
        repository.publish(*REST)
        client = repository.client(kept)
        client.refresh()
        with pytest.raises(RepositoryError):
            client.download("file", tmp_path, repository.target)

    def test_a_role_is_verified_by_whoever_delegates_to_it_each_time(
        self, repository: Repository, kept: Kept, tmp_path: Path
    ) -> None:
        """`b` delegates to `shared` with other keys: what `a` vouched for is not `b`'s word."""
        repository.delegate("targets", "a", ["one"])
        repository.delegate("targets", "b", ["two"])
        repository.delegate("a", "shared", ["*"])
        repository.delegate("b", "shared", ["*"])
        delegations = repository.targets("b").delegations
        assert delegations is not None
        assert delegations.roles is not None
        delegations.roles["shared"].keyids.clear()
        repository.targets("b").add_key(Ed25519Key.of(KEYS[1].public), "shared")
        for name in ("one", "two"):
            repository.add_target(name, b"content", "shared")
        repository.publish("shared", "a", "b", *REST)
        client = repository.client(kept)
        client.refresh()
        client.download("one", tmp_path, repository.target)
        with pytest.raises(RepositoryError):
            client.download("two", tmp_path, repository.target)


def test_the_versions_that_a_client_keeps_are_those_inside(repository: Repository, kept: Kept) -> None:
    """The simulator itself: what it serves is what it says."""
    repository.publish("root", *REST)
    repository.client(kept).refresh()
    served: Callable[[str], int] = lambda role: version(repository.published[role][-1][1])  # noqa: E731
    assert kept.versions == {role: served(role) for role in TOP}
