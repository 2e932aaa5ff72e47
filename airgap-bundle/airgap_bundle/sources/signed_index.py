"""Upstream's signed index of Debian packages: InRelease vouches for Packages, Packages for each .deb.

Checked here with gpgv against the keyring that the recipe names, whatever the machine's APT is told to trust.
What is read is only what gpgv says was signed. Source: the Debian repository format, apt-secure(8).
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from airgap_bundle.sources import debs, tools
from airgap_bundle.sources.errors import NotVouched

KEYRINGS = Path("/usr/share/keyrings")
_BEGIN, _SIGNATURE, _END = (
    b"-----BEGIN PGP SIGNED MESSAGE-----",
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----END PGP SIGNATURE-----",
)


@dataclass(frozen=True)
class SignedIndex:
    """What a suite's InRelease says, after its signature was checked."""

    fields: dict[str, str]
    digests: dict[str, tuple[str, int]]
    """SHA-256 and size of each file below the suite's folder."""

    def check(self, name: str, data: bytes) -> bytes:
        """`data` if it is the file `name` of this suite. Raises NotVouched."""
        if name not in self.digests:
            _refuse(name, "the suite's InRelease does not name it")
        sha256, size = self.digests[name]
        if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
            _refuse(
                name,
                "it is not the file that the suite's InRelease names",
                "The mirror is being updated: wait.",
            )
        return data


def verify(data: bytes, keyring: Path, what: str) -> SignedIndex:
    """Check an InRelease against `keyring`. Raises NotVouched, ToolMissing."""
    lines = data.rstrip(b"\n").split(b"\n")
    # One signed text and nothing around it: what gpgv prints must be what the signature is over.
    if (
        lines[0] != _BEGIN
        or lines[-1] != _END
        or [data.count(mark) for mark in (_BEGIN, _SIGNATURE, _END)] != [1, 1, 1]
    ):
        _refuse(what, "it is not one clear-signed text")
    if not keyring.is_file():
        _refuse(
            what,
            f"there is no keyring {keyring}",
            "Install the package with the keyring, or name another one.",
        )
    with tempfile.TemporaryDirectory() as folder:
        file, signed = Path(folder, "InRelease"), Path(folder, "signed")
        file.write_bytes(data)
        options: list[str | Path] = [
            "--weak-digest",
            "SHA1",
            "--status-fd",
            "1",
            "--keyring",
            keyring.absolute(),
        ]
        status = tools.run(
            ["gpgv", *options, "--output", signed, file],
            f"check the signature of {what}",
            "Install gpgv.",
            accept=(0, 1, 2),
        ).decode("utf-8", "replace")
        words = [line.split()[1] for line in status.splitlines() if line.startswith("[GNUPG:] ")]
        if "BADSIG" in words or "GOODSIG" not in words:
            _refuse(
                what,
                _why_not(words, keyring),
                "Ask who runs the mirror; do not use it until this is cleared up.",
            )
        return _read(signed.read_text("utf-8", "replace"), what)


def _why_not(words: list[str], keyring: Path) -> str:
    if "BADSIG" in words:
        return "its content was changed after it was signed"
    if "EXPKEYSIG" in words or "EXPSIG" in words:
        return "its signature or the key has expired"
    if "NO_PUBKEY" in words:
        return f"nobody in the keyring {keyring.name} signed it"
    return "it carries no good signature"


def _read(text: str, what: str) -> SignedIndex:
    fields = debs.fields(text)
    digests = {}
    for line in fields.get("SHA256", "").splitlines():
        parts = line.split()
        if len(parts) == 3 and len(parts[0]) == 64 and parts[1].isdigit():
            digests[parts[2]] = parts[0], int(parts[1])
    if not digests:
        _refuse(what, "it names no files by SHA-256")
    return SignedIndex(fields, digests)


def _refuse(what: str, why: str, remedy: str = "Ask who runs the mirror.") -> NoReturn:
    raise NotVouched(what=what, why=why, remedy=remedy)
