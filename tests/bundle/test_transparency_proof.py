"""Proof files: one file, the right keys and no network; everything else is refused."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.keys import PrivateKey
from airgap_bundle.transparency import stored
from airgap_bundle.transparency.checkpoint import Checkpoint, SignedCheckpoint, sign
from airgap_bundle.transparency.cosignature import Quorum, WitnessKey, add, cosign
from airgap_bundle.transparency.errors import (
    ConsistencyRefused,
    HistoryForked,
    InclusionRefused,
    Malformed,
    MalformedCheckpoint,
    MalformedNote,
    MalformedProof,
    NoteSignatureRefused,
    NotSigned,
    OriginRefused,
    QuorumMissed,
    TransparencyRefused,
)
from airgap_bundle.transparency.merkle import Tree, leaf_hash
from airgap_bundle.transparency.note import VerifierKey
from airgap_bundle.transparency.proof import (
    ConsistencyProof,
    InclusionProof,
    parse,
    parse_consistency,
    render,
    render_consistency,
    verify,
    verify_consistency,
)

ORIGIN = "zone-1.example"
KEY, WITNESS = PrivateKey(bytes(range(32))), PrivateKey(bytes(range(32, 64)))
LOG, W1 = VerifierKey(ORIGIN, KEY.public), WitnessKey("witness.example/w1", WITNESS.public)
QUORUM = Quorum((W1,), 1)
SIZE = 13
ENTRIES = [b"entry %d" % number for number in range(SIZE)]
_TREE, _ARRAY = Tree(), list[bytes]()
for _entry in ENTRIES:
    _ARRAY += _TREE.append(leaf_hash(_entry))


def read(positions: object) -> list[bytes]:
    return [_ARRAY[position] for position in positions]  # type: ignore[attr-defined]


def checkpoint(size: int) -> SignedCheckpoint:
    signed = sign(Checkpoint(ORIGIN, size, stored.root_at(size, read)), KEY)
    return add(signed, cosign(signed.checkpoint, W1.name, WITNESS, 1764000000))


def inclusion(index: int, size: int = SIZE) -> InclusionProof:
    return InclusionProof(index, tuple(stored.prove_inclusion(index, size, read)), checkpoint(size))


def consistency(old: int, new: int = SIZE) -> ConsistencyProof:
    return ConsistencyProof(old, tuple(stored.prove_consistency(old, new, read)), checkpoint(new))


PROOF = inclusion(6)
DATA = render(PROOF)
EXTENSION = consistency(6)
EXTENSION_DATA = render_consistency(EXTENSION)
OLD = checkpoint(6).checkpoint

# --- An entry is in the log ---


@pytest.mark.parametrize("size", [1, 2, 7, 8, 13])
def test_every_entry_is_proven_by_its_file(size: int) -> None:
    for index in range(size):
        proof = parse(render(inclusion(index, size)))
        verified = verify(proof, leaf_hash(ENTRIES[index]), ORIGIN, [LOG], QUORUM)
        assert (verified.origin, verified.size, verified.signers) == (ORIGIN, size, (LOG,))


def test_a_file_proves_one_entry_at_one_place() -> None:
    for index in set(range(SIZE)) - {6}:
        with pytest.raises(InclusionRefused):
            verify(PROOF, leaf_hash(ENTRIES[index]), ORIGIN, [LOG])
        with pytest.raises(InclusionRefused):
            verify(replace(PROOF, index=index), leaf_hash(ENTRIES[6]), ORIGIN, [LOG])


def test_the_extra_data_travels_and_is_not_believed() -> None:
    proof = replace(PROOF, extra=b"audit/6.json")
    data = render(proof)
    assert data.splitlines()[1] == b"extra YXVkaXQvNi5qc29u"
    assert parse(data) == proof
    assert verify(replace(proof, extra=b"anything"), leaf_hash(ENTRIES[6]), ORIGIN, [LOG])


def test_the_form_is_that_of_the_specification() -> None:
    head, _, note = DATA.decode().partition("\n\n")
    assert head.splitlines()[:2] == ["c2sp.org/tlog-proof@v1", "index 6"]
    assert [base64.b64decode(line) for line in head.splitlines()[2:]] == list(PROOF.hashes)
    assert note.splitlines()[:2] == [ORIGIN, "13"]


@pytest.mark.parametrize(
    ("keys", "origin", "quorum", "refusal"),
    [
        ([LOG], "zone-2.example", QUORUM, OriginRefused),
        ([VerifierKey(ORIGIN, WITNESS.public)], ORIGIN, QUORUM, NotSigned),
        ([], ORIGIN, QUORUM, NotSigned),
        ([LOG], ORIGIN, Quorum((WitnessKey("witness.example/w2", WITNESS.public),), 1), QuorumMissed),
    ],
    ids=["another log", "another key", "no key", "another witness"],
)
def test_only_the_known_log_with_known_witnesses_proves(
    keys: list[VerifierKey], origin: str, quorum: Quorum, refusal: type[TransparencyRefused]
) -> None:
    with pytest.raises(refusal):
        verify(PROOF, leaf_hash(ENTRIES[6]), origin, keys, quorum)


def test_an_old_checkpoint_does_not_prove_a_newer_entry() -> None:
    with pytest.raises(InclusionRefused, match="there is no such entry"):
        verify(replace(PROOF, checkpoint=checkpoint(5)), leaf_hash(ENTRIES[6]), ORIGIN, [LOG])


def believed(data: bytes) -> bool:
    try:
        verify(parse(data), leaf_hash(ENTRIES[6]), ORIGIN, [LOG], QUORUM)
    except TransparencyRefused:
        return False
    return True


def test_every_flipped_bit_of_a_proof_is_refused() -> None:
    assert believed(DATA)
    for bit in range(len(DATA) * 8):
        flipped = bytearray(DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not believed(bytes(flipped)), bit


def test_a_proof_cut_anywhere_is_refused() -> None:
    assert not any(believed(DATA[:length]) for length in range(len(DATA)))


HEAD, _, TAIL = DATA.decode().partition("\n\n")
NUMBER = "index 6\n"
HASH = base64.b64encode(bytes(32)).decode()
MALFORMED = {
    "nothing": ("", MalformedProof, "no empty line parts"),
    "no empty line": (HEAD, MalformedProof, "no empty line parts"),
    "another version": (DATA.decode().replace("@v1", "@v2"), MalformedProof, "line 1 is not"),
    "space behind line 1": (DATA.decode().replace("@v1", "@v1 "), MalformedProof, "line 1 is not"),
    "no index": (DATA.decode().replace(NUMBER, ""), MalformedProof, "line 2 is not `index ` and a number"),
    "only line 1": (f"c2sp.org/tlog-proof@v1\n\n{TAIL}", MalformedProof, "line 2 is not `index `"),
    "no number": (DATA.decode().replace(NUMBER, "index\n"), MalformedProof, "line 2 is not `index `"),
    "two spaces": (DATA.decode().replace(NUMBER, "index  6\n"), MalformedProof, "` 6` is not a number"),
    "plus": (DATA.decode().replace(NUMBER, "index +6\n"), MalformedProof, r"line 2: the number `\+6` has a"),
    "zero": (DATA.decode().replace(NUMBER, "index 06\n"), MalformedProof, "has a leading zero"),
    "huge": (DATA.decode().replace(NUMBER, f"index {9**99}\n"), MalformedProof, "larger than 2"),
    "empty extra": (DATA.decode().replace("index", "extra \nindex"), MalformedProof, "has 0 bytes"),
    "bad extra": (
        DATA.decode().replace("index", "extra !\nindex"),
        MalformedProof,
        "line 2: the extra data is",
    ),
    "two extras": (
        DATA.decode().replace("index", "extra AAAA\nextra AAAA\nindex"),
        MalformedProof,
        "line 3 is not `index `",
    ),
    "extra behind": (
        DATA.decode().replace(NUMBER, f"{NUMBER}extra AAAA\n"),
        MalformedProof,
        "line 3: the hash",
    ),
    "large extra": (
        DATA.decode().replace("index", f"extra {'AAAA' * 21846}\nindex"),
        MalformedProof,
        "65538 bytes, 1 to 65536 may be",
    ),
    "short hash": (DATA.decode().replace(NUMBER, f"{NUMBER}AAAA\n"), MalformedProof, "3 bytes, not 32"),
    "64 hashes": (
        f"c2sp.org/tlog-proof@v1\n{NUMBER}{f'{HASH}{chr(10)}' * 64}\n{TAIL}",
        MalformedProof,
        "64 hashes, more than 63",
    ),
    "empty line before": (f"\n{DATA.decode()}", MalformedProof, "line 1 is not"),
    "two empty lines": (f"{HEAD}\n\n\n{TAIL}", MalformedCheckpoint, "line 1 is empty"),
    "CRLF": (DATA.decode().replace("\n", "\r\n"), MalformedProof, "line 1 has a carriage return"),
    "no note": (f"{HEAD}\n\n", MalformedNote, "no empty line parts"),
    "no checkpoint": (f"{HEAD}\n\ntext\n\n{TAIL.rpartition(chr(10) * 2)[2]}", MalformedCheckpoint, "1 lines"),
    "large": ("x" * 400_000, MalformedProof, "more than 393216"),
}


@pytest.mark.parametrize(("text", "kind", "why"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_a_proof_is_refused_with_its_reason(text: str, kind: type[Malformed], why: str) -> None:
    with pytest.raises(kind, match=why) as refusal:
        parse(text.encode())
    assert refusal.value.exit_code == 48


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (replace(PROOF, index=-1), "has a sign"),
        (replace(PROOF, index=2**63), "larger than 2"),
        (replace(PROOF, hashes=(b"short",)), "5 bytes, not 32"),
        (replace(PROOF, hashes=(bytes(32),) * 64), "more than 63"),
        (replace(PROOF, extra=bytes(70000)), "1 to 65536 may be"),
    ],
)
def test_what_no_file_can_say_is_not_written(proof: InclusionProof, why: str) -> None:
    with pytest.raises(MalformedProof, match=why):
        render(proof)


def edited(data: st.DataObject, whole: bytes) -> bytes:
    at = data.draw(st.integers(0, len(whole)))
    to = data.draw(st.integers(at, min(at + 4, len(whole))))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b"\n\n", b"0", b"+", b"extra AAAA\n"]))
    return whole[:at] + put + whole[to:]


@given(st.data())
def test_only_canonical_bytes_parse(data: st.DataObject) -> None:
    one = edited(data, DATA)
    with suppress(Malformed):
        assert render(parse(one)) == one
    two = edited(data, EXTENSION_DATA)
    with suppress(Malformed):
        assert render_consistency(parse_consistency(two)) == two


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for reader in (parse, parse_consistency):
        with suppress(Malformed):
            reader(data)


@given(st.data())
def test_a_proof_reads_back_as_it_was_written(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE))
    proof = replace(inclusion(data.draw(st.integers(0, size - 1)), size), extra=data.draw(st.binary()))
    assert parse(render(proof)) == proof
    extension = consistency(data.draw(st.integers(0, size)), size)
    assert parse_consistency(render_consistency(extension)) == extension


# --- A checkpoint extends another ---


def test_every_later_checkpoint_is_proven_by_its_file() -> None:
    for new in range(1, SIZE + 1):
        for old in range(1, new + 1):
            proof = parse_consistency(render_consistency(consistency(old, new)))
            assert verify_consistency(proof, checkpoint(old).checkpoint, [LOG], QUORUM).size == new
        assert verify_consistency(consistency(0, new), Checkpoint.empty(ORIGIN), [LOG], QUORUM).size == new


def extended(data: bytes) -> bool:
    try:
        verify_consistency(parse_consistency(data), OLD, [LOG], QUORUM)
    except TransparencyRefused:
        return False
    return True


def test_every_flipped_bit_of_an_extension_is_refused() -> None:
    assert extended(EXTENSION_DATA)
    for bit in range(len(EXTENSION_DATA) * 8):
        flipped = bytearray(EXTENSION_DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not extended(bytes(flipped)), bit


def test_an_extension_cut_anywhere_is_refused() -> None:
    assert not any(extended(EXTENSION_DATA[:length]) for length in range(len(EXTENSION_DATA)))


@pytest.mark.parametrize(
    ("proof", "older", "refusal", "why"),
    [
        (consistency(5), OLD, ConsistencyRefused, "the proof is from a log of 5 entries"),
        (replace(EXTENSION, old_size=5), OLD, ConsistencyRefused, "the proof is from a log of 5 entries"),
        (EXTENSION, replace(OLD, root=leaf_hash(b"")), ConsistencyRefused, "leads to another old root"),
        (EXTENSION, replace(OLD, origin="zone-2.example"), OriginRefused, "expected zone-2"),
        (consistency(6, 6), replace(OLD, root=leaf_hash(b"")), HistoryForked, "told two histories"),
        (replace(consistency(5, 5), old_size=6), OLD, ConsistencyRefused, "it is smaller"),
        (replace(EXTENSION, hashes=EXTENSION.hashes[1:]), OLD, ConsistencyRefused, "are needed"),
    ],
    ids=[
        "another old size",
        "claimed old size",
        "another old root",
        "another log",
        "a fork",
        "shrunk",
        "cut",
    ],
)
def test_what_does_not_extend_is_refused(
    proof: ConsistencyProof, older: Checkpoint, refusal: type[TransparencyRefused], why: str
) -> None:
    with pytest.raises(refusal, match=why):
        verify_consistency(proof, older, [LOG], QUORUM)


@pytest.mark.parametrize(
    ("keys", "quorum", "refusal"),
    [
        ([VerifierKey(ORIGIN, WITNESS.public)], None, NotSigned),
        ([LOG], Quorum((WitnessKey("witness.example/w2", WITNESS.public),), 1), QuorumMissed),
    ],
)
def test_only_the_known_log_extends(
    keys: list[VerifierKey], quorum: Quorum | None, refusal: type[TransparencyRefused]
) -> None:
    with pytest.raises(refusal):
        verify_consistency(EXTENSION, OLD, keys, quorum)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (EXTENSION_DATA.replace(b"old 6", b"old +6"), r"line 1: the number `\+6` has a sign"),
        (EXTENSION_DATA.replace(b"old 6", b"old 06"), "line 1: the number `06` has a leading zero"),
        (EXTENSION_DATA.replace(b"old 6", b"old"), "line 1 is not `old ` and a number"),
        (EXTENSION_DATA.replace(b"old 6", b"index 6"), "line 1 is not `old ` and a number"),
        (EXTENSION_DATA.replace(b"old 6\n", b"old 6\nAAAA\n"), "line 2: the hash has 3 bytes"),
        (b"x" * 400_000, "more than 393216"),
    ],
)
def test_what_is_not_an_extension_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(MalformedProof, match=why):
        parse_consistency(data)


def test_a_claim_that_no_file_can_say_is_not_written() -> None:
    with pytest.raises(MalformedProof, match="has a sign"):
        render_consistency(replace(EXTENSION, old_size=-1))


def test_a_forged_signature_under_the_checkpoint_refuses_the_proof() -> None:
    note = EXTENSION.checkpoint.note
    forged = replace(note.signatures[0], raw=bytes(64))
    signed = replace(EXTENSION.checkpoint, note=replace(note, signatures=(forged,)))
    with pytest.raises(NoteSignatureRefused):
        verify_consistency(replace(EXTENSION, checkpoint=signed), OLD, [LOG])
