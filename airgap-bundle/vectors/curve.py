"""Keys and signatures that only a forger makes: points of small order, S beyond the group order."""

from __future__ import annotations

import hashlib

from nacl import bindings as sodium

from vectors.forge import key, key_id

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
NEUTRAL = (1).to_bytes(32, "little")
OF_ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
UNREDUCED = (PRIME + 3).to_bytes(32, "little")
"""The y coordinate 3, written as if it were larger than the field."""


def mixed(name: str) -> bytes:
    """The key of this name plus a point of order 8: implementations differ about what it verifies."""
    return sodium.crypto_core_ed25519_add(key(name).public.raw, OF_ORDER_8)


def malleable(signatures: dict[str, str], part: bytes) -> None:
    """Replace each signature by its twin with S + L, which also satisfies the equation."""
    for keyid, sig in signatures.items():
        raw = bytes.fromhex(sig)
        twin = int.from_bytes(raw[32:], "little") + ORDER
        signatures[keyid] = (raw[:32] + twin.to_bytes(32, "little")).hex()


def neutral_r(signatures: dict[str, str], part: bytes) -> None:
    """Sign with the nonce 0: R is the neutral point, the equation holds, and the key is given away."""
    for name in ("timestamp",):
        seed = hashlib.sha256(f"airgap-bundle TEST VECTOR key: {name}".encode()).digest()
        raw = bytearray(hashlib.sha512(seed).digest()[:32])
        raw[0] &= 248
        raw[31] = raw[31] & 127 | 64
        secret = int.from_bytes(raw, "little")
        public = key(name).public.raw
        k = int.from_bytes(hashlib.sha512(NEUTRAL + public + part).digest(), "little") % ORDER
        signatures[key_id(name)] = (NEUTRAL + (k * secret % ORDER).to_bytes(32, "little")).hex()
