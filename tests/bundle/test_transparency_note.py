"""Signed notes against published ones, and everything that is nearly a note."""

from __future__ import annotations

import base64
from contextlib import suppress
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.transparency.cosignature import WitnessKey
from airgap_bundle.transparency.errors import (
    KeysRefused,
    MalformedKey,
    MalformedNote,
    NoteSignatureRefused,
    NotSigned,
)
from airgap_bundle.transparency.note import (
    Note,
    Signature,
    VerifierKey,
    parse,
    render,
    sign,
    signed_by,
    verify,
)

KEY = PrivateKey(bytes(range(32)))
LOG = VerifierKey("zone-1.example", KEY.public)
OTHER = PrivateKey(bytes(range(1, 33)))
TEXT = "All is well.\n"
LINE = f"{sign(TEXT, LOG.name, KEY)}\n"
NOTE = f"{TEXT}\n{LINE}".encode()

# --- What is published ---

SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """\
This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
""".encode()

GO_KEYS = [
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop",
]
GO_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=
""".encode()


def test_the_example_of_the_specification_verifies() -> None:
    key = VerifierKey.parse(SPEC_KEY)
    assert str(key) == SPEC_KEY
    note = parse(SPEC_NOTE)
    assert note.text == "This is an example message.\n"
    assert [signer for signer, _ in verify(note, [key])] == [key]


def test_the_examples_of_go_verify_with_one_key_or_both() -> None:
    peter, enoch = map(VerifierKey.parse, GO_KEYS)
    note = parse(GO_NOTE)
    for known in ([peter], [enoch], [peter, enoch], [enoch, peter, peter]):
        assert [key.name for key, _ in verify(note, known)] == [
            key.name for key in (peter, enoch) if key in known
        ]


def test_we_write_the_bytes_that_go_writes() -> None:
    enoch = PrivateKey(bytes(32))  # Go's example draws its key from a reader of zeros
    text, _, _ = GO_NOTE.decode().rpartition("\n\n")
    note = Note(f"{text}\n", parse(GO_NOTE).signatures[:1])
    assert render(note.with_signature(sign(note.text, "EnochRoot", enoch))) == GO_NOTE


def test_the_salvatore_example_of_the_specification_is_a_note() -> None:
    data = """\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
