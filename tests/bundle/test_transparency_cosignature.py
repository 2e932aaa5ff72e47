"""Witnesses: what they sign, how many are enough, and what they never do."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.keys import PrivateKey
from airgap_bundle.transparency.checkpoint import Checkpoint, SignedCheckpoint, parse, render, sign, verify
from airgap_bundle.transparency.cosignature import Cosignature, Quorum, WitnessKey, add, cosign, cosignatures
from airgap_bundle.transparency.errors import (
    ConsistencyRefused,
    HistoryForked,
    KeysRefused,
    MalformedKey,
    NoteSignatureRefused,
    NotSigned,
    OriginRefused,
    QuorumMissed,
    TransparencyRefused,
)
from airgap_bundle.transparency.merkle import leaf_hash, root_of
from airgap_bundle.transparency.note import Note, Signature, VerifierKey
from airgap_bundle.transparency.proof import ConsistencyProof
from airgap_bundle.transparency.witness import Witness

ORIGIN = "zone-1.example"
TIME = 1764000000
KEY = PrivateKey(bytes(range(32)))
LOG = VerifierKey(ORIGIN, KEY.public)
LEAVES = [leaf_hash(b"%d" % number) for number in range(9)]
SIGNED = sign(Checkpoint(ORIGIN, 3, root_of(LEAVES[:3])), KEY)


@dataclass(frozen=True)
class Person:
    name: str
    private: PrivateKey

    @property
    def key(self) -> WitnessKey:
        return WitnessKey(self.name, self.private.public)

    def line(self, signed: SignedCheckpoint = SIGNED, time: int = TIME) -> Signature:
        return cosign(signed.checkpoint, self.name, self.private, time)


ONE, TWO, THREE = (Person(f"witness.example/w{n}", PrivateKey(bytes([n] * 32))) for n in (1, 2, 3))
WITNESSES = (ONE.key, TWO.key, THREE.key)

# --- What is published: a checkpoint of a public log with the cosignatures of public witnesses ---

PUBLIC = """\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
""".encode()  # noqa: E501
PUBLIC_LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f"
PUBLIC_WITNESSES = [
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
]


def test_a_public_checkpoint_verifies_with_its_log_and_its_four_witnesses() -> None:
    log = VerifierKey.parse(PUBLIC_LOG)
    verified = verify(parse(PUBLIC), log.name, [log])
    assert verified.size == 1432088532
    quorum = Quorum(tuple(map(WitnessKey.parse, PUBLIC_WITNESSES)), 4)
    assert [(str(one.witness), one.time) for one in quorum.check(verified)] == [
        (key, 1779573024) for key in PUBLIC_WITNESSES
    ]
    assert [str(key) for key in quorum.witnesses] == PUBLIC_WITNESSES
    assert render(verified) == PUBLIC


# --- What a cosignature says ---


def test_a_cosignature_is_the_key_id_the_time_and_a_signature_of_what_the_specification_says() -> None:
    line = ONE.line()
    message = b"cosignature/v1\ntime 1764000000\n" + SIGNED.note.text.encode()
    assert line.key_id == ONE.key.key_id
    assert line.raw == (1764000000).to_bytes(8, "big") + ONE.private.sign(message)


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_a_cosignature_verifies_at_its_time_only(time: int, other: int) -> None:
    line = ONE.line(time=time)
    assert cosignatures(add(SIGNED, line), [ONE.key]) == [Cosignature(ONE.key, time)]
    if other != time:
        moved = replace(line, raw=other.to_bytes(8, "big") + line.raw[8:])
        with pytest.raises(NoteSignatureRefused):
            cosignatures(add(SIGNED, moved), [ONE.key])


def test_a_cosignature_covers_the_extension_lines() -> None:
    extended = sign(replace(SIGNED.checkpoint, extensions=("an extension",)), KEY)
    assert cosignatures(add(extended, ONE.line(extended)), [ONE.key])
    with pytest.raises(NoteSignatureRefused):
        cosignatures(add(extended, ONE.line(SIGNED)), [ONE.key])


@pytest.mark.parametrize("time", [0, -1, 2**63, 2**64])
def test_no_witness_states_a_time_that_is_none(time: int) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        ONE.line(time=time)


def test_a_time_above_2_63_is_refused_even_if_signed() -> None:
    time = 2**63
    message = b"cosignature/v1\ntime %d\n" % time + SIGNED.note.text.encode()
    line = Signature(ONE.name, ONE.key.key_id, time.to_bytes(8, "big") + ONE.private.sign(message))
    with pytest.raises(NoteSignatureRefused, match="its time is larger than 2"):
        cosignatures(add(SIGNED, line), [ONE.key])


@pytest.mark.parametrize("raw", [b"x", b"x" * 64, b"x" * 71, b"x" * 73])
def test_a_cosignature_of_another_length_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteSignatureRefused, match="a cosignature has 72 bytes"):
        cosignatures(add(SIGNED, Signature(ONE.name, ONE.key.key_id, raw)), [ONE.key])


def test_a_plain_signature_by_a_witness_is_no_cosignature_and_the_other_way_round() -> None:
    as_log, text = VerifierKey(ONE.name, ONE.private.public), SIGNED.note.text
    plain = Signature(ONE.name, ONE.key.key_id, bytes(8) + ONE.private.sign(text.encode()))
    with pytest.raises(NoteSignatureRefused):
        cosignatures(add(SIGNED, plain), [ONE.key])
    with pytest.raises(NotSigned):
        verify(add(replace(SIGNED, note=Note(text)), ONE.line()), ORIGIN, [as_log])
    disguised = replace(ONE.line(), key_id=as_log.key_id)
    with pytest.raises(NoteSignatureRefused):
        verify(add(replace(SIGNED, note=Note(text)), disguised), ORIGIN, [as_log])


# --- How many are enough ---


def cosigned(*people: Person) -> SignedCheckpoint:
    return add(SIGNED, *(person.line() for person in people))


@pytest.mark.parametrize(
    ("people", "needed", "enough"),
    [
        ((), 0, True),
        ((), 1, False),
        ((ONE,), 1, True),
        ((ONE,), 2, False),
        ((ONE, THREE), 2, True),
        ((ONE, TWO, THREE), 3, True),
        ((TWO, THREE), 3, False),
    ],
)
def test_a_quorum_counts_witnesses(people: tuple[Person, ...], needed: int, enough: bool) -> None:
    checkpoint = verify(parse(render(cosigned(*people))), ORIGIN, [LOG])
    quorum = Quorum(WITNESSES, needed)
    if enough:
        assert [one.witness for one in quorum.check(checkpoint)] == [person.key for person in people]
    else:
        sentence = f"cosigned by {len(people)} of the 3 known witnesses, {needed} needed"
        with pytest.raises(QuorumMissed, match=sentence) as refusal:
            quorum.check(checkpoint)
        assert refusal.value.exit_code == 49


def test_one_witness_with_many_signatures_counts_once_with_the_newest_time() -> None:
    lines = tuple(ONE.line(time=TIME + n) for n in (0, 5, 3))
    note = replace(SIGNED.note, signatures=(*SIGNED.note.signatures, *lines, lines[0]))
    checkpoint = verify(replace(SIGNED, note=note), ORIGIN, [LOG])
    assert Quorum(WITNESSES, 1).check(checkpoint) == (Cosignature(ONE.key, TIME + 5),)
    assert Quorum(WITNESSES, 1).check(checkpoint, latest=TIME + 4) == (Cosignature(ONE.key, TIME + 3),)
    with pytest.raises(QuorumMissed, match="cosigned by 1 of the 3"):
        Quorum(WITNESSES, 2).check(checkpoint)


def test_a_cosignature_from_the_future_does_not_count() -> None:
    checkpoint = verify(add(SIGNED, ONE.line(), TWO.line(time=TIME + 1)), ORIGIN, [LOG])
    with pytest.raises(QuorumMissed, match=r"seen: witness\.example/w1$"):
        Quorum(WITNESSES, 2).check(checkpoint, latest=TIME)


def test_a_forged_cosignature_refuses_the_checkpoint_though_others_are_enough() -> None:
    forged = replace(TWO.line(), raw=ONE.line().raw)
    checkpoint = verify(add(cosigned(ONE, THREE), forged), ORIGIN, [LOG])
    with pytest.raises(NoteSignatureRefused, match=r"witness\.example/w2"):
        Quorum(WITNESSES, 2).check(checkpoint)


def test_one_key_under_two_names_is_not_two_witnesses() -> None:
    """A cosignature does not sign its witness's name, so the second line costs nothing to make."""
    copy = WitnessKey("witness.example/copy", ONE.private.public)
    line = Signature(copy.name, copy.key_id, ONE.line().raw)
    assert len(cosignatures(add(SIGNED, ONE.line(), line), [ONE.key, copy])) == 2
    with pytest.raises(KeysRefused, match="two witnesses have one key"):
        Quorum((ONE.key, copy), 2)


