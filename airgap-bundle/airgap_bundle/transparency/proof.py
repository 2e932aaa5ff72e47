"""Proofs as files: one holds everything that a reader with the right keys needs, and no network.

An entry is in the log (C2SP tlog-proof version 1, `.tlog-proof`):

    c2sp.org/tlog-proof@v1
    index 1
    Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=       from the leaf's sibling up to the root's child
    WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=
                                                       an empty line, then the checkpoint as it is
    zone-1.example
    3
    ...

A newer checkpoint extends an older one (what C2SP tlog-witness sends a witness, here as `.tlog-extension`):

    old 2
    WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=

    zone-1.example
    3
    ...

>>> from airgap_bundle.keys import PrivateKey
>>> from airgap_bundle.transparency.checkpoint import Checkpoint, VerifierKey, sign
>>> from airgap_bundle.transparency.merkle import leaf_hash, root_of
>>> key = PrivateKey(bytes(range(32)))  # an example
>>> a, b, c = (leaf_hash(entry) for entry in (b"a", b"b", b"c"))
>>> two, three = (sign(Checkpoint("zone-1.example", n, root_of([a, b, c][:n])), key) for n in (2, 3))
>>> data = render(InclusionProof(1, (a, c), three))
>>> print(data.decode().partition("zone")[0], end="")
c2sp.org/tlog-proof@v1
index 1
Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=
WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=
<BLANKLINE>
>>> keys = [VerifierKey("zone-1.example", key.public)]
>>> verify(parse(data), b, "zone-1.example", keys).size
3
>>> data = render_consistency(ConsistencyProof(2, (c,), three))
>>> verify_consistency(parse_consistency(data), two.checkpoint, keys).size
3
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airgap_bundle.transparency import checkpoint as checkpoints
from airgap_bundle.transparency.checkpoint import Checkpoint, SignedCheckpoint, VerifiedCheckpoint
from airgap_bundle.transparency.cosignature import Quorum
from airgap_bundle.transparency.errors import ConsistencyRefused, MalformedProof
from airgap_bundle.transparency.merkle import HASH_BYTES, verify_inclusion
from airgap_bundle.transparency.note import NOTE_LIMIT, VerifierKey
from airgap_bundle.transparency.strict import Unreadable, base64_bytes, base64_text, decimal, plain_text

FIRST_LINE = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
EXTENSION_SUFFIX = ".tlog-extension"
HASHES_LIMIT = 63  # a tree of 2^63 - 1 entries is 63 levels high
EXTRA_LIMIT = 64 * 1024  # bytes
FILE_LIMIT = NOTE_LIMIT + 128 * 1024  # bytes; above what the other limits allow


@dataclass(frozen=True)
class InclusionProof:
    """The claim that an entry is number `index` of the log that `checkpoint` speaks of."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint
    extra: bytes = b""
    """Anything that helps to find the entry's bytes. It is not signed: never believe it."""


@dataclass(frozen=True)
class ConsistencyProof:
    """The claim that the log of `checkpoint` begins with the log of `old_size` entries."""

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedCheckpoint


def parse(data: bytes) -> InclusionProof:
    """Read a `.tlog-proof` file, strictly: `render(parse(data)) == data`.

    Raises MalformedProof, MalformedNote, MalformedCheckpoint.
    """
    try:
        lines, note = _parts(data)  # check P1
        if lines[0] != FIRST_LINE:
            raise Unreadable(f"line 1 is not `{FIRST_LINE}`")
        extra = b""
        at = 1
        if lines[at : at + 1] and lines[at].startswith("extra "):
            extra = base64_bytes(lines[at].removeprefix("extra "), "line 2: the extra data")
            if not 0 < len(extra) <= EXTRA_LIMIT:
                raise Unreadable(f"line 2: the extra data has {len(extra)} bytes, 1 to {EXTRA_LIMIT} may be")
            at += 1
        index = _numbered(lines, at, "index")
        hashes = _hashes(lines, at + 1)
    except Unreadable as why:
        raise MalformedProof(why=why) from None
    return InclusionProof(index, hashes, checkpoints.parse(note), extra)


