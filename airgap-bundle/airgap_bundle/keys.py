"""Ed25519 keys in OpenSSH files: parse, load, sign, verify, seal and open.

    ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFE4... anna@admin-1       a public key line
    SHA256:uDC4ag2WZAwCYnKDZ+9B9aQXVsLbbLhwXm3wVcVGZVI              its fingerprint, as `ssh-keygen -l`

People make these with `ssh-keygen -t ed25519`; nothing else is accepted. The arithmetic is libsodium's,
through PyNaCl. Sources of the formats: RFC 4253 section 6.6 (wire strings), RFC 8709 (ssh-ed25519),
OpenSSH's PROTOCOL.key (private key files), libsodium's sealed boxes.

Only an encrypted private key file needs `cryptography` (bcrypt and AES). It is imported then and not
before: a command that signs one request should not pay for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from airgap_bundle.errors import KeyProblem

KEY_TYPE = "ssh-ed25519"
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
PEM_FIRST = b"-----BEGIN OPENSSH PRIVATE KEY-----"
PEM_LAST = b"-----END OPENSSH PRIVATE KEY-----"
MAGIC = b"openssh-key-v1\0"
FILE_LIMIT = 64 * 1024  # bytes; a key file is well under one kilobyte

MAKE_ONE = "Make a key with `ssh-keygen -t ed25519`."

TYPE_NAMES = {
    "ssh-rsa": "an RSA key",
    "ssh-dss": "a DSA key",
    "ecdsa-sha2-nistp256": "an ECDSA key",
    "ecdsa-sha2-nistp384": "an ECDSA key",
    "ecdsa-sha2-nistp521": "an ECDSA key",
    "sk-ssh-ed25519@openssh.com": "a security-key (FIDO) key",
    "sk-ecdsa-sha2-nistp256@openssh.com": "a security-key (FIDO) key",
    "ssh-ed25519-cert-v01@openssh.com": "a certificate",
}

Passphrase = Callable[[str], str]
"""Asks for a passphrase: gets what to show (the file's path), gives the passphrase."""


class BadSignature(Exception):
    """The signature was not made by this key over this message. Callers say what that means to them."""


@dataclass(frozen=True)
class PublicKey:
    """One Ed25519 public key: 32 bytes, and the comment that came with it (not part of its identity)."""

    raw: bytes
    comment: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_BYTES:
            refuse("public key", f"has {len(self.raw)} bytes where Ed25519 has {PUBLIC_BYTES}")
        # Small-order points verify forged signatures, and mixed-order ones verify differently in different
        # libraries; only canonical points of the prime-order group are keys.
        if not sodium.crypto_core_ed25519_is_valid_point(self.raw):
            refuse("public key", "is not a valid Ed25519 point, so nobody can hold its private key")

    @classmethod
    def parse(cls, line: str, where: str = "public key") -> PublicKey:
        """Read one line `ssh-ed25519 AAAA... comment`, strictly; `where` names the source in errors.

        The line's end may be there. Options before the type, other types, other encodings of the same
        bytes and bytes behind the key are refused.

        Raises KeyProblem.
        """
        text = line.rstrip("\r\n")
        if "PRIVATE KEY" in text[:64]:
            refuse(where, "is a private key", "Give the public half, the file that ends in .pub.")
        if not text.strip():
            refuse(where, "is empty", "Give the one line of a file such as ~/.ssh/id_ed25519.pub.")
        if not text.isprintable():
            refuse(where, "is more than one line of plain text", "Give exactly one public key line.")
        kind, _, rest = text.partition(" ")
        blob_text, _, comment = rest.partition(" ")
        if kind != KEY_TYPE:
            if kind in TYPE_NAMES:
                refuse(where, f"is {TYPE_NAMES[kind]} ({kind}), and only Ed25519 keys are used here")
            refuse(
                where,
                f"does not begin with `{KEY_TYPE} `",
                "Give the line as ssh-keygen wrote it, without options before it.",
            )
        try:
            blob = base64.b64decode(blob_text.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            refuse(where, "is not base64 after the key type", "Copy the whole line; part of it is missing.")
        if base64.b64encode(blob).decode() != blob_text:
            refuse(where, "is not base64 as ssh-keygen writes it", "Copy the line again, unchanged.")
        try:
            raw = Wire(blob).only_key()
        except Malformed as why:
            refuse(where, f"{why}", "Copy the whole line again; it was cut or altered.")
        try:
            return cls(raw, comment.strip())
        except KeyProblem as problem:
            refuse(where, problem.facts["why"])

    @classmethod
    def read(cls, path: Path | str) -> PublicKey:
        """Read a `.pub` file that holds exactly one key. Raises KeyProblem."""
        return cls.parse(read_text_file(Path(path)), str(path))

    @property
    def blob(self) -> bytes:
        """The wire form, RFC 8709 section 4: string "ssh-ed25519", string key."""
        return wire_string(KEY_TYPE.encode()) + wire_string(self.raw)

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and the unpadded base64 digest of the wire form, exactly as `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    @property
    def line(self) -> str:
        """The key as one line without an end, as in a `.pub` file."""
        return f"{KEY_TYPE} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return when `signature` (64 bytes) was made over `message` by this key, else raise BadSignature."""
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignature(f"a signature has {SIGNATURE_BYTES} bytes, this has {len(signature)}")
        try:
            sodium.crypto_sign_open(signature + message, self.raw)
        except CryptoError as error:
            raise BadSignature(f"not signed by {self.fingerprint}") from error

    def seal(self, plaintext: bytes) -> bytes:
        """Encrypt so that only this key's holder can read it: a libsodium sealed box, 48 bytes longer.

        The key is converted to Curve25519. A sealed box hides, but does not say who sealed it.
        """
        return sodium.crypto_box_seal(plaintext, sodium.crypto_sign_ed25519_pk_to_curve25519(self.raw))

    def __str__(self) -> str:
        return self.line


class PrivateKey:
    """One Ed25519 private key. Its text form hides it; it is never written except by `to_openssh`."""

    __slots__ = ("_secret", "public")

    def __init__(self, seed: bytes, comment: str = "") -> None:
        raw, self._secret = sodium.crypto_sign_seed_keypair(seed)
        self.public = PublicKey(raw, comment)

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.fingerprint})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled: it would end up in a job's arguments or a log")

    @classmethod
    def generate(cls, comment: str = "") -> PrivateKey:
        """Make a new key from the system's randomness."""
        return cls(os.urandom(sodium.crypto_sign_SEEDBYTES), comment)

    @classmethod
    def load(cls, path: Path | str, passphrase: Passphrase | None = None) -> PrivateKey:
        """Load an OpenSSH private key file; `passphrase` is called only if the file is encrypted.

        As ssh does, it refuses a file of ours that others can read.

        Raises KeyProblem.
        """
        return cls.from_openssh(read_private_file(Path(path)), str(path), passphrase)

    @classmethod
    def from_openssh(cls, data: bytes, where: str, passphrase: Passphrase | None = None) -> PrivateKey:
        """Read the bytes of an OpenSSH private key file (PROTOCOL.key). Raises KeyProblem."""
        if data.startswith(KEY_TYPE.encode() + b" "):
            refuse(where, "is the public half", "Give the private key file, the one without .pub.")
        lines = data.strip().splitlines()
        if len(lines) < 3 or lines[0].strip() != PEM_FIRST or lines[-1].strip() != PEM_LAST:
            refuse(where, "is not an OpenSSH private key file")
        try:
            wire = Wire(base64.b64decode(b"".join(line.strip() for line in lines[1:-1]), validate=True))
            wire.expect(MAGIC, "the OpenSSH key magic")
            cipher, kdf, _options = wire.string(), wire.string(), wire.string()
            if (keys := wire.uint32()) != 1:
                refuse(where, f"holds {keys} keys", "Give a file with exactly one key.")
            public_raw = Wire(wire.string()).only_key()
            section = wire.string()
            if cipher != b"none" or kdf != b"none":
                return cls._decrypted(data, where, passphrase)
            wire.end()
            key = cls._from_section(section)
        except (Malformed, binascii.Error) as why:
            refuse(
                where,
                f"is damaged: {why}",
                "Restore the file from your copy.",
            )
        if key.public.raw != public_raw:
            refuse(where, "is damaged: its halves do not belong together", "Restore the file from your copy.")
        return key

    @classmethod
    def _from_section(cls, section: bytes) -> PrivateKey:
        """Read the private section: check twice, type, public, private, comment, padding 1 2 3 ..."""
        wire = Wire(section)
        if wire.uint32() != wire.uint32():
            raise Malformed("its check numbers differ")
        raw = wire.typed_key()
        secret, comment = wire.string(), wire.string()
        if len(secret) != 64 or secret[32:] != raw:
            raise Malformed("its halves do not belong together")
        padding = wire.rest()
        if len(section) % 8 or len(padding) >= 8 or padding != bytes(range(1, len(padding) + 1)):
            raise Malformed("its padding is wrong")
        return cls(secret[:32], comment.decode("utf-8", "replace"))

    @classmethod
    def _decrypted(cls, data: bytes, where: str, passphrase: Passphrase | None) -> PrivateKey:
        from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization.ssh import load_ssh_private_key

        if passphrase is None:
            refuse(where, "is encrypted and nobody is here to give its passphrase", "Run it on a terminal.")
        try:
            loaded = load_ssh_private_key(data, passphrase(where).encode())
        except UnsupportedAlgorithm as why:
            refuse(
                where,
                f"has an unknown encryption ({why})",
                f"Run `ssh-keygen -p -f {where}`.",
            )
        except (ValueError, TypeError, InvalidTag):
            refuse(where, "does not open with that passphrase", "Try again; nothing was changed.")
        if not isinstance(loaded, Ed25519PrivateKey):
            refuse(where, "is not an Ed25519 key")
        return cls(loaded.private_bytes_raw())

    def to_openssh(self, comment: str | None = None) -> bytes:
        """The unencrypted OpenSSH private key file. Write it with mode 0600."""
        check = os.urandom(4)
        words = comment if comment is not None else self.public.comment
        section = check + check + self.public.blob + wire_string(self._secret) + wire_string(words.encode())
        section += bytes(range(1, -len(section) % 8 + 1))
        none = wire_string(b"none")
        body = MAGIC + none + none + wire_string(b"") + struct.pack(">I", 1)
        body += wire_string(self.public.blob) + wire_string(section)
        text = base64.b64encode(body)
        lines = [text[i : i + 70] for i in range(0, len(text), 70)]
        return b"\n".join([PEM_FIRST, *lines, PEM_LAST, b""])

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature (RFC 8032) over `message`."""
        return sodium.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def open_sealed(self, sealed: bytes) -> bytes:
        """Decrypt what was sealed to this key. Raises KeyProblem if it was not, or was altered."""
        secret = sodium.crypto_sign_ed25519_sk_to_curve25519(self._secret)
        public = sodium.crypto_sign_ed25519_pk_to_curve25519(self.public.raw)
        try:
            return sodium.crypto_box_seal_open(sealed, public, secret)
        except (CryptoError, TypeError, ValueError):
            refuse(
                "sealed text",
                f"does not open with {self.public.fingerprint}: sealed to another key, or altered",
                "Use the private key of the public key it was sealed to.",
            )


class Malformed(Exception):
    """Bytes that are not the format; caught here and turned into a KeyProblem that names the file."""


class Wire:
    """Reads RFC 4251 section 5 data: big-endian numbers and length-prefixed strings."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        part = self._data[self._at : self._at + count]
        if len(part) != count:
            raise Malformed("it ends too early")
        self._at += count
        return part

    def uint32(self) -> int:
        """A number in four bytes."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """A length in four bytes and as many bytes."""
        return self.take(self.uint32())

    def expect(self, literal: bytes, name: str) -> None:
        """Exactly these bytes."""
        if self.take(len(literal)) != literal:
            raise Malformed(f"{name} is missing")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data) - self._at)

    def end(self) -> None:
        """Nothing is left."""
        if self._at != len(self._data):
            raise Malformed("bytes follow the key")

    def typed_key(self) -> bytes:
        """The 32 bytes of a key behind its type."""
        if (kind := self.string()) != KEY_TYPE.encode():
            name = kind.decode("ascii", "replace")
            raise Malformed(f"it holds {TYPE_NAMES.get(name, 'another kind of key')}, not {KEY_TYPE}")
        if len(raw := self.string()) != PUBLIC_BYTES:
            raise Malformed(f"it has {len(raw)} bytes where Ed25519 has {PUBLIC_BYTES}")
        return raw

    def only_key(self) -> bytes:
        """One typed key and nothing else."""
        raw = self.typed_key()
        self.end()
        return raw


def wire_string(data: bytes) -> bytes:
    """RFC 4251 `string`: length in four bytes, then the bytes."""
    return struct.pack(">I", len(data)) + data


def read_private_file(path: Path) -> bytes:
    """Read a private key file after the checks that ssh makes. Raises KeyProblem."""
    return read_key_file(path, private=True)


def read_text_file(path: Path) -> str:
    """Read a public key file as text. Raises KeyProblem."""
    return read_key_file(path, private=False).decode("utf-8", "replace")


def read_key_file(path: Path, *, private: bool) -> bytes:
    """Read a small regular file. Raises KeyProblem."""
    try:
        # Open first and look at what was opened: the name could point elsewhere a moment later.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        refuse(str(path), "there is no such file", f"{MAKE_ONE} Or name another file.")
    except OSError as error:
        refuse(str(path), f"cannot be read ({error.strerror})", "Check the path and its permissions.")
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            refuse(str(path), "is not a regular file", "Name a key file.")
        mine = status.st_uid == os.geteuid()
        data = os.read(descriptor, FILE_LIMIT + 1)
        is_public = data.startswith(KEY_TYPE.encode())  # a mistake that `from_openssh` names better
        if private and not is_public and status.st_mode & (0o077 if mine else 0o007):
            mode = stat.S_IMODE(status.st_mode)
            refuse(str(path), f"can be read by others (mode {mode:04o})", f"Run `chmod 600 {path}`.")
    finally:
        os.close(descriptor)
    if len(data) > FILE_LIMIT:
        refuse(str(path), "is too large for a key file", "Name a key file.")
    return data


def refuse(where: str, why: str, remedy: str = MAKE_ONE) -> NoReturn:
    """Raise KeyProblem with these three parts."""
    raise KeyProblem(where=where, why=why, remedy=remedy) from None
