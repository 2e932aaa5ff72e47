"""DSSE envelopes: a payload, what kind it is, and who signed it.

    {"payload":"eyJ...","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"SHA256:...","sig":"..."}]}

What is signed is the pre-authentication encoding `DSSEv1 LEN(type) type LEN(payload) payload`, so that
nothing has to be parsed before a signature is checked, and a receipt can never pass for an attestation.
Source: the Dead Simple Signing Envelope, protocol v1.0.0. Ours besides: the file is canonical JSON,
signatures are sorted by key ID, one key signs once, and a key ID is the OpenSSH fingerprint.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from airgap_bundle.canonical import malformed, parse, render
from airgap_bundle.errors import BundleRefused
from airgap_bundle.keys import BadSignature, PublicKey

MOST_BYTES = 1_000_000
MOST_SIGNATURES = 64


class Signs(Protocol):
    """What can sign: a private key, or a key that ssh-agent holds."""

    @property
    def public(self) -> PublicKey:
        """The key that its signatures verify with."""

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature over `message`."""


class TooFewSignatures(BundleRefused):
    """Not enough of the keys that count signed it."""

    exit_code = 41
    message = "{what} is signed by {have} of the {known} keys that count, and {threshold} are needed"
    hint = "Have it signed by another of the named people, or check that you use their present keys."


@dataclass(frozen=True)
class Envelope:
    """A payload and its signatures, by key ID (OpenSSH fingerprint). Not verified by being read."""

    kind: str
    """The payload's type, a media type."""
    payload: bytes
    signatures: dict[str, bytes]

    @classmethod
    def parse(cls, data: bytes, what: str) -> Envelope:
        """Read an envelope; `what` names the file in errors. Raises Malformed."""
        if len(data) > MOST_BYTES:
            malformed(what, f"it is larger than {MOST_BYTES} bytes")
        value = parse(data, what)
        try:
            made = cls(
                str(value["payloadType"]),
                _decode(value["payload"]),
                {str(one["keyid"]): _decode(one["sig"]) for one in value["signatures"]},
            )
        except (KeyError, TypeError, ValueError):
            malformed(what, "it is not a DSSE envelope")
        if len(made.signatures) > MOST_SIGNATURES or made.render() != data:
            malformed(
                what, "it is not an envelope as these tools write it (order, a key twice, other fields)"
            )
        return made

    def render(self) -> bytes:
        """The canonical bytes of the file."""
        return render(
            {
                "payload": _encode(self.payload),
                "payloadType": self.kind,
                "signatures": [
                    {"keyid": keyid, "sig": _encode(sig)} for keyid, sig in sorted(self.signatures.items())
                ],
            }
        )

    def signed(self, key: Signs) -> Envelope:
        """The same with one signature more (or made again)."""
        signature = key.sign(pre_authentication(self.kind, self.payload))
        return Envelope(self.kind, self.payload, self.signatures | {key.public.fingerprint: signature})

    def merged(self, other: Envelope, what: str) -> Envelope:
        """The signatures of both. Raises Malformed: they are of different payloads."""
        if (self.kind, self.payload) != (other.kind, other.payload):
            malformed(what, "it signs something else than the first one")
        return Envelope(self.kind, self.payload, self.signatures | other.signatures)

    def verify(self, keys: Iterable[PublicKey], threshold: int, what: str) -> list[PublicKey]:
        """Those of `keys` that signed it, each once. Raises TooFewSignatures.

        Signatures by other keys, and those that do not verify, do not count.
        """
        message = pre_authentication(self.kind, self.payload)
        known = {key.fingerprint: key for key in keys}
        signers = []
        for keyid, signature in sorted(self.signatures.items()):
            if (key := known.get(keyid)) is None:
                continue
            try:
                key.verify(message, signature)
            except BadSignature:
                continue  # it does not count, and the threshold says so
            signers.append(key)
        if len(signers) < max(1, threshold):
            raise TooFewSignatures(what=what, have=len(signers), known=len(known), threshold=threshold)
        return signers


def pre_authentication(kind: str, payload: bytes) -> bytes:
    """PAE of DSSE v1: the bytes that are signed.

    >>> pre_authentication("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
