"""Signing by shares: nobody's share counts twice, for other bytes, or by another key."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import metadata
from airgap_bundle.canonical import Malformed
from airgap_bundle.refusals import NotSignedByEnough
from airgap_bundle.shares import (
    ForeignShare,
    NotASigner,
    Share,
    merge_bundle,
    merge_root,
    sign_bundle,
    sign_root,
    standing_of_bundle,
)
from airgap_bundle.trust import TrustedRoot
from tests.bundle.zone import (
    ANNA,
    BERT,
    CREATED,
    DORA,
    EMIL,
    MALLORY,
    YEAR,
    Zone,
    all_roles,
    key_id,
    open_,
    root_value,
    signed,
)

ZONE = Zone()
ROOT = ZONE.chain[0]
FILES = ZONE.bundle(1)
TARGETS = {name.split(".", 1)[1]: data for name, data in FILES.items() if name.startswith("targets/")}
DRAFT = metadata.bundle(TARGETS, 1, CREATED + YEAR)


def share(who: object = ANNA, draft: dict[str, bytes] = DRAFT) -> Share:
    return sign_bundle(draft, ROOT, who)  # type: ignore[arg-type]


def whole(signed_files: dict[str, bytes]) -> dict[str, bytes]:
    return {
        **{name: data for name, data in FILES.items() if "root" in name or "targets/" in name},
        **signed_files,
    }


def test_two_of_three_make_a_bundle() -> None:
    merged = merge_bundle(DRAFT, [share(ANNA), share(DORA)], ROOT)
    verified = open_(whole(merged), ZONE.first)
    assert {signer.name for signer in verified.signers if signer.role == "targets"} == {"anna", "dora"}


def test_the_order_of_shares_makes_no_difference() -> None:
    one = merge_bundle(DRAFT, [share(ANNA), share(BERT), share(DORA)], ROOT)
    other = merge_bundle(DRAFT, [share(DORA), share(BERT), share(ANNA)], ROOT)
    assert one == other


def test_shares_can_be_merged_one_after_the_other() -> None:
    anna_only = {
        name: metadata.with_signatures(
            data, {key_id(ANNA.public): share(ANNA).signatures[name.split("/")[1]].sig}
        )
        for name, data in DRAFT.items()
    }
    at_once = merge_bundle(DRAFT, [share(ANNA), share(BERT)], ROOT)
    assert merge_bundle(anna_only, [share(BERT)], ROOT) == at_once
    assert merge_bundle(at_once, [], ROOT) == at_once


def test_a_share_is_read_as_it_was_written() -> None:
    assert Share.parse(share().render()) == share()
    assert Share.parse(share().render()).key.comment == "anna"
    assert set(share().signatures) == {"timestamp.json", "1.snapshot.json", "1.targets.json"}


@given(st.binary(max_size=50), st.integers(0, 5000), st.integers(0, 7))
def test_only_canonical_shares_are_read(noise: bytes, at: int, bit: int) -> None:
    damaged = bytearray(share().render())
    damaged[at % len(damaged)] ^= 1 << bit
    for data in (noise, bytes(damaged)):
        with suppress(Malformed):
            assert Share.parse(data).render() == data


def test_one_person_with_many_shares_counts_once() -> None:
    with pytest.raises(NotSignedByEnough) as refused:
        merge_bundle(DRAFT, [share(ANNA), share(ANNA), Share.parse(share(ANNA).render())], ROOT)
    assert str(refused.value) == "timestamp.json needs 2 of the 3 keys of root version 1, and 1 signed it"
    assert "bert" in refused.value.remedy
    assert "dora" in refused.value.remedy
    assert "anna" not in refused.value.remedy
    assert refused.value.exit_code == 41


def test_who_is_missing_is_said_before_anything_is_merged() -> None:
    lines = standing_of_bundle(DRAFT, [share(ANNA)], ROOT)
    assert lines[2].startswith(
        "1.targets.json: 2 of 3 keys needed, 1 given; still missing from: bert SHA256:"
    )
    assert standing_of_bundle(DRAFT, [share(ANNA), share(BERT)], ROOT)[0] == (
        "timestamp.json: 2 of 3 keys needed, 2 given"
    )


def test_a_share_of_another_bundle_is_refused() -> None:
    other = metadata.bundle(TARGETS | {"release.json": b"{}"}, 1, CREATED + YEAR)
    with pytest.raises(ForeignShare, match=r"anna .* it signs another timestamp\.json than this one"):
        merge_bundle(DRAFT, [share(BERT), share(ANNA, other)], ROOT)


def test_a_share_of_another_sequence_is_refused() -> None:
    other = metadata.bundle(TARGETS, 2, CREATED + YEAR)
    with pytest.raises(ForeignShare):
        merge_bundle(DRAFT, [share(ANNA, other)], ROOT)


def test_a_share_by_a_stranger_is_refused() -> None:
    with pytest.raises(NotASigner, match="may sign nothing of this") as refused:
        share(MALLORY)
    assert "anna" in refused.value.remedy
    forged = replace(share(ANNA), key=MALLORY.public)
    with pytest.raises(ForeignShare, match="the root does not name its key"):
        merge_bundle(DRAFT, [share(ANNA), share(BERT), forged], ROOT)


def test_a_share_under_another_name_is_refused() -> None:
    forged = replace(share(ANNA), key=BERT.public)
    with pytest.raises(ForeignShare, match="is not valid"):
        merge_bundle(DRAFT, [share(ANNA), forged], ROOT)


def test_a_share_with_a_damaged_signature_is_refused() -> None:
    one = share(ANNA).signatures["1.targets.json"]
    forged = replace(
        share(ANNA), signatures={**share(ANNA).signatures, "1.targets.json": one._replace(sig="00" * 64)}
    )
    with pytest.raises(ForeignShare, match=r"1\.targets\.json is not valid"):
        merge_bundle(DRAFT, [share(BERT), forged], ROOT)


def test_a_share_that_leaves_a_file_out_is_refused() -> None:
    less = {name: one for name, one in share(ANNA).signatures.items() if name != "timestamp.json"}
    with pytest.raises(ForeignShare, match=r"does not sign timestamp\.json"):
        merge_bundle(DRAFT, [share(BERT), replace(share(ANNA), signatures=less)], ROOT)


def test_a_share_of_something_more_is_refused() -> None:
    more = {**share(ANNA).signatures, "2.root.json": share(ANNA).signatures["timestamp.json"]}
    with pytest.raises(ForeignShare, match=r"it signs 2\.root\.json, which is not here"):
        merge_bundle(DRAFT, [share(BERT), replace(share(ANNA), signatures=more)], ROOT)


def test_nobody_signs_files_that_do_not_belong_together() -> None:
    other = metadata.bundle(TARGETS | {"release.json": b"{}"}, 1, CREATED + YEAR)
    mixed = DRAFT | {"metadata/1.targets.json": other["metadata/1.targets.json"]}
    with pytest.raises(Malformed, match="not the one that the metadata beside it names"):
        share(ANNA, mixed)
    with pytest.raises(Malformed, match="not exactly one snapshot"):
        share(ANNA, {name: data for name, data in DRAFT.items() if "snapshot" not in name})


def test_a_role_with_its_own_keys_is_signed_by_those() -> None:
    holders = all_roles((ANNA, BERT, DORA), 2) | {"timestamp": ((EMIL,), 1)}
    root = signed(root_value(1, holders), (ANNA, BERT))
    anna, emil = sign_bundle(DRAFT, root, ANNA), sign_bundle(DRAFT, root, EMIL)
    assert set(anna.signatures) == {"1.snapshot.json", "1.targets.json"}
    assert set(emil.signatures) == {"timestamp.json"}
    with pytest.raises(NotSignedByEnough) as refused:
        merge_bundle(DRAFT, [anna, sign_bundle(DRAFT, root, BERT)], root)
    assert "emil" in refused.value.remedy
    merge_bundle(DRAFT, [anna, sign_bundle(DRAFT, root, BERT), emil], root)


def test_the_signature_of_a_revoked_key_is_left_out_when_merged_again() -> None:
    """All three signed; then the root that names dora no more came. Two are still enough."""
    by_all = merge_bundle(DRAFT, [share(ANNA), share(BERT), share(DORA)], ROOT)
    without_dora = signed(root_value(2, all_roles((ANNA, BERT, EMIL), 2)), (ANNA, BERT))
    merged = merge_bundle(by_all, [], without_dora)
    assert merged == merge_bundle(DRAFT, [share(ANNA), share(BERT)], ROOT)


class TestRoots:
    NEW = signed(root_value(2, all_roles((BERT, EMIL), 2)), [])

    def test_a_new_root_is_signed_by_the_old_and_by_the_new(self) -> None:
        shares = [sign_root(self.NEW, ROOT, who) for who in (ANNA, BERT, EMIL)]
        merged = merge_root(self.NEW, shares, ROOT)
        assert TrustedRoot.parse(merged).version == 2

    @pytest.mark.parametrize(
        ("who", "missing"),
        [((BERT, EMIL), "anna"), ((ANNA, BERT), "emil"), ((ANNA, EMIL), "bert"), ((), "anna")],
        ids=["without the old", "without the new", "without who is both", "by nobody"],
    )
    def test_either_alone_is_not_enough(self, who: tuple[object, ...], missing: str) -> None:
        shares = [sign_root(self.NEW, ROOT, one) for one in who]  # type: ignore[arg-type]
        with pytest.raises(NotSignedByEnough) as refused:
            merge_root(self.NEW, shares, ROOT)
        assert missing in refused.value.remedy

    def test_a_stranger_signs_no_root(self) -> None:
        with pytest.raises(NotASigner):
            sign_root(self.NEW, ROOT, MALLORY)

    def test_a_version_is_not_skipped(self) -> None:
        with pytest.raises(Malformed, match="version 3 does not follow"):
            sign_root(signed(root_value(3, all_roles((ANNA,), 1)), []), ROOT, ANNA)
        with pytest.raises(Malformed, match="version 2 does not follow"):
            sign_root(self.NEW, None, BERT)

    def test_the_first_root_is_signed_by_its_own_holders(self) -> None:
        new = signed(root_value(1, all_roles((ANNA, BERT), 2)), [])
        merged = merge_root(new, [sign_root(new, None, ANNA), sign_root(new, None, BERT)], None)
        assert TrustedRoot.parse(merged).version == 1


@pytest.mark.parametrize(
    "change",
    [
        {"format": "airgap-bundle/share/2"},
        {"key": "ssh-rsa AAAA"},
        {"key": 7},
        {"signatures": []},
        {"signatures": {"x": {"sha256": "ab" * 32}}},
        {"signatures": {"x": {"sha256": "ab" * 32, "sig": "cd" * 64, "more": 1}}},
        {"signatures": {"x": {"sha256": "AB" * 32, "sig": "cd" * 64}}},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_share_is_refused(change: dict[str, object]) -> None:
    value = json.loads(share().render()) | change
    with pytest.raises(Malformed):
        Share.parse(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def test_an_endless_share_is_refused() -> None:
    with pytest.raises(Malformed, match="larger than"):
        Share.parse(b"x" * 70_000)
