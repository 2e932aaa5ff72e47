"""DSSE envelopes, attestations and receipts: what counts as signed, and what only looks like it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import attest, receipt
from airgap_bundle.attest import Demand, NotVouched
from airgap_bundle.canonical import Malformed, render
from airgap_bundle.content import Part
from airgap_bundle.dsse import Envelope, TooFewSignatures, pre_authentication
from airgap_bundle.errors import BundleRefused
from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.receipt import Held, Receipt, from_codes, to_codes

ANNA, BEAT, CARLA = (PrivateKey(bytes([n]) * 32, name) for n, name in enumerate(("anna", "beat", "carla")))
PART = Part(2, 30, hashlib.sha256(b"apt").hexdigest())
NOW = datetime(2026, 11, 24, 8, 12, tzinfo=UTC)
SHA = hashlib.sha256(b"release").hexdigest()


def a_receipt(**other: Any) -> Receipt:
    facts: dict[str, Any] = {
        "site": "zone-geneva",
        "bundle": "zone-updates",
        "outcome": "partial",
        "accepted": Held(7, SHA),
        "kept": (Held(6, hashlib.sha256(b"six").hexdigest()), Held(7, SHA)),
        "created": NOW,
        "live": {"apt": 7, "pypi": 6},
        "hosts": {6: 2, 7: 118},
        "remarks": "2 hosts wait for a window",
    }
    return Receipt(**(facts | other))


def test_the_signed_bytes_are_those_of_the_published_example() -> None:
    assert pre_authentication("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_signatures_made_apart_are_merged_and_counted_once_a_key() -> None:
    plain = Envelope("a/b", b"payload", {})
    merged = plain.signed(ANNA).merged(plain.signed(BEAT), "it").merged(plain.signed(ANNA), "it")
    keys = [ANNA.public, BEAT.public, CARLA.public]
    assert merged.verify(keys, 2, "it") == sorted([ANNA.public, BEAT.public], key=lambda k: k.fingerprint)
    with pytest.raises(TooFewSignatures, match="signed by 2 of the 3 keys that count, and 3 are needed"):
        merged.verify(keys, 3, "it")


def test_a_signature_of_another_payload_another_type_or_a_stranger_does_not_count() -> None:
    keys = [ANNA.public]
    good = Envelope("a/b", b"payload", {}).signed(ANNA)
    for other in (
        Envelope("a/b", b"other", good.signatures),
        Envelope("a/c", b"payload", good.signatures),
        Envelope("a/b", b"payload", {}).signed(BEAT),
        Envelope("a/b", b"payload", {ANNA.public.fingerprint: BEAT.sign(b"payload")}),
    ):
        with pytest.raises(TooFewSignatures):
            other.verify(keys, 1, "it")


def test_a_threshold_of_none_still_needs_one() -> None:
    with pytest.raises(TooFewSignatures):
        Envelope("a/b", b"payload", {}).verify([ANNA.public], 0, "it")


def test_merging_what_signs_something_else_is_refused() -> None:
    with pytest.raises(Malformed, match="signs something else"):
        Envelope("a/b", b"one", {}).merged(Envelope("a/b", b"two", {}), "the second receipt")


@given(st.binary(max_size=200))
def test_only_canonical_envelopes_are_read(data: bytes) -> None:
    try:
        read = Envelope.parse(data, "it")
    except Malformed:
        return
    assert read.render() == data


@given(st.text(min_size=1, max_size=20), st.binary(max_size=60))
def test_an_envelope_reads_back(kind: str, payload: bytes) -> None:
    made = Envelope(kind, payload, {}).signed(ANNA).signed(BEAT)
    assert Envelope.parse(made.render(), "it") == made


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v | {"more": 1},
        lambda v: v | {"payload": v["payload"].rstrip("=") + "!"},
        lambda v: v | {"signatures": v["signatures"][::-1]},
        lambda v: v | {"signatures": v["signatures"] + v["signatures"][:1]},
        lambda v: v | {"signatures": None},
        lambda v: v | {"payload": 7},
        lambda v: {"payload": v["payload"]},
        lambda v: [v],
    ],
)
def test_an_envelope_that_differs_from_ours_is_refused(change: Any) -> None:
    good = json.loads(Envelope("a/b", b"payload", {}).signed(ANNA).signed(BEAT).render())
    with pytest.raises(Malformed):
        Envelope.parse(render(change(good)), "it")


# --- Attestations --------------------------------------------------------------------------------------


def demand(threshold: int = 1, *keys: PrivateKey) -> Demand:
    return Demand("apt", "packages", tuple(k.public for k in keys or (ANNA, BEAT)), threshold)


def test_a_team_vouches_for_its_part() -> None:
    signed = attest.attest("apt", PART, "packages", "tested on staging", ANNA)
    read = attest.read(signed.render(), "attestation-apt-1.json")
    assert (read.part, read.sha256, read.team, read.text) == (
        "apt",
        PART.sha256,
        "packages",
        "tested on staging",
    )
    lines = attest.check({"attestation-apt-1.json": signed.render()}, {"apt": PART}, [demand()])
    assert lines == ["apt: packages (anna)"]


def test_two_of_a_team_may_vouch_in_two_files() -> None:
    files = {
        f"attestation-apt-{n}.json": attest.attest("apt", PART, "packages", "read", key).render()
        for n, key in enumerate((ANNA, BEAT))
    }
    assert attest.check(files, {"apt": PART}, [demand(2)]) == ["apt: packages (anna, beat)"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a": attest.attest("apt", PART, "packages", "x", CARLA)},
        {"a": attest.attest("pypi", PART, "packages", "x", ANNA)},
        {"a": attest.attest("apt", Part(2, 30, SHA), "packages", "x", ANNA)},
    ],
    ids=["nobody", "a stranger", "another part", "the part as it was"],
)
def test_a_part_that_nobody_of_the_team_vouches_for_is_refused(files: dict[str, Envelope]) -> None:
    with pytest.raises(NotVouched, match="nobody of team packages vouches for part apt") as problem:
        attest.check({n: e.render() for n, e in files.items()}, {"apt": PART}, [demand()])
    assert "attest" in problem.value.remedy


def test_a_demand_about_a_part_that_is_not_here_asks_nothing() -> None:
    assert attest.check({}, {"pypi": PART}, [demand()]) == []


def test_a_receipt_does_not_pass_for_an_attestation() -> None:
    with pytest.raises(Malformed, match="not an in-toto statement"):
        attest.read(receipt.envelope(a_receipt()).signed(ANNA).render(), "attestation-apt-1.json")


# --- Receipts ------------------------------------------------------------------------------------------


def test_a_receipt_reads_back_with_its_signers() -> None:
    made = a_receipt()
    file = receipt.envelope(made).signed(ANNA).signed(BEAT).render()
    read, signers = receipt.verify(file, [ANNA.public, BEAT.public], 2)
    assert read == made
    assert {signer.comment for signer in signers} == {"anna", "beat"}
    assert read.sha256 == hashlib.sha256(made.render()).hexdigest()


def test_a_receipt_below_its_threshold_is_refused_before_it_is_read() -> None:
    nonsense = Envelope(receipt.KIND, b"not json", {}).signed(CARLA).render()
    with pytest.raises(TooFewSignatures):
        receipt.verify(nonsense, [ANNA.public], 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("outcome", "fine"),
        ("site", "Zone Geneva"),
        ("created", "2026-11-24T08:12:00+00:00"),
        ("kept", [{"release": SHA, "sequence": 7}, {"release": SHA, "sequence": 6}]),
        ("kept", [{"release": SHA, "sequence": 7}, {"release": SHA, "sequence": 7}]),
        ("kept", [{"release": SHA, "sequence": 0}]),
        ("accepted", {"release": SHA[:-1], "sequence": 7}),
        ("accepted", {"release": SHA, "sequence": 7, "more": 1}),
        ("hosts", {"07": 1}),
        ("hosts", {"7": -1}),
        ("live", {"apt": True}),
        ("remarks", "one\ntwo"),
        ("checkpoint", 7),
        ("more", 1),
        ("format", "airgap-bundle/receipt/2"),
    ],
)
def test_a_receipt_with_a_wrong_field_is_refused(field: str, value: Any) -> None:
    wrong = render(json.loads(a_receipt().render()) | {field: value})
    with pytest.raises(Malformed):
        Receipt.parse(wrong)


def test_a_receipt_fits_on_a_handful_of_codes_in_any_order() -> None:
    note = (
        "zone-geneva/log\n1000000\n" + base64.b64encode(bytes(32)).decode() + "\n\n— zone " + "x" * 92 + "\n"
    )
    many = tuple(Held(n, hashlib.sha256(bytes([n])).hexdigest()) for n in range(1, 9))
    file = receipt.envelope(a_receipt(kept=many, checkpoint=note)).signed(ANNA).signed(BEAT).render()
    codes = to_codes(file)
    assert 1 < len(codes) <= 5
    assert from_codes([*reversed(codes), codes[0]]) == file


@given(st.binary(max_size=3000), st.integers(min_value=60, max_value=900))
def test_codes_carry_any_file(data: bytes, most: int) -> None:
    codes = to_codes(data, most)
    assert all(len(code) <= most for code in codes)
    assert from_codes(codes) == data


def test_a_missing_a_foreign_and_an_altered_code_are_each_named() -> None:
    codes = to_codes(b"x" + bytes(range(256)), 100)
    other = to_codes(b"y" + bytes(range(256)), 100)
    with pytest.raises(Malformed, match="these are missing: 2"):
        from_codes(codes[:1] + codes[2:])
    with pytest.raises(Malformed, match="of different receipts"):
        from_codes([codes[0], other[1]])
    with pytest.raises(Malformed):
        from_codes([codes[0][:-1] + ("A" if codes[0][-1] != "A" else "B"), *codes[1:]])
    with pytest.raises(Malformed, match="two different codes 1"):
        from_codes([*codes, codes[0][:-1] + ("A" if codes[0][-1] != "A" else "B")])
    with pytest.raises(Malformed, match="does not begin with AGR1"):
        from_codes(["hello"])


def test_a_small_order_key_is_no_key() -> None:
    with pytest.raises(Exception, match="not a valid Ed25519 point"):
        PublicKey(bytes(32))


def test_every_refusal_is_of_the_bundle_family() -> None:
    assert all(issubclass(kind, BundleRefused) for kind in (Malformed, TooFewSignatures, NotVouched))
