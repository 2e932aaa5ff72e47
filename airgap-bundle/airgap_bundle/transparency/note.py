r"""Text with signatures under it, as one file that people can read. C2SP signed-note, version 1.0.0.

    All is well.                      the text, to its last line end
                                      an empty line
    — zone-1.example u4Ui+NsNQ...     em dash, key name, base64 of key ID and signature

>>> from airgap_bundle.keys import PrivateKey
>>> key = PrivateKey(bytes(range(32)))  # an example: keys come from ssh-keygen
>>> log = VerifierKey("zone-1.example", key.public)
>>> print(log)
zone-1.example+bb8522f8+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4

The text form of a key is its name, its ID in hex and the base64 of type and key. The ID is the beginning of
SHA-256(name || 0x0A || type || key), type 0x01.

>>> note = Note("All is well.\n").with_signature(sign("All is well.\n", log.name, key))
>>> print(render(note).decode(), end="")
All is well.
<BLANKLINE>
— zone-1.example u4Ui+NsNQHNuc+g65n+LgO6sAQcBD3YPOz92qRdnKCAWk39aYs5+VhdCadB+OFqg1q1XSJ4q68rHzj90UW/sq13WaQM=
>>> [known.name for known, _ in verify(parse(render(note)), [log])]
['zone-1.example']

A note is believed only where a key that the reader already knows has signed it. Signatures by other keys are
ignored: that is how keys are rotated and how witnesses add theirs. Every signature in the name of a known
key must verify, or the whole note is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import ClassVar, Protocol, Self, TypeVar

from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import PUBLIC_BYTES, BadSignature, PublicKey
from airgap_bundle.transparency.errors import (
    KeysRefused,
    MalformedKey,
    MalformedNote,
    NoteSignatureRefused,
    NotSigned,
)
from airgap_bundle.transparency.strict import Unreadable, base64_bytes, base64_text, plain_text

ED25519 = 0x01
COSIGNATURE_V1 = 0x04
KEY_ID_BYTES = 4

NOTE_LIMIT = 256 * 1024  # bytes; 16 post-quantum signatures of 5 kB, which every reader must take, fit twice
SIGNATURES_LIMIT = 64
SIGNATURE_LIMIT = 8 * 1024  # bytes of one signature
NAME_LIMIT = 255  # bytes; a longer name cannot be cosigned with ML-DSA (C2SP tlog-cosignature)

_DASH = "\u2014 "
_SHOWN = 5  # names in an error
_TYPES = {
    0x02: "an ECDSA key",
    COSIGNATURE_V1: "a witness's key",
    ED25519: "a log's key, which signs notes",
    0x05: "an RFC 6962 log key",
    0x06: "an ML-DSA-44 key",
}


class SigningKey(Protocol):
    """What signs: a PrivateKey, or a key in an agent that never leaves it."""

    @property
    def public(self) -> PublicKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over `message`."""


@dataclass(frozen=True)
class VerifierKey:
    """A named Ed25519 key that verifies notes. Name and ID together tell which signatures are its."""

    name: str
    public: PublicKey

    kind: ClassVar[int] = ED25519

    def __post_init__(self) -> None:
        try:
            check_name(self.name)
        except Unreadable as why:
            raise MalformedKey(why=why) from None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form `name+ID+base64`, strictly. Raises MalformedKey."""
        try:
            name, key_id, encoded = _three(text)  # check K1
            material = base64_bytes(encoded, "its key")
            kind, raw = material[:1], material[1:]
            if kind != bytes([cls.kind]):  # check K3
                what = _TYPES.get(material[0], "a key of unknown type") if material else "nothing"
                raise Unreadable(f"it is {what}, and {_TYPES[cls.kind]} is needed")
            if len(raw) != PUBLIC_BYTES:
                raise Unreadable(f"its key has {len(raw)} bytes where Ed25519 has {PUBLIC_BYTES}")
            key = cls(name, PublicKey(raw))  # checks K2, K5
            if key_id != key.key_id.hex():  # check K4
                raise Unreadable(f"its ID is {key_id[:8]}, and name and key give {key.key_id.hex()}")
        except Unreadable as why:
            raise MalformedKey(why=why) from None
        except KeyProblem as problem:  # a point of small order, or not a point
            raise MalformedKey(why=f"its key {problem.facts['why']}") from None
        return key

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell this key from others of its name; no protection against forgery."""
        return sha256(self.name.encode() + b"\n" + self._material).digest()[:KEY_ID_BYTES]

    @property
    def _material(self) -> bytes:
        return bytes([self.kind]) + self.public.raw

    def check(self, text: bytes, signature: bytes) -> None:
        """Return when `signature` is this key's over the note's text, else raise BadSignature."""
        self.public.verify(text, signature)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64_text(self._material)}"


K = TypeVar("K", bound=VerifierKey)


@dataclass(frozen=True)
class Signature:
    """One signature line: whose it claims to be, and the bytes that only that key can judge."""

    name: str
    key_id: bytes
    raw: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.raw)}"


