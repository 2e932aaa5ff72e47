"""Public keys that servers are given at boot: one OpenSSH line, structurally sound and strong enough.

A tenant manager's key is another matter: it is `airgap_bundle.keys.PublicKey`, Ed25519 only.
Formats: RFC 4253 section 6.6 (ssh-rsa), RFC 5656 section 3.1 (ecdsa-sha2-*), RFC 8709 (ssh-ed25519).
"""

from __future__ import annotations

import base64
import binascii

from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import PublicKey

SMALLEST_RSA = 2048
_CURVES = {  # name: bytes of an uncompressed point
    "nistp256": 65,
    "nistp384": 97,
    "nistp521": 133,
}
_COPY = "Copy the whole line of the .pub file again."


def manager_key_problem(line: str) -> tuple[str, str] | None:
    """Why a tenant manager cannot have this key, and the remedy; None when it is fine."""
    try:
        PublicKey.parse(line)
    except KeyProblem as problem:
        return str(problem.facts["why"]), problem.remedy
    return None


def keypair_problem(line: str) -> tuple[str, str] | None:
    """Why servers cannot be given this key, and the remedy; None when it is fine."""
    kind, _, rest = line.partition(" ")
    if kind == "ssh-ed25519" or "PRIVATE KEY" in line:
        return manager_key_problem(line)
    curve = kind.removeprefix("ecdsa-sha2-")
    if kind != "ssh-rsa" and curve not in _CURVES:
        return (
            "is not an OpenSSH public key of a kind that OpenStack takes",
            "Write the line of a .pub file that begins with ssh-ed25519, ssh-rsa or ecdsa-sha2-.",
        )
    try:
        blob = base64.b64decode(rest.partition(" ")[0], validate=True)
        parts = _strings(blob)
    except (binascii.Error, ValueError):
        parts = []
    if not parts:
        return "is cut or altered", _COPY
    if parts[0] != kind.encode():
        return f"says it is {kind} but holds another kind of key", _COPY
    if kind == "ssh-rsa":
        return _rsa_problem(parts)
    if len(parts) != 3 or parts[1] != curve.encode() or len(parts[2]) != _CURVES[curve] or parts[2][0] != 4:
        return "is cut or altered", _COPY
    return None


def _rsa_problem(parts: list[bytes]) -> tuple[str, str] | None:
    if len(parts) != 3:
        return "is cut or altered", _COPY
    bits = int.from_bytes(parts[2], "big").bit_length()
    if bits < SMALLEST_RSA:
        return (
            f"is an RSA key of {bits} bits, at least {SMALLEST_RSA} are safe",
            "Make a key with ssh-keygen -t ed25519.",
        )
    return None


def _strings(blob: bytes) -> list[bytes]:
    """The length-prefixed strings that `blob` consists of (RFC 4251 section 5). Raises ValueError."""
    parts = []
    while blob:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            raise ValueError("cut")
        parts.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return parts
