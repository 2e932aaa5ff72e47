"""What can be wrong with a log's files, what it says and what to do next.

    TransparencyRefused
    ├── Malformed                    48   bytes that are not the format: nothing in them was believed
    │   ├── MalformedKey                  a verifier key line
    │   ├── MalformedNote                 a signed note
    │   ├── MalformedCheckpoint           the text of a checkpoint
    │   ├── MalformedProof                a proof file
    │   └── MalformedTree                 the kept state of a tree
    └── Unproven                     49   well-formed, but what it says is not shown to be true
        ├── KeysRefused                   the keys to check with cannot be used together
        ├── NotSigned                     no key that we know signed it
        ├── NoteSignatureRefused          a signature in the name of a key that we know is not that key's
        ├── OriginRefused                 it speaks of another log
        ├── QuorumMissed                  too few witnesses saw it
        ├── InclusionRefused              the entry is not shown to be in the log
        └── ConsistencyRefused            the newer log is not shown to contain the older one
            └── HistoryForked             one log has told two histories, and here is the evidence

>>> problem = MalformedCheckpoint(why="line 2: the tree size `+1` has a sign")
>>> print(problem, problem.exit_code, problem.code())
malformed checkpoint: line 2: the tree size `+1` has a sign 48 malformed-checkpoint
"""

from __future__ import annotations

from airgap_bundle.errors import Problem


class TransparencyRefused(Problem):
    """A file of a transparency log cannot be believed."""

    exit_code = 49


class Malformed(TransparencyRefused):
    """Bytes that are not the format; nothing in them was believed."""

    exit_code = 48
    message = "malformed: {why}"
    hint = "Get the file again, unchanged: an editor, a mail program or a terminal may have altered it."


class MalformedKey(Malformed):
    """A verifier key line that cannot be used."""

    message = "malformed verifier key: {why}"
    hint = "Copy the whole line again from whoever vouches for the key: name+ID+key, without spaces."


class MalformedNote(Malformed):
    """Bytes that are not a signed note."""

    message = "malformed note: {why}"


class MalformedCheckpoint(Malformed):
    """A note whose text is not that of a checkpoint."""

    message = "malformed checkpoint: {why}"


class MalformedProof(Malformed):
    """Bytes that are not a proof file."""

    message = "malformed proof: {why}"


class MalformedTree(Malformed):
    """The kept state of a tree is not one."""

    message = "malformed tree state: {why}"
    hint = "Build the state again from the stored hashes; the log's entries are not touched by this."


class Unproven(TransparencyRefused):
    """Well-formed, but what it says is not shown to be true."""

    message = "not proven: {why}"
    hint = "Do not act on it. Ask the log's operator for the file again and compare."


class KeysRefused(Unproven):
    """The keys to check with cannot be used together."""

    message = "the known keys cannot be used together: {why}"
    hint = "Correct the list of keys; nothing was checked with it."


class NotSigned(Unproven):
    """No key that we know signed the note."""

    message = "no known key signed this note: signed by {signers}, known are {known}"
    hint = "Check that the file is of the log you expect, and whether the log's key was rotated."


class NoteSignatureRefused(Unproven):
    """A signature in the name of a known key is not that key's over this text."""

    message = "the signature of {key} does not verify: {why}"
    hint = "The note was altered or forged. Keep the file, and ask the log's operator for it again."


class OriginRefused(Unproven):
    """The checkpoint speaks of another log."""

    message = "this checkpoint is of log {origin}, expected {expected}"
    hint = "Give the checkpoint of {expected}, or that log's keys."


class QuorumMissed(Unproven):
    """Too few known witnesses cosigned the checkpoint."""

    message = "cosigned by {have} of the {known} known witnesses, {needed} needed; seen: {seen}"
    hint = "Ask the log's operator for a checkpoint with the cosignatures of {needed} witnesses."


class InclusionRefused(Unproven):
    """The entry is not shown to be in the log."""

    message = "entry {index} is not shown to be in the log of {size} entries: {why}"
    hint = (
        "Check that entry, proof and checkpoint belong together. If they do, the log does not hold the entry."
    )


class ConsistencyRefused(Unproven):
    """The newer log is not shown to contain the older one unchanged."""

    message = "the log of {new} entries is not shown to extend the log of {old} entries: {why}"
    hint = "Keep both checkpoints and ask for another proof. If none verifies, the log was rewritten."


class HistoryForked(ConsistencyRefused):
    """Two checkpoints of one log that cannot both be honest."""

    message = "log {origin} told two histories: {why}"
    hint = "Keep both files: together they are evidence. Trust nothing newer until this is explained."