@dataclass(frozen=True)
class Note:
    """A text and the signatures under it. Until it is verified it is a claim by nobody."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def with_signature(self, *signatures: Signature) -> Note:
        """The note with these added at the end; those of the same name and ID before are replaced."""
        new = {(one.name, one.key_id) for one in signatures}
        kept = tuple(one for one in self.signatures if (one.name, one.key_id) not in new)
        return replace(self, signatures=kept + signatures)


def parse(data: bytes) -> Note:
    """Read a signed note, strictly: `render(parse(data)) == data`. Raises MalformedNote."""
    try:
        whole = plain_text(data, NOTE_LIMIT)  # check N1
        head, blank, tail = whole.rpartition("\n\n")  # check N2: the last one, the text may have others
        if not blank:
            raise Unreadable("no empty line parts the text from the signatures")
        if not tail.endswith("\n"):
            raise Unreadable("its last line has no end" if tail else "it has no signature")
        text, lines = head + "\n", tail[:-1].split("\n")
        if len(lines) > SIGNATURES_LIMIT:
            raise Unreadable(f"it has {len(lines)} signatures, more than {SIGNATURES_LIMIT}")
        first = text.count("\n") + 2
        return Note(text, tuple(_signature(line, f"line {first + i}") for i, line in enumerate(lines)))
    except Unreadable as why:
        raise MalformedNote(why=why) from None


def render(note: Note) -> bytes:
    """The file's bytes. Raises MalformedNote if no file reads as this note."""
    try:
        data = utf8(note.text + "\n" + "".join(f"{one}\n" for one in note.signatures))
    except Unreadable as why:
        raise MalformedNote(why=why) from None
    if parse(data) != note:
        raise MalformedNote(why="no file reads as this text with these signatures")
    return data


def sign(text: str, name: str, key: SigningKey) -> Signature:
    """The signature of `text` by `key` under `name`. Raises MalformedKey for a name that cannot be one."""
    verifier = VerifierKey(name, key.public)
    return Signature(name, verifier.key_id, key.sign(text.encode("utf-8", "replace")))


def verify(note: Note, keys: Iterable[K]) -> list[tuple[K, Signature]]:
    """What known keys signed, in the note's order; at least one signature.

    Raises NotSigned, NoteSignatureRefused, KeysRefused.
    """
    known = list(keys)
    found = signed_by(note, known)
    if not found:  # check N5
        raise NotSigned(signers=_some(note.signatures), known=_some(known))
    return found


def signed_by(note: Note, keys: Iterable[K]) -> list[tuple[K, Signature]]:
    """As `verify`, but there may be none. Every signature in the name of a known key is verified.

    A key that signed twice is there twice (a witness may have, at two times): whoever counts, counts keys.

    Raises NoteSignatureRefused, KeysRefused.
    """
    known = _by_identity(keys)
    text = note.text.encode()
    found = []
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue  # an unknown key, even if its name or its ID is a known one's: ignored
        try:
            key.check(text, signature.raw)  # check N4
        except BadSignature as why:
            raise NoteSignatureRefused(key=f"{key.name}+{key.key_id.hex()}", why=why) from None
        found.append((key, signature))
    return found


def check_name(name: str) -> None:
    """Return when `name` can name a key: not empty, without spaces of any script and without `+`.

    Raises Unreadable.
    """
    if not name:
        raise Unreadable("the key name is empty")
    if "+" in name or any(c.isspace() or c < " " for c in name):
        raise Unreadable(f"the key name `{name[:40]}` has a space, a plus or a control character")
    if len(utf8(name)) > NAME_LIMIT:
        raise Unreadable(f"the key name is longer than {NAME_LIMIT} bytes")


def utf8(text: str) -> bytes:
    """The bytes of `text`. Raises Unreadable where Python's text is not Unicode's: half a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Unreadable("it has half a surrogate pair, which no UTF-8 text has") from None


def _some(keys: Sequence[VerifierKey | Signature]) -> str:
    """The names and IDs of the first few, for an error."""
    names = [f"{one.name}+{one.key_id.hex()}" for one in keys]
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return ", ".join(names[:_SHOWN] + more) or "none"


def _by_identity(keys: Iterable[K]) -> dict[tuple[str, bytes], K]:
    known: dict[tuple[str, bytes], K] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:  # check N6
            raise KeysRefused(why=f"two of them are {key.name}+{key.key_id.hex()}")
    return known


def _signature(line: str, where: str) -> Signature:
    if not line.startswith(_DASH):  # check N3
        raise Unreadable(f"{where} does not begin with an em dash and a space, as a signature does")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise Unreadable(f"{where} is not a key name and a signature")
    try:
        check_name(name)
    except Unreadable as why:
        raise Unreadable(f"{where}: {why}") from None
    raw = base64_bytes(encoded, f"{where}: the signature")
    if not KEY_ID_BYTES < len(raw) <= KEY_ID_BYTES + SIGNATURE_LIMIT:
        raise Unreadable(f"{where}: the signature has {len(raw)} bytes")
    return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _three(text: str) -> Sequence[str]:
    parts = text.split("+", 2)  # base64 may have a plus, the other two may not
    if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
        raise Unreadable("it is not a name, eight hex digits in lower case and base64, joined by `+`")
    return parts