def test_one_name_with_two_keys_is_not_two_witnesses() -> None:
    with pytest.raises(KeysRefused, match="two witnesses have one name"):
        Quorum((ONE.key, WitnessKey(ONE.name, TWO.private.public)), 2)


def test_the_log_is_not_its_own_witness() -> None:
    own = Person("witness.example/own", KEY)
    checkpoint = verify(cosigned(own), ORIGIN, [LOG])
    with pytest.raises(KeysRefused, match="a witness has the log's own key"):
        Quorum((own.key,), 1).check(checkpoint)


@pytest.mark.parametrize("needed", [-1, 4])
def test_a_quorum_that_cannot_be_met_is_refused(needed: int) -> None:
    with pytest.raises(KeysRefused, match=f"{needed} witnesses are needed and 3 are known"):
        Quorum(WITNESSES, needed)


def test_every_flipped_bit_of_a_cosigned_checkpoint_is_refused() -> None:
    data = render(cosigned(ONE, TWO))
    quorum = Quorum(WITNESSES, 2)
    quorum.check(verify(parse(data), ORIGIN, [LOG]))
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TransparencyRefused):
            quorum.check(verify(parse(bytes(flipped)), ORIGIN, [LOG]))


# --- What a witness does ---


def asked(old: int, new: int, *hashes: bytes, leaves: list[bytes] = LEAVES) -> ConsistencyProof:
    return ConsistencyProof(old, hashes, sign(Checkpoint(ORIGIN, new, root_of(leaves[:new])), KEY))


