"""What a log says of itself at one moment: name, size and root. C2SP tlog-checkpoint, version 1.0.0.

    zone-1.example                                   origin: which log
    3                                                tree size: number of entries
    NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=     root hash of those entries, RFC 6962

    — zone-1.example u4Ui+IgEkw...               signed by the log, a note (note.py)

>>> from airgap_bundle.keys import PrivateKey
>>> from airgap_bundle.transparency.merkle import leaf_hash, root_of
>>> key = PrivateKey(bytes(range(32)))  # an example: keys come from ssh-keygen
>>> root = root_of([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
>>> data = render(sign(Checkpoint("zone-1.example", 3, root), key))
>>> print(data.decode(), end="")
zone-1.example
3
NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=
<BLANKLINE>
— zone-1.example u4Ui+IgEkwyUAsV1RnJvOM/uT9XHMka1TDz9u+Q1KepPaVUD45fxveVTdhhMnnDd+1XbO1g0OtMk/H1EvHtiz9Q+cwI=
>>> log = VerifierKey("zone-1.example", key.public)
>>> verify(parse(data), "zone-1.example", [log]).size
3

A log never signs two checkpoints that cannot both be true. Whoever holds an old one can ask for the proof
that a new one extends it (`extends`); whoever finds two of one size with different roots holds evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from airgap_bundle.transparency import note as notes
from airgap_bundle.transparency.errors import (
    ConsistencyRefused,
    HistoryForked,
    MalformedCheckpoint,
    OriginRefused,
)
from airgap_bundle.transparency.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from airgap_bundle.transparency.note import Note, SigningKey, VerifierKey
from airgap_bundle.transparency.strict import Unreadable, base64_bytes, base64_text, decimal, plain_text

ORIGIN_LIMIT = 255  # bytes; a longer origin cannot be cosigned with ML-DSA (C2SP tlog-cosignature)
LINE_LIMIT = 1024  # bytes of one extension line
EXTENSIONS_LIMIT = 16
TEXT_LIMIT = 32 * 1024  # bytes; above what these limits allow


@dataclass(frozen=True)
class Checkpoint:
    """The statement: log `origin` has `size` entries, and they hash to `root`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def empty(cls, origin: str) -> Checkpoint:
        """What everyone knows of a log before its first entry, without a signature."""
        return cls(origin, 0, EMPTY_ROOT)

    @property
    def text(self) -> str:
        """The note's text. Raises MalformedCheckpoint if this is not a statement that can be written."""
        lines = [self.origin, str(self.size), base64_text(self.root), *self.extensions]
        text = "".join(f"{line}\n" for line in lines)
        if read_text(text) != self:
            refuse("a line of it has a line end inside")
        return text


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint as it was read. Until it is verified it is a claim by nobody.

    The statement is read from the note, so nobody can join one statement with the signatures of another.
    Raises MalformedCheckpoint.
    """

    note: Note
    checkpoint: Checkpoint = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checkpoint", read_text(self.note.text))


@dataclass(frozen=True)
class VerifiedCheckpoint(SignedCheckpoint):
    """A checkpoint that the log's own key signed."""

    signers: tuple[VerifierKey, ...]

    @property
    def origin(self) -> str:
        """Which log."""
        return self.checkpoint.origin

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Root hash over the entries, 32 bytes."""
        return self.checkpoint.root


def parse(data: bytes) -> SignedCheckpoint:
    """Read a checkpoint file, strictly: `render(parse(data)) == data`.

    Raises MalformedNote, MalformedCheckpoint.
    """
    return SignedCheckpoint(notes.parse(data))


def render(signed: SignedCheckpoint) -> bytes:
    """The file's bytes."""
    return notes.render(signed.note)


def sign(checkpoint: Checkpoint, key: SigningKey, name: str | None = None) -> SignedCheckpoint:
    """The checkpoint signed by the log; its key is named after the origin unless `name` is given.

    Before: the writer knows that `checkpoint` extends every one it signed before, and that its entries are
    on the disk. What is signed cannot be taken back.

    Raises MalformedCheckpoint, MalformedKey.
    """
    text = checkpoint.text
    return SignedCheckpoint(Note(text).with_signature(notes.sign(text, name or checkpoint.origin, key)))


def verify(signed: SignedCheckpoint, origin: str, keys: Iterable[VerifierKey]) -> VerifiedCheckpoint:
    """The checkpoint, once it is known to be of log `origin` and signed by one of its `keys`.

    Raises OriginRefused, NotSigned, NoteSignatureRefused, KeysRefused.
    """
    if signed.checkpoint.origin != origin:  # check C7
        raise OriginRefused(origin=signed.checkpoint.origin, expected=origin)
    signers = dict.fromkeys(key for key, _ in notes.verify(signed.note, keys))  # check C8
    return VerifiedCheckpoint(signed.note, tuple(signers))


def extends(older: Checkpoint, newer: Checkpoint, proof: Sequence[bytes]) -> None:
    """Return when `newer` holds all entries of `older`, unchanged and in their places.

    It compares two statements; that they are the log's is for `verify` to say.

    Raises OriginRefused for two logs, HistoryForked if no proof can exist, ConsistencyRefused if this one
    does not show it.
    """
    if older.origin != newer.origin:  # check X2
        raise OriginRefused(origin=newer.origin, expected=older.origin)
    if older.size == newer.size and older.root != newer.root:  # check X6
        why = f"its {older.size} entries have the roots {older.root.hex()} and {newer.root.hex()}"
        raise HistoryForked(origin=older.origin, why=why)
    if newer.size < older.size:
        raise ConsistencyRefused(old=older.size, new=newer.size, why="it is smaller")
    verify_consistency(older.size, newer.size, proof, older.root, newer.root)  # checks X6, X7


def read_text(text: str) -> Checkpoint:
    """Read the text of a checkpoint's note, strictly. Raises MalformedCheckpoint."""
    try:
        plain_text(notes.utf8(text), TEXT_LIMIT)
        if not text.endswith("\n"):
            raise Unreadable("its last line has no end")
        lines = text[:-1].split("\n")
        if "" in lines:  # check C1
            raise Unreadable(f"line {lines.index('') + 1} is empty")
        if len(lines) < 3:
            raise Unreadable(f"it has {len(lines)} lines, and origin, size and root hash are three")
        origin, size_text, root_text, *extensions = lines
        if len(origin.encode()) > ORIGIN_LIMIT:  # check C2
            raise Unreadable(f"line 1: the origin is longer than {ORIGIN_LIMIT} bytes")
        size = decimal(size_text, "line 2: the tree size")  # check C3
        root = base64_bytes(root_text, "line 3: the root hash", HASH_BYTES)  # check C4
        if size == 0 and root != EMPTY_ROOT:  # check C5
            raise Unreadable("line 3: the root hash of an empty log is another one")
        if len(extensions) > EXTENSIONS_LIMIT:  # check C6
            raise Unreadable(f"it has {len(extensions)} extension lines, more than {EXTENSIONS_LIMIT}")
        for number, line in enumerate(extensions, 4):
            if len(line.encode()) > LINE_LIMIT:
                raise Unreadable(f"line {number} is longer than {LINE_LIMIT} bytes")
    except Unreadable as why:
        refuse(str(why))
    return Checkpoint(origin, size, root, tuple(extensions))


def refuse(why: str) -> NoReturn:
    """Raise MalformedCheckpoint with this reason."""
    raise MalformedCheckpoint(why=why) from None
