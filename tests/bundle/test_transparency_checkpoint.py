"""Checkpoints against published ones, and everything that is nearly a checkpoint."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.keys import PrivateKey
from airgap_bundle.transparency.checkpoint import Checkpoint, extends, parse, read_text, render, sign, verify
from airgap_bundle.transparency.errors import (
    ConsistencyRefused,
    HistoryForked,
    MalformedCheckpoint,
    MalformedKey,
    MalformedNote,
    NoteSignatureRefused,
    NotSigned,
    OriginRefused,
    TransparencyRefused,
)
from airgap_bundle.transparency.merkle import EMPTY_ROOT, leaf_hash, root_of
from airgap_bundle.transparency.note import VerifierKey

ORIGIN = "zone-1.example"
KEY = PrivateKey(bytes(range(32)))
LOG = VerifierKey(ORIGIN, KEY.public)
LEAVES = [leaf_hash(entry) for entry in (b"a", b"b", b"c", b"d", b"e")]
CHECKPOINT = Checkpoint(ORIGIN, 3, root_of(LEAVES[:3]))
DATA = render(sign(CHECKPOINT, KEY))

# --- What is published ---

GO_SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
GO_SUM = """\
go.sum database tree
6476701
mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=

— sum.golang.org Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=
""".encode()


def test_a_checkpoint_of_the_go_checksum_database_verifies() -> None:
    signed = parse(GO_SUM)
    verified = verify(signed, "go.sum database tree", [VerifierKey.parse(GO_SUM_KEY)])
    assert (verified.origin, verified.size) == ("go.sum database tree", 6476701)
    assert verified.root.hex() == "99bf102d022cd19d323f90acb6aea0ba3f3ba1759e0bd80433ca158a49a6f569"
    assert [str(key) for key in verified.signers] == [GO_SUM_KEY]
    assert render(signed) == GO_SUM


def test_an_origin_may_have_spaces_though_a_key_name_may_not() -> None:
    checkpoint = replace(CHECKPOINT, origin="go.sum database tree")
    with pytest.raises(MalformedKey, match="has a space"):
        sign(checkpoint, KEY)
    assert parse(render(sign(checkpoint, KEY, "sum"))).checkpoint == checkpoint


# --- Reading strictly ---

ROOT = base64.b64encode(CHECKPOINT.root).decode()
EMPTY = base64.b64encode(EMPTY_ROOT).decode()
MALFORMED = {
    "nothing": ("", "its last line has no end"),
    "one empty line": ("\n", "line 1 is empty"),
    "one line": (f"{ORIGIN}\n", "it has 1 lines, and origin, size and root hash are three"),
    "two lines": (f"{ORIGIN}\n3\n", "it has 2 lines"),
    "no line end": (f"{ORIGIN}\n3\n{ROOT}", "its last line has no end"),
    "no origin": (f"\n3\n{ROOT}\n", "line 1 is empty"),
    "no size": (f"{ORIGIN}\n\n{ROOT}\n", "line 2 is empty"),
    "plus": (f"{ORIGIN}\n+3\n{ROOT}\n", r"line 2: the tree size `\+3` has a sign"),
    "minus": (f"{ORIGIN}\n-3\n{ROOT}\n", "line 2: the tree size `-3` has a sign"),
    "minus zero": (f"{ORIGIN}\n-0\n{EMPTY}\n", "line 2: the tree size `-0` has a sign"),
    "leading zero": (f"{ORIGIN}\n03\n{ROOT}\n", "line 2: the tree size `03` has a leading zero"),
    "two zeros": (f"{ORIGIN}\n00\n{EMPTY}\n", "line 2: the tree size `00` has a leading zero"),
    "space before": (f"{ORIGIN}\n 3\n{ROOT}\n", "line 2: the tree size ` 3` is not a number in ASCII"),
    "space after": (f"{ORIGIN}\n3 \n{ROOT}\n", "line 2: the tree size `3 ` is not a number in ASCII"),
    "hexadecimal": (f"{ORIGIN}\n0x3\n{ROOT}\n", "line 2: the tree size `0x3` is not a number"),
    "underscore": (f"{ORIGIN}\n1_0\n{ROOT}\n", "line 2: the tree size `1_0` is not a number"),
    "exponent": (f"{ORIGIN}\n1e3\n{ROOT}\n", "line 2: the tree size `1e3` is not a number"),
    "fraction": (f"{ORIGIN}\n3.0\n{ROOT}\n", "line 2: the tree size `3.0` is not a number"),
    "arabic digits": (f"{ORIGIN}\n٣\n{ROOT}\n", "line 2: the tree size `٣` is not a number in ASCII"),
    "fullwidth digits": (f"{ORIGIN}\n３\n{ROOT}\n", "line 2: the tree size `３` is not a number in ASCII"),
    "2^63": (f"{ORIGIN}\n{2**63}\n{ROOT}\n", "9223372036854775808` is larger than 2"),
    "huge": (f"{ORIGIN}\n{'9' * 5000}\n{ROOT}\n", "line 2: the tree size `9{40}` is larger than 2"),
    "root of 31 bytes": (f"{ORIGIN}\n3\n{base64.b64encode(bytes(31)).decode()}\n", "31 bytes, not 32"),
    "root of 33 bytes": (f"{ORIGIN}\n3\n{base64.b64encode(bytes(33)).decode()}\n", "33 bytes, not 32"),
    "root in hex": (f"{ORIGIN}\n3\n{CHECKPOINT.root.hex()}\n", "line 3: the root hash has 48 bytes"),
    "root without padding": (f"{ORIGIN}\n3\n{ROOT[:-1]}\n", "line 3: the root hash is not base64"),
    "root with padding bits": (f"{ORIGIN}\n3\n{ROOT[:-2]}F=\n", "not base64 as encoders write it"),
    "root in url base64": (f"{ORIGIN}\n3\n{ROOT.replace('/', '_')}\n", "the root hash is not base64"),
    "space behind the root": (f"{ORIGIN}\n3\n{ROOT} \n", "line 3: the root hash is not base64"),
    "empty log with a root": (f"{ORIGIN}\n0\n{ROOT}\n", "the root hash of an empty log is another one"),
    "empty extension": (f"{ORIGIN}\n3\n{ROOT}\n\n", "line 4 is empty"),
    "empty line inside": (f"{ORIGIN}\n3\n{ROOT}\na\n\nb\n", "line 5 is empty"),
    "long origin": (f"{'o' * 256}\n3\n{ROOT}\n", "line 1: the origin is longer than 255 bytes"),
    "long origin of few characters": (f"{'ö' * 128}\n3\n{ROOT}\n", "the origin is longer than 255 bytes"),
    "long line": (f"{ORIGIN}\n3\n{ROOT}\n{'x' * 1025}\n", "line 4 is longer than 1024 bytes"),
    "many lines": (f"{ORIGIN}\n3\n{ROOT}\n" + "x\n" * 17, "17 extension lines, more than 16"),
    "long": (f"{ORIGIN}\n3\n{ROOT}\n" + "x\n" * 20000, "more than 32768"),
    "carriage return": (f"{ORIGIN}\r\n3\r\n{ROOT}\r\n", "line 1 has a carriage return"),
    "control character": (f"{ORIGIN}\x1b[31m\n3\n{ROOT}\n", r"line 1 has the control character U\+001B"),
    "half a surrogate pair": (f"\ud800\n3\n{ROOT}\n", "half a surrogate pair"),
}


@pytest.mark.parametrize(("text", "why"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_a_checkpoint_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(MalformedCheckpoint, match=why) as refusal:
        read_text(text)
    assert refusal.value.exit_code == 48
    assert "again" in refusal.value.remedy


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint(ORIGIN, 0, EMPTY_ROOT),
        Checkpoint.empty(ORIGIN),
        Checkpoint(ORIGIN, 2**63 - 1, CHECKPOINT.root),
        Checkpoint("o" * 255, 1, CHECKPOINT.root),
        Checkpoint("запись/журнал", 1, CHECKPOINT.root),
        Checkpoint(ORIGIN, 1, CHECKPOINT.root, ("x" * 1024,) * 16),
        Checkpoint(ORIGIN, 1, CHECKPOINT.root, ("— looks like a signature AAAA",)),
    ],
)
def test_the_limits_are_inside(checkpoint: Checkpoint) -> None:
    signed = sign(checkpoint, KEY, "log")
    assert parse(render(signed)) == signed
    assert signed.checkpoint == checkpoint
    assert verify(signed, checkpoint.origin, [VerifierKey("log", KEY.public)]).checkpoint == checkpoint


@pytest.mark.parametrize(
    ("checkpoint", "why"),
    [
        (Checkpoint(f"{ORIGIN}\n4", 3, CHECKPOINT.root), "line 3: the root hash is not base64"),
        (Checkpoint(f"{ORIGIN}\n3\n{ROOT}", 3, CHECKPOINT.root), "has a line end inside"),
        (Checkpoint(ORIGIN, 3, CHECKPOINT.root, ("a\nb",)), "has a line end inside"),
        (Checkpoint(ORIGIN, 3, CHECKPOINT.root, ("",)), "line 4 is empty"),
        (Checkpoint(ORIGIN, -1, CHECKPOINT.root), "has a sign"),
        (Checkpoint(ORIGIN, 3, b"short"), "the root hash has 5 bytes"),
        (Checkpoint("", 3, CHECKPOINT.root), "line 1 is empty"),
    ],
)
def test_what_no_file_can_say_is_not_signed(checkpoint: Checkpoint, why: str) -> None:
    with pytest.raises(MalformedCheckpoint, match=why):
        sign(checkpoint, KEY, "log")


@given(st.text())
def test_only_canonical_text_parses(text: str) -> None:
    with suppress(MalformedCheckpoint):
        assert read_text(text).text == text


@given(st.data())
def test_only_canonical_bytes_parse(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([DATA, GO_SUM]))
    at = data.draw(st.integers(0, len(whole)))
    to = data.draw(st.integers(at, min(at + 4, len(whole))))
    edited = whole[:at] + data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b"0", b"+"])) + whole[to:]
    with suppress(MalformedNote, MalformedCheckpoint):
        assert render(parse(edited)) == edited


# --- What is signed verifies, and nothing else ---


@given(
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text("abc äöü=", min_size=1, max_size=9), max_size=3),
)
def test_what_was_signed_reads_and_verifies(size: int, root: bytes, extensions: list[str]) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root, tuple(extensions))
    verified = verify(parse(render(sign(checkpoint, KEY))), ORIGIN, [LOG])
    assert verified.checkpoint == checkpoint
    assert verified.signers == (LOG,)


def test_every_flipped_bit_of_a_checkpoint_is_refused() -> None:
    for bit in range(len(DATA) * 8):
        flipped = bytearray(DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TransparencyRefused):
            verify(parse(bytes(flipped)), ORIGIN, [LOG])


def test_a_checkpoint_cut_anywhere_is_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(TransparencyRefused):
            verify(parse(DATA[:length]), ORIGIN, [LOG])


def test_a_checkpoint_of_another_log_is_refused_whoever_signed_it() -> None:
    with pytest.raises(OriginRefused, match=r"of log zone-1\.example, expected zone-2\.example") as refusal:
        verify(parse(DATA), "zone-2.example", [LOG])
    assert refusal.value.exit_code == 49


def test_a_checkpoint_signed_with_an_old_key_is_refused() -> None:
    rotated = VerifierKey(ORIGIN, PrivateKey(bytes(range(1, 33))).public)
    with pytest.raises(NotSigned, match=f"signed by {ORIGIN}"):
        verify(parse(DATA), ORIGIN, [rotated])


def test_a_statement_is_never_joined_with_the_signatures_of_another() -> None:
    with pytest.raises((TypeError, ValueError), match="checkpoint"):
        replace(parse(DATA), checkpoint=replace(CHECKPOINT, size=4))


def test_a_checkpoint_signed_for_another_size_is_refused() -> None:
    signed = parse(DATA.replace(b"\n3\n", b"\n4\n"))
    with pytest.raises(NoteSignatureRefused):
        verify(signed, ORIGIN, [LOG])


# --- One checkpoint extends another ---


def at(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root_of(leaves[:size]))


def test_a_grown_log_extends_what_it_was() -> None:
    a, b, c, d, e = LEAVES
    extends(at(3), at(5), [c, d, root_of([a, b]), e])
    extends(at(4), at(5), [e])
    extends(at(5), at(5), [])
    extends(Checkpoint.empty(ORIGIN), at(5), [])


def test_a_log_of_another_origin_extends_nothing() -> None:
    with pytest.raises(OriginRefused):
        extends(at(3), replace(at(3), origin="zone-2.example"), [])


def test_two_roots_of_one_size_are_evidence_of_a_fork() -> None:
    other = replace(at(3), root=root_of([*LEAVES[:2], leaf_hash(b"rewritten")]))
    with pytest.raises(HistoryForked, match=r"log zone-1\.example told two histories") as refusal:
        extends(at(3), other, [])
    assert at(3).root.hex() in str(refusal.value)
    assert "evidence" in refusal.value.remedy


@pytest.mark.parametrize(
    "rewritten",
    [
        [leaf_hash(b"altered"), *LEAVES[1:]],
        [*LEAVES[1:], leaf_hash(b"f")],
        [LEAVES[1], LEAVES[0], *LEAVES[2:]],
        [leaf_hash(b"inserted"), *LEAVES[:4]],
    ],
    ids=["altered", "removed", "reordered", "inserted"],
)
def test_a_rewritten_log_does_not_extend_what_it_was(rewritten: list[bytes]) -> None:
    a, b, c, d, e = rewritten
    with pytest.raises(ConsistencyRefused, match="leads to another"):
        extends(at(3), at(5, rewritten), [c, d, root_of([a, b]), e])


def test_a_truncated_log_does_not_extend_what_it_was() -> None:
    with pytest.raises(ConsistencyRefused, match="it is smaller"):
        extends(at(5), at(4), [LEAVES[4]])
