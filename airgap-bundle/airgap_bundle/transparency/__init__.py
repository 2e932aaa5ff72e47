"""A log that cannot be rewritten unseen: the checking half, with no database and no I/O.

    merkle.py        hashes, a tree that grows in O(log n), proofs checked            RFC 6962, RFC 9162
    stored.py        the same tree as an array of hashes, proofs made in O(log n) reads
    note.py          text with signatures under it                                    C2SP signed-note
    checkpoint.py    a note that says how large a log is, and its root                C2SP tlog-checkpoint
    cosignature.py   a witness saw that checkpoint at that time; k of n witnesses     C2SP tlog-cosignature
    proof.py         an entry is in the log, or one checkpoint extends another: one file each
    strict.py        numbers, base64 and text that have one spelling only
    errors.py        what can be wrong, and what to do next

`FORMAT.md` beside this file gives every format with a worked example and every check with its number.
"""