def render(proof: InclusionProof) -> bytes:
    """The file's bytes. Raises MalformedProof if no file reads as this proof."""
    extra = [f"extra {base64_text(proof.extra)}"] if proof.extra else []
    data = _file([FIRST_LINE, *extra, f"index {proof.index}"], proof.hashes, proof.checkpoint)
    parse(data)  # refuses what no file can say
    return data


def verify(
    proof: InclusionProof,
    leaf: bytes,
    origin: str,
    keys: Iterable[VerifierKey],
    quorum: Quorum | None = None,
) -> VerifiedCheckpoint:
    """The checkpoint, once `leaf` (the entry's leaf hash) is known to be entry `proof.index` under it.

    The numbers are those of FORMAT.md, "An entry is in the log". Raises OriginRefused, NotSigned,
    NoteSignatureRefused, KeysRefused, QuorumMissed, InclusionRefused.
    """
    checkpoint = checkpoints.verify(proof.checkpoint, origin, keys)  # checks P2, P3
    if quorum is not None:
        quorum.check(checkpoint)  # check P4
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.hashes, checkpoint.root)  # checks P5, P6
    return checkpoint


def parse_consistency(data: bytes) -> ConsistencyProof:
    """Read a `.tlog-extension` file, strictly: `render_consistency(parse_consistency(data)) == data`.

    Raises MalformedProof, MalformedNote, MalformedCheckpoint.
    """
    try:
        lines, note = _parts(data)  # check X1
        old_size = _numbered(lines, 0, "old")
        hashes = _hashes(lines, 1)
    except Unreadable as why:
        raise MalformedProof(why=why) from None
    return ConsistencyProof(old_size, hashes, checkpoints.parse(note))


def render_consistency(proof: ConsistencyProof) -> bytes:
    """The file's bytes. Raises MalformedProof if no file reads as this proof."""
    data = _file([f"old {proof.old_size}"], proof.hashes, proof.checkpoint)
    parse_consistency(data)  # refuses what no file can say
    return data


def verify_consistency(
    proof: ConsistencyProof,
    older: Checkpoint,
    keys: Iterable[VerifierKey],
    quorum: Quorum | None = None,
) -> VerifiedCheckpoint:
    """The newer checkpoint, once its log is known to begin with all of `older`'s.

    `older` is what the reader believes already: a checkpoint that was verified, or `Checkpoint.empty`.
    The numbers are those of FORMAT.md, "A checkpoint extends another". Raises OriginRefused, NotSigned,
    NoteSignatureRefused, KeysRefused, QuorumMissed, HistoryForked, ConsistencyRefused.
    """
    newer = checkpoints.verify(proof.checkpoint, older.origin, keys)  # checks X2, X3
    if quorum is not None:
        quorum.check(newer)  # check X4
    if proof.old_size != older.size:  # check X5
        why = f"the proof is from a log of {proof.old_size} entries"
        raise ConsistencyRefused(old=older.size, new=newer.size, why=why)
    checkpoints.extends(older, newer.checkpoint, proof.hashes)  # checks X2, X6, X7
    return newer


def _parts(data: bytes) -> tuple[list[str], bytes]:
    """The lines before the first empty line, and the checkpoint's bytes behind it."""
    head, blank, note = plain_text(data, FILE_LIMIT).partition("\n\n")
    if not blank:
        raise Unreadable("no empty line parts the proof from the checkpoint")
    return head.split("\n"), note.encode()


def _numbered(lines: Sequence[str], at: int, word: str) -> int:
    if len(lines) <= at or not lines[at].startswith(f"{word} "):
        raise Unreadable(f"line {at + 1} is not `{word} ` and a number")
    return decimal(lines[at].removeprefix(f"{word} "), f"line {at + 1}: the number")


def _hashes(lines: Sequence[str], at: int) -> tuple[bytes, ...]:
    if len(lines) - at > HASHES_LIMIT:
        raise Unreadable(f"it has {len(lines) - at} hashes, more than {HASHES_LIMIT}")
    return tuple(
        base64_bytes(line, f"line {number}: the hash", HASH_BYTES)
        for number, line in enumerate(lines[at:], at + 1)
    )


def _file(head: Sequence[str], hashes: Sequence[bytes], checkpoint: SignedCheckpoint) -> bytes:
    lines = [*head, *(base64_text(one) for one in hashes), ""]
    return "".join(f"{line}\n" for line in lines).encode() + checkpoints.render(checkpoint)
