"""Our Ed25519 keys as TUF sees them: key IDs, strict verification, and who can sign.

    key_id(public)          64 hexadecimal digits, the ID that TUF tools compute for the key
    signer_for("~/.ssh/id_ed25519")   a private key file, encrypted or not
    signer_for("id_ed25519.pub")      the same key in ssh-agent; also "SHA256:..." and "ssh-ed25519 AAAA..."

Importing this module makes python-tuf verify every Ed25519 signature with libsodium: keys are canonical
points of the prime-order group, S is below the group order, R is no small-order point. Two libraries that
disagree about a signature would make two readers disagree about a bundle. Sources: RFC 8032 section 5.1.7;
Chalkias et al., "Taming the many EdDSAs" (2020); TUF specification section 4.2 for keys and their IDs.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import (  # type: ignore[attr-defined]  # public there, not marked so for mypy
    KEY_FOR_TYPE_AND_SCHEME,
    Key,
    SecretsHandler,
    Signature,
    Signer,
)

from airgap_bundle.agent import Agent
from airgap_bundle.dsse import Signs
from airgap_bundle.keys import KEY_TYPE, BadSignature, Passphrase, PrivateKey, PublicKey, read_key_file

ED25519 = "ed25519"
OWNER = "x-owner"
"""Field of a key in the root that names its holder, for people; signed with the root, not in the key ID."""
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_PUBLIC = re.compile(r"[0-9a-f]{64}")


def key_id(public: PublicKey) -> str:
    """The TUF key ID: SHA-256 of the canonical JSON of the key's type, scheme and value."""
    text = f'{{"keytype":"ed25519","keyval":{{"public":"{public.raw.hex()}"}},"scheme":"ed25519"}}'
    return hashlib.sha256(text.encode()).hexdigest()


class Ed25519Key(Key):
    """A public key in TUF metadata, verified by libsodium."""

    def __init__(
        self, keyid: str, public: PublicKey, unrecognized_fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(keyid, ED25519, ED25519, {"public": public.raw.hex()}, unrecognized_fields)
        self.public = public

    @classmethod
    def of(cls, public: PublicKey) -> Ed25519Key:
        """The key with its standard ID; its comment becomes its owner."""
        return cls(key_id(public), public, {OWNER: public.comment} if public.comment else None)

    @classmethod
    def from_dict(cls, keyid: str, key_dict: dict[str, Any]) -> Ed25519Key:
        """Read the key of a root. Raises KeyProblem, ValueError, KeyError: no such key."""
        keytype, scheme, value = cls._from_dict(key_dict)
        if (keytype, scheme) != (ED25519, ED25519) or not _PUBLIC.fullmatch(value["public"]):
            raise ValueError("not an Ed25519 key")
        owner = key_dict.get(OWNER)
        public = PublicKey(bytes.fromhex(value["public"]), owner if isinstance(owner, str) else "")
        made = cls(keyid, public, key_dict)
        made.keyval = value  # as it was signed, with whatever else stands in it
        return made

    def to_dict(self) -> dict[str, Any]:
        """The reverse of `from_dict`."""
        return self._to_dict()

    def verify_signature(self, signature: Signature, data: bytes) -> None:
        """Return when `signature` is this key's over `data`. Raises UnverifiedSignatureError."""
        if not isinstance(signature.signature, str) or not _SIGNATURE.fullmatch(signature.signature):
            raise UnverifiedSignatureError(f"the signature by {self.keyid} is not 128 hexadecimal digits")
        try:
            self.public.verify(data, bytes.fromhex(signature.signature))
        except BadSignature as error:
            raise UnverifiedSignatureError(str(error)) from error


KEY_FOR_TYPE_AND_SCHEME[(ED25519, ED25519)] = Ed25519Key


class TufSigner(Signer):
    """Whoever can sign, as python-tuf's `Metadata.sign` wants it."""

    def __init__(self, key: Signs) -> None:
        self._key = key

    @property
    def public_key(self) -> Key:
        """The public half."""
        return Ed25519Key.of(self._key.public)

    def sign(self, payload: bytes) -> Signature:
        """A signature over `payload`. Raises AgentProblem."""
        return Signature(key_id(self._key.public), self._key.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Signer:
        """Not used: `signer_for` finds keys."""
        raise NotImplementedError


def signer_for(
    key: PublicKey | Path | str, passphrase: Passphrase | None = None, agent: Agent | None = None
) -> Signs:
    """Whoever can sign with `key`.

    A private key file is loaded, and `passphrase` asked if it is encrypted. A public key, its file, its line
    or its fingerprint means the key in ssh-agent (`agent`, or the one of this session).

    Raises KeyProblem, AgentProblem.
    """
    if isinstance(key, str):
        if key.startswith("SHA256:"):
            return (agent or Agent.running()).by_fingerprint(key)
        key = PublicKey.parse(key) if key.startswith(f"{KEY_TYPE} ") else Path(key).expanduser()
    if isinstance(key, Path):
        if not read_key_file(key, private=False).startswith(KEY_TYPE.encode()):
            return PrivateKey.load(key, passphrase)
        key = PublicKey.read(key)
    return (agent or Agent.running()).key(key)
