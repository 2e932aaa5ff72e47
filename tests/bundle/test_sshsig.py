"""Signatures over files: ssh-keygen agrees, and nothing that was touched verifies."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.keys import PrivateKey
from airgap_bundle.sshsig import SignatureRefused, sign, verify

KEY = PrivateKey.generate("plane")
MESSAGE = b'{"tenant": "ministry"}\n'


def test_ssh_keygen_verifies_what_we_sign(tmp_path: Path) -> None:
    (tmp_path / "allowed").write_text(f"plane {KEY.public.line}\n")
    (tmp_path / "sig").write_text(sign(KEY, "purpose", MESSAGE))
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "plane", "-n", "purpose", "-s", "sig"]
    done = subprocess.run(command, cwd=tmp_path, input=MESSAGE, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert subprocess.run(command, cwd=tmp_path, input=MESSAGE + b"x", capture_output=True).returncode != 0


def test_we_verify_what_ssh_keygen_signs(tmp_path: Path) -> None:
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_bytes(KEY.to_openssh())
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", "key", "-n", "purpose"]
    done = subprocess.run(command, cwd=tmp_path, input=MESSAGE, capture_output=True, check=True)
    verify(KEY.public, "purpose", MESSAGE, done.stdout.decode())


@given(st.binary())
def test_what_was_signed_verifies(message: bytes) -> None:
    verify(KEY.public, "purpose", message, sign(KEY, "purpose", message))


@pytest.mark.parametrize(
    ("key", "purpose", "message"),
    [
        (PrivateKey.generate().public, "purpose", MESSAGE),
        (KEY.public, "another", MESSAGE),
        (KEY.public, "purpose", MESSAGE + b" "),
    ],
    ids=["another key", "another purpose", "another message"],
)
def test_a_signature_says_one_thing_only(key: object, purpose: str, message: bytes) -> None:
    with pytest.raises(SignatureRefused):
        verify(key, purpose, message, sign(KEY, "purpose", MESSAGE))  # type: ignore[arg-type]


@given(st.data())
def test_no_flipped_bit_verifies(data: st.DataObject) -> None:
    lines = sign(KEY, "purpose", MESSAGE).splitlines()
    blob = bytearray(base64.b64decode("".join(lines[1:-1])))
    blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    forged = "\n".join([lines[0], base64.b64encode(bytes(blob)).decode(), lines[-1]])
    with pytest.raises(SignatureRefused):
        verify(KEY.public, "purpose", MESSAGE, forged)


@given(st.text())
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SignatureRefused, match="the signature does not verify"):
        verify(KEY.public, "purpose", MESSAGE, text)
