r"""Signatures over files that `ssh-keygen -Y verify` checks, so that an auditor needs no tool of ours.

    $ ssh-keygen -Y verify -f allowed_signers -I plane -n controlplane-erasure \
          -s certificate.json.sig < certificate.json

Format: OpenSSH's PROTOCOL.sshsig, version 1, Ed25519, SHA-512. The blob is

    "SSHSIG" || uint32 1 || string publickey || string namespace || string "" || string "sha512"
             || string signature

and what is signed is `"SSHSIG" || namespace || "" || "sha512" || SHA-512(message)`, each a string with its
length before it.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap

from airgap_bundle.errors import Problem
from airgap_bundle.keys import BadSignature, PrivateKey, PublicKey, wire_string

_MAGIC = b"SSHSIG"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class SignatureRefused(Problem):
    """A file's signature is not one, or not by that key over that content."""

    exit_code = 41
    message = "the signature does not verify: {why}"
    hint = "Get the file and its signature again from whoever gave them to you."


def sign(key: PrivateKey, namespace: str, message: bytes) -> str:
    """The armoured signature of `message`; a namespace keeps a signature from meaning something elsewhere."""
    signature = wire_string(b"ssh-ed25519") + wire_string(key.sign(_signed(namespace, message)))
    blob = (
        _MAGIC
        + (1).to_bytes(4, "big")
        + wire_string(key.public.blob)
        + wire_string(namespace.encode())
        + wire_string(b"")
        + wire_string(b"sha512")
        + wire_string(signature)
    )
    return "\n".join([_BEGIN, *textwrap.wrap(base64.b64encode(blob).decode(), 70), _END, ""])


def verify(key: PublicKey, namespace: str, message: bytes, armoured: str) -> None:
    """Raise SignatureRefused unless `armoured` is the signature of `message` by `key`; read strictly."""
    lines = armoured.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise SignatureRefused(why="it is not an SSH signature")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError:
        raise SignatureRefused(why="its base64 is damaged") from None
    head = _MAGIC + (1).to_bytes(4, "big") + wire_string(key.blob)
    head += wire_string(namespace.encode()) + wire_string(b"") + wire_string(b"sha512")
    if not blob.startswith(head):
        raise SignatureRefused(why="it is by another key, or for another purpose")
    expected = wire_string(b"ssh-ed25519")
    signature = blob[len(head) + 4 :]
    if blob[len(head) : len(head) + 4] != len(signature).to_bytes(4, "big") or not signature.startswith(
        expected
    ):
        raise SignatureRefused(why="its form is wrong")
    raw = signature[len(expected) :]
    if len(raw) != 68 or raw[:4] != (64).to_bytes(4, "big"):
        raise SignatureRefused(why="its form is wrong")
    try:
        key.verify(_signed(namespace, message), raw[4:])
    except BadSignature:
        raise SignatureRefused(why="the content was changed") from None


def _signed(namespace: str, message: bytes) -> bytes:
    digest = hashlib.sha512(message).digest()
    return (
        _MAGIC
        + wire_string(namespace.encode())
        + wire_string(b"")
        + wire_string(b"sha512")
        + wire_string(digest)
    )
