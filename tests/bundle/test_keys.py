"""Keys against the real ssh-keygen, and against everything that is not a key."""

from __future__ import annotations

import base64
import os
import pickle
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import BadSignature, PrivateKey, PublicKey, wire_string

seeds = st.binary(min_size=32, max_size=32)
KEY = PrivateKey(bytes(range(32)), "anna@admin-1")
LINE = KEY.public.line


def ssh_keygen(*arguments: str | Path) -> str:
    command = ["ssh-keygen", *map(str, arguments)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout


def make_key(folder: Path, *arguments: str, passphrase: str = "") -> Path:
    path = folder / "id"
    ssh_keygen("-q", "-f", path, "-N", passphrase, "-C", "anna@admin-1", *(arguments or ("-t", "ed25519")))
    return path


class TestAgainstSshKeygen:
    def test_the_fingerprint_is_what_ssh_keygen_prints(self, tmp_path: Path) -> None:
        path = make_key(tmp_path)
        printed = ssh_keygen("-l", "-f", path).split()[1]
        assert PublicKey.read(f"{path}.pub").fingerprint == printed
        assert PrivateKey.load(path).public.fingerprint == printed

    def test_a_private_key_file_of_ssh_keygen_gives_its_public_line(self, tmp_path: Path) -> None:
        path = make_key(tmp_path)
        assert PrivateKey.load(path).public.line == Path(f"{path}.pub").read_text().strip()

    @pytest.mark.parametrize("cipher", ["aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com"])
    def test_an_encrypted_key_opens_with_its_passphrase_only(self, tmp_path: Path, cipher: str) -> None:
        path = make_key(tmp_path, "-t", "ed25519", "-Z", cipher, "-a", "1", passphrase="correct horse")
        asked: list[str] = []

        def answer(where: str) -> str:
            asked.append(where)
            return "correct horse"

        assert PrivateKey.load(path, answer).public.fingerprint == ssh_keygen("-l", "-f", path).split()[1]
        assert asked == [str(path)]
        with pytest.raises(KeyProblem, match="does not open with that passphrase"):
            PrivateKey.load(path, lambda _: "wrong")
        with pytest.raises(KeyProblem, match="nobody is here to give its passphrase"):
            PrivateKey.load(path)

    def test_ssh_keygen_reads_the_file_that_we_write(self, tmp_path: Path) -> None:
        path = tmp_path / "ours"
        path.touch(0o600)
        path.write_bytes(KEY.to_openssh("plane@zone"))
        assert ssh_keygen("-y", "-f", path).strip() == f"{KEY.public.line.rsplit(' ', 1)[0]} plane@zone"

    def test_ssh_keygen_verifies_what_a_key_of_ours_signs(self, tmp_path: Path) -> None:
        """An SSHSIG signature (OpenSSH PROTOCOL.sshsig) made by hand around our signature."""
        import hashlib

        message = b"who asked for it\n"
        parts = [b"test", b"", b"sha512", hashlib.sha512(message).digest()]
        signature = KEY.sign(b"SSHSIG" + b"".join(map(wire_string, parts)))
        blob = b"SSHSIG" + struct.pack(">I", 1) + wire_string(KEY.public.blob)
        blob += b"".join(map(wire_string, parts[:3]))
        blob += wire_string(wire_string(b"ssh-ed25519") + wire_string(signature))
        pem = "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n"
        (tmp_path / "m.sig").write_text(pem.format(base64.b64encode(blob).decode()))
        (tmp_path / "allowed").write_text(f"anna {LINE}\n")
        command = ["ssh-keygen", "-Y", "verify", "-f", f"{tmp_path}/allowed", "-I", "anna", "-n", "test"]
        done = subprocess.run([*command, "-s", f"{tmp_path}/m.sig"], input=message, capture_output=True)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize(
        ("kind", "word"), [("rsa", "RSA"), ("ecdsa", "ECDSA")], ids=["an RSA key", "an ECDSA key"]
    )
    def test_another_type_of_key_is_refused_by_its_name(self, tmp_path: Path, kind: str, word: str) -> None:
        path = make_key(tmp_path, "-t", kind)
        with pytest.raises(KeyProblem, match=word) as public:
            PublicKey.read(f"{path}.pub")
        assert "ssh-keygen -t ed25519" in public.value.remedy
        with pytest.raises(KeyProblem, match=word):
            PrivateKey.load(path)


class TestPublicLines:
    @given(seeds, st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20))
    def test_a_line_and_its_key_are_the_same_thing(self, seed: bytes, comment: str) -> None:
        public = PrivateKey(seed, comment).public
        assert PublicKey.parse(public.line + "\n") == public
        assert PublicKey.parse(public.line).line == public.line

    @given(st.text())
    def test_any_text_is_a_key_or_a_key_problem(self, text: str) -> None:
        with suppress(KeyProblem):
            assert PublicKey.parse(text).line == text.strip()

    @given(st.binary(max_size=80))
    def test_any_wire_form_is_a_key_or_a_key_problem(self, tail: bytes) -> None:
        head = wire_string(b"ssh-ed25519")
        for blob in (tail, head + tail, head + struct.pack(">I", 32) + tail):
            with suppress(KeyProblem):
                assert PublicKey.parse(f"ssh-ed25519 {base64.b64encode(blob).decode()}").blob == blob

    @pytest.mark.parametrize(
        ("line", "why"),
        [
            ("", "is empty"),
            (f"no-pty {LINE}", "does not begin with"),
            (f" {LINE}", "does not begin with"),
            (LINE.replace(" ", "\t", 1), "more than one line"),
            (f"{LINE}\n{LINE}", "more than one line"),
            (LINE[:40], "not base64|ends too early"),
            (LINE.replace("AAAAC3", "AAAAC4", 1), "ends too early|another kind"),
            (
                "ssh-ed25519 " + base64.b64encode(KEY.public.blob + b"\0").decode(),
                "bytes follow the key",
            ),
            ("ssh-ed25519 " + base64.b64encode(KEY.public.blob).decode() + "=", "not base64"),
            ("ssh-ed25519 \N{FULLWIDTH DIGIT ONE}", "not base64"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "is a private key"),
            ("sk-ssh-ed25519@openssh.com AAAA", "security-key"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"),
        ],
    )
    def test_what_is_not_a_key_line_is_refused_with_a_reason(self, line: str, why: str) -> None:
        with pytest.raises(KeyProblem, match=why) as caught:
            PublicKey.parse(line, "request")
        assert str(caught.value).startswith("request: ")
        assert caught.value.remedy

    @pytest.mark.parametrize(
        "point",
        [
            "0100000000000000000000000000000000000000000000000000000000000000",  # the neutral element
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # order 2
            "0000000000000000000000000000000000000000000000000000000000000000",  # order 4
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  # order 8
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  # not canonical
            "0200000000000000000000000000000000000000000000000000000000000000",  # not on the curve
        ],
    )
    def test_points_that_verify_forgeries_are_not_keys(self, point: str) -> None:
        blob = wire_string(b"ssh-ed25519") + wire_string(bytes.fromhex(point))
        with pytest.raises(KeyProblem, match="valid Ed25519 point"):
            PublicKey.parse(f"ssh-ed25519 {base64.b64encode(blob).decode()}")


class TestSigning:
    @given(seeds, st.binary(max_size=200))
    def test_a_signature_verifies(self, seed: bytes, message: bytes) -> None:
        key = PrivateKey(seed)
        key.public.verify(message, key.sign(message))

    @given(st.binary(max_size=50), st.integers(0, 511))
    def test_one_changed_bit_does_not_verify(self, message: bytes, bit: int) -> None:
        signature = bytearray(KEY.sign(message))
        signature[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadSignature):
            KEY.public.verify(message, bytes(signature))

    @pytest.mark.parametrize("length", [0, 63, 65, 128])
    def test_a_signature_of_another_length_does_not_verify(self, length: int) -> None:
        with pytest.raises(BadSignature, match=f"this has {length}"):
            KEY.public.verify(b"m", (KEY.sign(b"m") * 2)[:length])

    def test_a_signature_of_another_key_does_not_verify(self) -> None:
        with pytest.raises(BadSignature, match="not signed by SHA256:"):
            KEY.public.verify(b"m", PrivateKey.generate().sign(b"m"))

    def test_rfc_8032_test_3_comes_out(self) -> None:
        key = PrivateKey(bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
        assert key.public.raw.hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
        assert key.sign(bytes.fromhex("af82")).hex() == (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        )


class TestSealing:
    @given(st.binary(max_size=200))
    def test_only_the_holder_opens_what_was_sealed(self, secret: bytes) -> None:
        sealed = KEY.public.seal(secret)
        assert KEY.open_sealed(sealed) == secret
        assert len(sealed) == len(secret) + 48
        with pytest.raises(KeyProblem, match="does not open with"):
            PrivateKey.generate().open_sealed(sealed)

    @given(st.binary(max_size=80))
    def test_what_was_not_sealed_is_refused(self, data: bytes) -> None:
        with pytest.raises(KeyProblem, match="does not open with"):
            KEY.open_sealed(data)

    def test_the_same_text_is_sealed_differently_each_time(self) -> None:
        assert KEY.public.seal(b"x") != KEY.public.seal(b"x")


class TestPrivateKeyFiles:
    @given(seeds, st.text(st.characters(codec="utf-8"), max_size=20))
    def test_a_written_key_is_read_back(self, seed: bytes, comment: str) -> None:
        key = PrivateKey(seed)
        again = PrivateKey.from_openssh(key.to_openssh(comment), "written")
        assert (again.public, again.public.comment) == (key.public, comment)
        assert again.sign(b"m") == key.sign(b"m")

    def test_our_reader_and_that_of_cryptography_agree(self, tmp_path: Path) -> None:
        from cryptography.hazmat.primitives.serialization.ssh import load_ssh_private_key

        path = make_key(tmp_path)
        theirs = load_ssh_private_key(path.read_bytes(), None)
        raw = theirs.public_key().public_bytes_raw()  # type: ignore[union-attr]
        assert PrivateKey.load(path).public.raw == raw
        load_ssh_private_key(KEY.to_openssh("x"), None)

    @given(st.integers(0, 10**6), st.integers(1, 255))
    def test_an_altered_file_is_a_key_problem_or_the_same_key(self, place: int, change: int) -> None:
        lines = KEY.to_openssh("anna").splitlines()
        body = bytearray(base64.b64decode(b"".join(lines[1:-1])))
        body[place % len(body)] ^= change
        data = b"\n".join([lines[0], base64.b64encode(bytes(body)), lines[-1]])
        with suppress(KeyProblem):
            assert PrivateKey.from_openssh(data, "altered", lambda _: "").public == KEY.public

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
    def test_a_file_that_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        path = make_key(tmp_path)
        path.chmod(mode)
        with pytest.raises(KeyProblem, match=f"can be read by others \\(mode {mode:04o}\\)") as caught:
            PrivateKey.load(path)
        assert caught.value.remedy == f"Run `chmod 600 {path}`."

    def test_files_that_are_not_keys_are_refused_with_a_reason(self, tmp_path: Path) -> None:
        path = tmp_path / "file"

        def why(content: bytes) -> str:
            path.touch(0o600)
            path.write_bytes(content)
            with pytest.raises(KeyProblem) as caught:
                PrivateKey.load(path)
            assert caught.value.remedy
            return str(caught.value)

        assert "public half" in why(LINE.encode())
        assert "not an OpenSSH private key" in why(b"")
        assert "not an OpenSSH private key" in why(
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"
        )
        assert "damaged" in why(KEY.to_openssh("x").replace(b"b3B", b"b4B", 1))
        assert "too large" in why(b"x" * 70_000)
        path.unlink()
        with pytest.raises(KeyProblem, match="there is no such file"):
            PrivateKey.load(path)
        with pytest.raises(KeyProblem, match="not a regular file"):
            PrivateKey.load(tmp_path)

    def test_a_fifo_does_not_hang_the_reader(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "fifo", 0o600)
        with pytest.raises(KeyProblem, match="not a regular file"):
            PrivateKey.load(tmp_path / "fifo")

    def test_a_private_key_does_not_show_itself(self) -> None:
        assert repr(KEY) == f"PrivateKey({KEY.public.fingerprint})"
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(KEY)


def test_cryptography_is_not_imported_until_an_encrypted_key_is_loaded(tmp_path: Path) -> None:
    path = make_key(tmp_path)
    script = (
        "import sys; from airgap_bundle.keys import PrivateKey\n"
        f"PrivateKey.load({str(path)!r}).sign(b'')\n"
        "sys.exit(any(m.split('.')[0] == 'cryptography' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
