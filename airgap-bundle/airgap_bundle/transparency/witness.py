"""What a witness does: cosign a checkpoint only if it extends the last one it cosigned. C2SP tlog-witness.

    asked: a consistency proof file (`proof.py`)     answered: one signature line, to put under the checkpoint

A witness keeps one checkpoint for each log, the last that it cosigned. It sees no entries, and holds the log
to one history: once it has answered, no other history can have its cosignature.

>>> from airgap_bundle.keys import PrivateKey
>>> from airgap_bundle.transparency.checkpoint import sign
>>> from airgap_bundle.transparency.merkle import leaf_hash, root_of
>>> log, key = PrivateKey(bytes(range(32))), PrivateKey(bytes(range(32, 64)))  # examples
>>> a, b, c = (leaf_hash(entry) for entry in (b"a", b"b", b"c"))
>>> two, three = (sign(Checkpoint("zone-1.example", n, root_of([a, b, c][:n])), log) for n in (2, 3))
>>> log_keys = [VerifierKey("zone-1.example", log.public)]
>>> w1 = Witness("witness.example/w1", key)
>>> seen = Checkpoint.empty("zone-1.example")
>>> seen, line = w1.answer(ConsistencyProof(0, (), two), seen, log_keys, time=1764000000)
>>> seen, line = w1.answer(ConsistencyProof(2, (c,), three), seen, log_keys, time=1764000060)
>>> seen.size, line.name
(3, 'witness.example/w1')
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airgap_bundle.transparency.checkpoint import Checkpoint
from airgap_bundle.transparency.cosignature import cosign
from airgap_bundle.transparency.note import Signature, SigningKey, VerifierKey
from airgap_bundle.transparency.proof import ConsistencyProof, verify_consistency


@dataclass(frozen=True)
class Witness:
    """Who cosigns: a name, and a key that signs nothing else."""

    name: str
    key: SigningKey

    def answer(
        self, request: ConsistencyProof, seen: Checkpoint, log_keys: Iterable[VerifierKey], time: int
    ) -> tuple[Checkpoint, Signature]:
        """The checkpoint to keep instead of `seen`, and the cosignature to give out once it is kept.

        `seen` is the last checkpoint of this log that the witness cosigned, at first `Checkpoint.empty`;
        `time` is now, in Unix seconds. A crash after keeping loses only the answer: the log asks again with
        the same checkpoint. Answering before keeping could cosign two histories.

        Raises OriginRefused, NotSigned, NoteSignatureRefused, KeysRefused, HistoryForked, ConsistencyRefused.
        """
        newer = verify_consistency(request, seen, log_keys)
        return newer.checkpoint, cosign(newer.checkpoint, self.name, self.key, time)
