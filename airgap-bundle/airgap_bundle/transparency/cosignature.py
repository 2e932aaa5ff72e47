"""A witness saw this checkpoint at this time, and all before it agreed. C2SP tlog-cosignature 1.0.1.

A cosignature is one more signature line under a checkpoint. Its bytes are the key ID, the time in eight
bytes, and an Ed25519 signature over two lines and the checkpoint's text:

    cosignature/v1
    time 1764000000
    zone-1.example
    3
    NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

>>> from airgap_bundle.keys import PrivateKey
>>> from airgap_bundle.transparency.checkpoint import Checkpoint, VerifierKey, render, sign, verify
>>> from airgap_bundle.transparency.merkle import leaf_hash, root_of
>>> log, witness = PrivateKey(bytes(range(32))), PrivateKey(bytes(range(32, 64)))  # examples
>>> root = root_of([leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")])
>>> signed = sign(Checkpoint("zone-1.example", 3, root), log)
>>> cosigned = add(signed, cosign(signed.checkpoint, "witness.example/w1", witness, 1764000000))
>>> _, name, encoded = render(cosigned).decode().splitlines()[-1].split(" ")
>>> name, encoded[:56]
('witness.example/w1', 'IDJKvgAAAABpJIEAPVS4ajEjvPW9O3eM4dlkLEqpI/jErv0lZBOEwwVa')
>>> encoded[56:]
'baFhRWbmMT5FwFjgbbBlT9ROFcVGE9gB7I7uRwwNn305CQ=='

Whoever wants two of three witnesses says so with a quorum, and learns who saw it and when.

>>> print(WitnessKey("witness.example/w1", witness.public))
witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X
>>> quorum = Quorum((WitnessKey("witness.example/w1", witness.public),), 1)
>>> checkpoint = verify(cosigned, "zone-1.example", [VerifierKey("zone-1.example", log.public)])
>>> [(one.witness.name, one.time) for one in quorum.check(checkpoint)]
[('witness.example/w1', 1764000000)]

The signed text does not name the witness, so one key under two names would make two lines from one
signature: a quorum refuses that, and the log's own key among its witnesses too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from airgap_bundle.keys import SIGNATURE_BYTES, BadSignature
from airgap_bundle.transparency import note as notes
from airgap_bundle.transparency.checkpoint import Checkpoint, SignedCheckpoint, VerifiedCheckpoint
from airgap_bundle.transparency.errors import KeysRefused, QuorumMissed
from airgap_bundle.transparency.note import COSIGNATURE_V1, Signature, SigningKey, VerifierKey
from airgap_bundle.transparency.strict import LARGEST

TIME_BYTES = 8


@dataclass(frozen=True)
class WitnessKey(VerifierKey):
    """A named Ed25519 key that verifies cosignatures; type 0x04, so its ID is not that of a log's key."""

    kind: ClassVar[int] = COSIGNATURE_V1

    def check(self, text: bytes, signature: bytes) -> None:
        """Return when `signature` is this key's cosignature of the note's text, else raise BadSignature."""
        if len(signature) != TIME_BYTES + SIGNATURE_BYTES:  # check W1
            raise BadSignature(
                f"a cosignature has {TIME_BYTES + SIGNATURE_BYTES} bytes, not {len(signature)}"
            )
        if (time := time_of(signature)) > LARGEST:  # check W2
            raise BadSignature("its time is larger than 2^63 - 1")
        self.public.verify(_signed(text, time), signature[TIME_BYTES:])  # check W3


@dataclass(frozen=True)
class Cosignature:
    """A verified statement: `witness` saw the checkpoint as the log's newest at `time` (Unix seconds)."""

    witness: WitnessKey
    time: int


@dataclass(frozen=True)
class Quorum:
    """`needed` of these witnesses must have cosigned. Raises KeysRefused if they are not as many people."""

    witnesses: tuple[WitnessKey, ...]
    needed: int

    def __post_init__(self) -> None:
        if not 0 <= self.needed <= len(self.witnesses):
            raise KeysRefused(why=f"{self.needed} witnesses are needed and {len(self.witnesses)} are known")
        if len({key.public for key in self.witnesses}) != len(self.witnesses):  # check W4
            raise KeysRefused(why="two witnesses have one key, so one signature would count twice")
        if len({key.name for key in self.witnesses}) != len(self.witnesses):
            raise KeysRefused(why="two witnesses have one name, so one witness could count twice")

    def check(self, checkpoint: VerifiedCheckpoint, latest: int = LARGEST) -> tuple[Cosignature, ...]:
        """Who of the known witnesses cosigned, each once with its newest time; at least `needed`.

        A cosignature with a time after `latest` (Unix seconds) must verify too, and does not count.

        Raises QuorumMissed, NoteSignatureRefused, KeysRefused.
        """
        if {key.public for key in self.witnesses} & {key.public for key in checkpoint.signers}:
            raise KeysRefused(why="a witness has the log's own key")
        seen = cosignatures(checkpoint, self.witnesses, latest)  # check W5
        if len(seen) < self.needed:  # check W6
            raise QuorumMissed(
                have=len(seen),
                known=len(self.witnesses),
                needed=self.needed,
                seen=", ".join(one.witness.name for one in seen) or "nobody",
            )
        return tuple(seen)


def cosign(checkpoint: Checkpoint, name: str, key: SigningKey, time: int) -> Signature:
    """The cosignature of `checkpoint` by the witness `name` at `time`, in Unix seconds.

    Before: the witness verified the log's signature and that this extends the last checkpoint it cosigned,
    and keeps this one as the last (`witness.py` does it).

    Raises MalformedCheckpoint, MalformedKey.
    """
    if not 0 < time <= LARGEST:
        raise ValueError(f"{time} is not a time that a witness can state")
    raw = key.sign(_signed(checkpoint.text.encode(), time))
    return Signature(name, WitnessKey(name, key.public).key_id, time.to_bytes(TIME_BYTES, "big") + raw)


def add(signed: SignedCheckpoint, *signatures: Signature) -> SignedCheckpoint:
    """The checkpoint with these cosignatures under it, and unverified again."""
    return SignedCheckpoint(signed.note.with_signature(*signatures))


def cosignatures(
    signed: SignedCheckpoint, witnesses: Iterable[WitnessKey], latest: int = LARGEST
) -> list[Cosignature]:
    """The cosignatures by known witnesses, each witness once, with its newest time up to `latest`.

    Raises NoteSignatureRefused, KeysRefused.
    """
    times: dict[WitnessKey, int] = {}
    for witness, signature in notes.signed_by(signed.note, witnesses):
        if (time := time_of(signature.raw)) <= latest:
            times[witness] = max(time, times.get(witness, 0))
    return [Cosignature(witness, time) for witness, time in times.items()]


def time_of(raw: bytes) -> int:
    """The time in a cosignature's bytes, in Unix seconds."""
    return int.from_bytes(raw[:TIME_BYTES], "big")


def _signed(text: bytes, time: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (time, text)