WITNESS = Witness(ONE.name, ONE.private)
NOTHING = Checkpoint.empty(ORIGIN)


def test_a_witness_follows_a_log_that_grows() -> None:
    seen = NOTHING
    for request in (asked(0, 2), asked(2, 2), asked(2, 3, LEAVES[2]), asked(3, 3)):
        seen, line = WITNESS.answer(request, seen, [LOG], TIME)
        assert seen == request.checkpoint.checkpoint
        assert cosignatures(add(request.checkpoint, line), [ONE.key]) == [Cosignature(ONE.key, TIME)]


def test_a_witness_never_cosigns_a_second_history() -> None:
    seen, _ = WITNESS.answer(asked(0, 3), NOTHING, [LOG], TIME)
    rewritten = [leaf_hash(b"rewritten"), *LEAVES[1:]]
    with pytest.raises(HistoryForked):
        WITNESS.answer(asked(3, 3, leaves=rewritten), seen, [LOG], TIME)
    with pytest.raises(ConsistencyRefused, match="leads to another old root"):
        WITNESS.answer(
            asked(3, 4, rewritten[2], rewritten[3], root_of(rewritten[:2]), leaves=rewritten),
            seen,
            [LOG],
            TIME,
        )
    with pytest.raises(ConsistencyRefused, match="the proof is from a log of 0 entries"):
        WITNESS.answer(asked(0, 4, leaves=rewritten), seen, [LOG], TIME)
    with pytest.raises(ConsistencyRefused, match="it is smaller"):
        WITNESS.answer(asked(3, 2), seen, [LOG], TIME)


def test_a_witness_cosigns_only_the_log_that_it_was_asked_to_follow() -> None:
    with pytest.raises(OriginRefused):
        WITNESS.answer(asked(0, 3), Checkpoint.empty("zone-2.example"), [LOG], TIME)
    with pytest.raises(NotSigned):
        WITNESS.answer(asked(0, 3), NOTHING, [VerifierKey(ORIGIN, TWO.private.public)], TIME)


def test_a_small_order_key_is_no_witness() -> None:
    with pytest.raises(MalformedKey):
        WitnessKey.parse("a+1f43e1a8+BAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
