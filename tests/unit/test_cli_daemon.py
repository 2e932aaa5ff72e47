"""The daemon as people run it: init, serve, stop, again; one at a time; ready, TCP, TLS, systemd."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controlplane.client import Client, Unreachable
from tests.daemon import Daemon

WARNING = "warning: "


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    made.init()
    yield made
    made.stop_if_running()


def key_file(daemon: Daemon) -> Path:
    path = daemon.folder / "anna"
    path.touch(0o600)
    path.write_bytes(daemon.key.to_openssh())
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_daemon_lives_and_dies_as_its_operator_expects(daemon: Daemon, tmp_path: Path) -> None:
    """One story, because each start costs seconds."""
    # It tells systemd when it is ready.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(30)
        daemon.start("--no-workers", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert notified.recv(100) == b"READY=1"
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660
    assert f"try: controlplane --site {daemon.site} status" in daemon.log.read_text()

    # Commands reach it.
    key = str(key_file(daemon))
    you = json.loads(daemon.run("status", "--key", key, "-o", "json"))["you"]
    assert you["name"] == "anna"
    boris = daemon.key.generate("boris@x").public.line
    daemon.run("operator", "enrol", "boris", "--role", "auditor", "--public-key", boris, "--key", key, "-q")
    assert "boris  active  auditor" in daemon.run("operator", "list", "--key", key)

    # A second one keeps off, and leaves the first alone.
    second = subprocess.run(daemon.command("serve"), capture_output=True, text=True)
    assert (second.returncode, "already serves the site" in second.stderr) == (38, True)
    assert daemon.socket.exists()

    # Killed, it leaves a socket where nobody listens; the next one takes the place.
    daemon.stop(signal.SIGKILL)
    assert daemon.socket.exists()
    with pytest.raises(Unreachable, match="Connection refused"):
        Client(socket_path=daemon.socket, key=daemon.key).get("/v1/plane")
    daemon.start("--no-workers")
    with Client(socket_path=daemon.socket, key=daemon.key) as client:
        assert [o["name"] for o in client.get("/v1/operators")] == ["anna", "boris"]

        # An open connection does not keep it from stopping in peace.
        assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert daemon.log.read_text().endswith("stopped\n")


def test_an_encrypted_key_is_opened_with_a_passphrase_asked_on_the_terminal(tmp_path: Path) -> None:
    """Without a terminal it says what is missing."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "geheim", "-f", tmp_path / "id"], check=True)
    command = [sys.executable, "-m", "controlplane.cli.main", "status", "--key", str(tmp_path / "id")]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        command += ["--socket", str(tmp_path / "s")]
        alone = subprocess.run(command, capture_output=True, text=True, start_new_session=True)
        assert (alone.returncode, "nobody is here" in alone.stderr) == (12, True)

        def hang_up() -> None:
            while True:
                listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(command[0], command)
        shown = b""
        answered = False
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:
                break
            shown += part
            if b"Passphrase for" in shown and not answered:
                answered = True
                os.write(terminal, b"geheim\n")
        assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 69, shown
        assert b"geheim" not in shown


def test_tcp_is_for_those_who_ask_and_warns_without_tls(daemon: Daemon) -> None:
    address = f"127.0.0.1:{free_port()}"
    daemon.start("--no-workers", "--tcp", address)
    assert f"warning: {address} is without TLS" in daemon.log.read_text()
    with Client(url=f"http://{address}", key=daemon.key) as client:
        assert client.get("/v1/plane")["you"]["name"] == "anna"
    with Client(socket_path=daemon.socket, key=daemon.key) as client:
        assert client.get("/v1/plane")["you"]["name"] == "anna"


def test_tls_is_checked_by_the_client_and_the_unix_socket_stays_plain(daemon: Daemon, tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    address = f"localhost:{free_port()}"
    daemon.start("--no-workers", "--tcp", address, "--tls-cert", str(certificate), "--tls-key", str(key))
    assert WARNING not in daemon.log.read_text()
    with Client(url=f"https://{address}", key=daemon.key, ca_file=certificate) as client:
        for _ in range(3):
            assert client.get("/v1/plane")["site"] == "lab"
    with pytest.raises(Unreachable, match=r"certificate verify failed|self.signed"):
        Client(url=f"https://{address}", key=daemon.key).get("/v1/plane")
    with Client(socket_path=daemon.socket, key=daemon.key) as client:
        assert client.get("/v1/plane")["site"] == "lab"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--tcp", "nowhere"), "must be HOST:PORT"),
        (("--tcp", "127.0.0.1:1", "--tls-cert", "x.pem"), "go together"),
        (("--site", "/nonexistent"), "controlplane init --site /nonexistent"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    daemon: Daemon, arguments: tuple[str, ...], words: str
) -> None:
    command = [sys.executable, "-m", "controlplane.cli.main", "--site", str(daemon.site), "serve", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert 10 <= done.returncode < 40


def test_something_else_in_the_sockets_place_is_left_there(daemon: Daemon) -> None:
    daemon.socket.write_text("not a socket")
    done = subprocess.run(daemon.command("serve"), capture_output=True, text=True)
    assert (done.returncode, "something else is there" in done.stderr) == (38, True)
    assert daemon.socket.read_text() == "not a socket"


def test_init_says_what_comes_next(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text("clouds: {zone: {}}")
    command = daemon.command("init", "--cloud", "zone", "--clouds", str(clouds))
    done = subprocess.run([*command, "--operator", daemon.key.public.line], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout == ""
    assert f"first operator: anna ({daemon.key.public.fingerprint})" in done.stderr
    assert f"next: controlplane serve --site {daemon.site}" in done.stderr
    again = subprocess.run([*command, "--operator", daemon.key.public.line], capture_output=True, text=True)
    assert again.returncode == 36


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "cert.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "cert.key"