""".encode()  # noqa: E501
    note = parse(data)
    assert note.text.endswith("sole:\n\ned è subito sera.\n")
    assert note.signatures[0].name == "quasimodo.example/salvatore"
    assert note.signatures[0].key_id.hex() == "367ba04b"
    assert render(note) == data


# --- What is signed verifies, and nothing else ---

texts = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n")).map(
    lambda text: f"{text}\n"
)


@given(texts)
def test_what_was_signed_reads_and_verifies(text: str) -> None:
    note = Note(text).with_signature(sign(text, LOG.name, KEY), sign(text, "other", OTHER))
    assert parse(render(note)) == note
    assert verify(note, [LOG]) == [(LOG, note.signatures[0])]
    with pytest.raises(NoteSignatureRefused):
        verify(Note(f"{text} \n", note.signatures), [LOG])


@pytest.mark.parametrize(
    "known",
    [
        VerifierKey("zone-1.example", OTHER.public),
        VerifierKey("zone-2.example", KEY.public),
        WitnessKey("zone-1.example", KEY.public),
    ],
    ids=["wrong key", "wrong name", "a witness's key"],
)
def test_a_note_by_another_key_is_not_signed(known: VerifierKey) -> None:
    with pytest.raises(NotSigned, match=r"signed by zone-1\.example\+bb8522f8, known are "):
        verify(parse(NOTE), [known])


def test_without_known_keys_nothing_is_signed() -> None:
    assert signed_by(parse(NOTE), []) == []
    with pytest.raises(NotSigned, match="known are none"):
        verify(parse(NOTE), [])


def test_a_refusal_names_a_few_signers_not_all() -> None:
    note = Note(TEXT, tuple(Signature(f"n{number}", b"abcd", b"x") for number in range(9)))
    with pytest.raises(NotSigned, match=r"signed by n0\+61626364, .*, n4\+61626364, 4 more, known are"):
        verify(note, [LOG])


def test_a_signature_of_an_unknown_key_is_ignored_whatever_it_says() -> None:
    same_name = Signature(LOG.name, b"\0\0\0\0", b"x")
    same_id = Signature("zone-2.example", LOG.key_id, b"x" * 64)
    other = Signature("post-quantum.example", b"abcd", b"x" * 5000)
    note = Note(TEXT, (same_name, other, sign(TEXT, LOG.name, KEY), same_id, other))
    assert render(parse(render(note))) == render(note)
    assert len(verify(note, [LOG])) == 1


def test_one_false_signature_of_a_known_key_refuses_the_whole_note() -> None:
    false = Signature(LOG.name, LOG.key_id, sign("Other text.\n", LOG.name, KEY).raw)
    true = sign(TEXT, LOG.name, KEY)
    for signatures in ((false,), (true, false), (false, true)):
        with pytest.raises(NoteSignatureRefused, match=r"zone-1\.example\+bb8522f8 does not verify"):
            verify(Note(TEXT, signatures), [LOG])


def test_the_same_signature_twice_is_one_signer() -> None:
    found = verify(parse(NOTE + LINE.encode()), [LOG])
    assert {key for key, _ in found} == {LOG}


@pytest.mark.parametrize("length", [0, 1, 63, 65, 72])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    note = Note(TEXT, (Signature(LOG.name, LOG.key_id, b"x" * length),))
    if not length:
        with pytest.raises(MalformedNote, match="the signature has 4 bytes"):
            render(note)
    with pytest.raises(NoteSignatureRefused, match="a signature has 64 bytes"):
        verify(note, [LOG])


def test_a_signature_has_one_form_only() -> None:
    """S and S + L satisfy the same equation; only S below L is a signature (RFC 8032 section 5.1.7)."""
    order = 2**252 + 27742317777372353535851937790883648493
    true = sign(TEXT, LOG.name, KEY).raw
    s = int.from_bytes(true[32:], "little") + order
    note = Note(TEXT, (Signature(LOG.name, LOG.key_id, true[:32] + s.to_bytes(32, "little")),))
    with pytest.raises(NoteSignatureRefused):
        verify(note, [LOG])


def test_a_signature_replaces_an_older_one_of_the_same_key() -> None:
    false = Signature(LOG.name, LOG.key_id, b"x" * 64)
    kept = Signature("other", b"abcd", b"x")
    note = Note(TEXT, (false, kept)).with_signature(sign(TEXT, LOG.name, KEY))
    assert [one.name for one in note.signatures] == ["other", LOG.name]
    assert verify(note, [LOG])


def test_two_known_keys_of_one_name_and_id_are_refused() -> None:
    class Colliding(VerifierKey):
        key_id = LOG.key_id

    first, second = Colliding("zone-1.example", KEY.public), Colliding("zone-1.example", OTHER.public)
    assert len(verify(parse(NOTE), [first, first])) == 1
    with pytest.raises(KeysRefused, match=r"two of them are zone-1\.example\+bb8522f8"):
        verify(parse(NOTE), [first, second])


# --- Reading strictly ---

MALFORMED = {
    "nothing": (b"", "no empty line"),
    "text only": (TEXT.encode(), "no empty line"),
    "no signature": (f"{TEXT}\n".encode(), "it has no signature"),
    "no line end": (NOTE[:-1], "its last line has no end"),
    "no empty line": (f"{TEXT}{LINE}".encode(), "no empty line"),
    "only signatures": (LINE.encode(), "no empty line"),
    "empty line at the end": (NOTE + b"\n", "it has no signature"),
    "empty line between signatures": (NOTE + b"\n" + LINE.encode() + b"x\n", "line 6 does not begin"),
    "text after signatures": (NOTE + b"More.\n", "line 4 does not begin with an em dash"),
    "hyphen": (NOTE.replace("—".encode(), b"-"), "does not begin with an em dash"),
    "en dash": (NOTE.replace("—".encode(), "–".encode()), "does not begin with an em dash"),
    "two spaces": (NOTE.replace("— ".encode(), "—  ".encode()), "the key name is empty"),
    "no-break space": (NOTE.replace("— ".encode(), "—\u00a0".encode()), "does not begin with an em dash"),
    "space in the name": (NOTE.replace(b"zone-1", b"zone 1"), "is not base64"),
    "strange space in the name": (NOTE.replace(b"zone-1", "zone\u20031".encode()), "has a space"),
    "line separator in the name": (NOTE.replace(b"zone-1", "zone\u20281".encode()), "has a space"),
    "plus in the name": (NOTE.replace(b"zone-1", b"zone+1"), "has a space, a plus"),
    "long name": (NOTE.replace(b"zone-1", b"z" * 256), "longer than 255 bytes"),
    "no signature bytes": (f"{TEXT}\n— name\n".encode(), "line 3 is not a key name and a signature"),
    "empty signature": (f"{TEXT}\n— name \n".encode(), "line 3: the signature has 0 bytes"),
    "key ID only": (f"{TEXT}\n— name AAAAAA==\n".encode(), "the signature has 4 bytes"),
    "space at the end": (NOTE[:-1] + b" \n", "line 3: the signature is not base64"),
    "three parts": (NOTE[:-1] + b" AAAA\n", "line 3: the signature is not base64"),
    "padding lost": (NOTE.replace(b"=\n", b"\n"), "is not base64"),
    "padding bits": (NOTE.replace(b"M=\n", b"N=\n"), "not base64 as encoders write it"),
    "url base64": (NOTE.replace(b"+", b"-").replace(b"zone--", b"zone-"), "is not base64"),
    "CRLF": (NOTE.replace(b"\n", b"\r\n"), "line 1 has a carriage return"),
    "carriage return": (NOTE[:-1] + b"\r\n", "line 3 has a carriage return"),
    "tab": (NOTE.replace(b"is well", b"is\twell"), r"line 1 has the control character U\+0009"),
    "escape": (b"\x1b[2J" + NOTE, r"line 1 has the control character U\+001B"),
    "zero byte": (NOTE + b"\0", r"line 4 has the control character U\+0000"),
    "latin-1": (b"\xe9" + NOTE, "byte 0 is not UTF-8"),
    "surrogates": (b"\xed\xa0\x80" + NOTE, "byte 0 is not UTF-8"),
    "overlong": (b"\xc0\xaf" + NOTE, "byte 0 is not UTF-8"),
    "65 signatures": (f"{TEXT}\n{LINE * 65}".encode(), "65 signatures, more than 64"),
    "large signature": (
        f"{TEXT}\n— name {base64.b64encode(b'x' * 8197).decode()}\n".encode(),
        "the signature has 8197 bytes",
    ),
    "large": (b"x" * 256 * 1024 + NOTE, "more than 262144"),
}


@pytest.mark.parametrize(("data", "why"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_a_note_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(MalformedNote, match=why):
        parse(data)


def test_sixteen_post_quantum_signatures_are_read() -> None:
    pq = tuple(Signature(f"pq-{number}", b"abcd", b"x" * 5000) for number in range(16))
    note = Note(TEXT, (*pq, sign(TEXT, LOG.name, KEY)))
    assert verify(parse(render(note)), [LOG])


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (Note("no end", (sign("no end", "a", KEY),)), "no empty line"),
        (Note("", (sign("", "a", KEY),)), "no empty line"),
        (Note(TEXT), "it has no signature"),
        (Note("tab\t\n", (sign("tab\t\n", "a", KEY),)), "control character"),
        (Note("\ud800\n", (sign("\ud800\n", "a", KEY),)), "half a surrogate pair"),
        (Note(TEXT, (Signature("a b", b"abcd", b"x"),)), "is not base64"),
        (Note(TEXT, (Signature("a", b"abc", b"x"),)), "has 4 bytes"),
        (Note(TEXT, (Signature("a", b"abcde", b"x"),)), "no file reads as this text"),
    ],
)
def test_what_no_file_can_say_is_not_written(note: Note, why: str) -> None:
    with pytest.raises(MalformedNote, match=why):
        render(note)


@given(st.binary())
def test_only_canonical_bytes_parse(data: bytes) -> None:
    with suppress(MalformedNote):
        assert render(parse(data)) == data


@given(st.data())
def test_only_canonical_bytes_parse_near_a_note(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from([NOTE, SPEC_NOTE, GO_NOTE, NOTE + LINE.encode()]))
    at = data.draw(st.integers(0, len(whole)))
    to = data.draw(st.integers(at, min(at + 4, len(whole))))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"\n", b"\n\n", "— ".encode(), b"=", b" a "]))
    edited = whole[:at] + put + whole[to:]
    with suppress(MalformedNote):
        assert render(parse(edited)) == edited


def test_every_flipped_bit_of_a_note_is_refused() -> None:
    for bit in range(len(NOTE) * 8):
        flipped = bytearray(NOTE)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((MalformedNote, NotSigned, NoteSignatureRefused)):
            verify(parse(bytes(flipped)), [LOG])


def test_a_note_cut_anywhere_is_refused() -> None:
    for length in range(len(NOTE)):
        with pytest.raises((MalformedNote, NotSigned, NoteSignatureRefused)):
            verify(parse(NOTE[:length]), [LOG])


# --- Keys as text ---


def vkey(name: str, material: bytes) -> str:
    """The text form that a careless tool would write."""
    key_id = sha256(name.encode("utf-8", "replace") + b"\n" + material).hexdigest()[:8]
    return f"{name}+{key_id}+{base64.b64encode(material).decode()}"


GOOD = b"\1" + KEY.public.raw
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]
MALFORMED_KEYS = {
    "nothing": ("", "it is not a name, eight hex digits"),
    "no ID": ("zone-1.example", "it is not a name, eight hex digits"),
    "no key": ("zone-1.example+bb8522f8", "it is not a name, eight hex digits"),
    "empty key": ("zone-1.example+bb8522f8+", "it is nothing"),
    "upper case": (str(LOG).replace("bb85", "BB85"), "eight hex digits in lower case"),
    "short ID": (str(LOG).replace("bb85", "bb8"), "eight hex digits"),
    "another ID": (str(LOG).replace("bb85", "bb86"), "its ID is bb8622f8, and name and key give bb8522f8"),
    "another name": (str(LOG).replace("zone-1", "zone-2"), "its ID is bb8522f8, and name and key give"),
    "another key": (vkey("a", GOOD).replace("AQOh", "AQOi"), "its ID is|is not a valid"),
    "line end": (f"{LOG}\n", "is not base64"),
    "space in front": (f" {LOG}", "has a space"),
    "empty name": (vkey("", GOOD), "the key name is empty"),
    "space in the name": (vkey("zone 1", GOOD), "has a space"),
    "half a surrogate pair": (vkey("\ud800", GOOD), "half a surrogate pair"),
    "long name": (vkey("z" * 256, GOOD), "longer than 255 bytes"),
    "not base64": ("a+00000000+!", "its key is not base64"),
    "short": (vkey("a", GOOD[:-1]), "its key has 31 bytes where Ed25519 has 32"),
    "long": (vkey("a", GOOD + b"x"), "its key has 33 bytes where Ed25519 has 32"),
    "ECDSA": (vkey("a", b"\2" + GOOD[1:]), "an ECDSA key, and a log's key, which signs notes is needed"),
    "witness": (str(WitnessKey("a", KEY.public)), "it is a witness's key"),
    "ML-DSA": (vkey("a", b"\6" + bytes(1312)), "it is an ML-DSA-44 key"),
    "unknown type": (vkey("a", b"\xff" + GOOD), "a key of unknown type"),
    "not a point": (vkey("a", b"\1" + bytes([2] * 32)), "is not a valid Ed25519 point"),
    **{f"small order {raw[:6]}": (vkey("a", b"\1" + bytes.fromhex(raw)), "valid") for raw in SMALL_ORDER},
}


@pytest.mark.parametrize(("text", "why"), MALFORMED_KEYS.values(), ids=MALFORMED_KEYS.keys())
def test_what_is_not_a_verifier_key_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(MalformedKey, match=why):
        VerifierKey.parse(text)


def test_a_log_key_is_not_a_witness_key() -> None:
    with pytest.raises(MalformedKey, match="it is a log's key, which signs notes, and a witness's key is"):
        WitnessKey.parse(str(LOG))
    assert WitnessKey("a", KEY.public).key_id != VerifierKey("a", KEY.public).key_id


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=60))
def test_a_key_reads_back_as_it_was_written(seed: bytes, name: str) -> None:
    with suppress(MalformedKey):
        key = VerifierKey(name, PrivateKey(seed).public)
        assert VerifierKey.parse(str(key)) == key


@given(
    st.text() | st.sampled_from([str(LOG), SPEC_KEY]).flatmap(lambda key: st.permutations(key).map("".join))
)
def test_only_canonical_text_is_a_key(text: str) -> None:
    with suppress(MalformedKey):
        assert str(VerifierKey.parse(text)) == text


def test_the_comment_of_a_key_file_is_not_part_of_it() -> None:
    assert VerifierKey("a", PublicKey(KEY.public.raw, "anna@admin-1")) == VerifierKey("a", KEY.public)
