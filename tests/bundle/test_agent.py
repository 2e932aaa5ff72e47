"""Keys in a real ssh-agent, and an agent that lies."""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airgap_bundle import agent as module
from airgap_bundle.agent import Agent, AgentProblem
from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import PrivateKey, PublicKey, wire_string
from airgap_bundle.signing import signer_for

MESSAGE = b"seven of nine"


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """A real ssh-agent of our own, with nothing in it."""
    path = tmp_path / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it prints where it listens, once it does
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield Agent(path)
        process.terminate()


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{path.name}@here", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def add(path: Path, *options: str) -> None:
    subprocess.run(["ssh-add", "-q", *options, str(path)], check=True, stdin=subprocess.DEVNULL)


def test_it_lists_its_ed25519_keys_and_leaves_out_the_others(agent: Agent, tmp_path: Path) -> None:
    assert agent.identities() == []
    anna, rsa, bert = (
        make_key(tmp_path / "anna"),
        make_key(tmp_path / "rsa", "rsa"),
        make_key(tmp_path / "bert"),
    )
    for path in (anna, rsa, bert):
        add(path)
    assert agent.identities() == [PublicKey.read(f"{anna}.pub"), PublicKey.read(f"{bert}.pub")]
    assert [key.comment for key in agent.identities()] == ["anna@here", "bert@here"]


def test_it_signs_what_the_key_file_would_sign(agent: Agent, tmp_path: Path) -> None:
    path = make_key(tmp_path / "anna")
    add(path)
    signer = agent.key(PublicKey.read(f"{path}.pub"))
    assert signer.sign(MESSAGE) == PrivateKey.load(path).sign(MESSAGE)
    assert signer.sign(b"") == PrivateKey.load(path).sign(b"")
    assert signer.sign(b"x" * 100_000) == PrivateKey.load(path).sign(b"x" * 100_000)


def test_a_message_that_no_agent_takes_is_refused_before_it_is_sent(agent: Agent, tmp_path: Path) -> None:
    path = make_key(tmp_path / "anna")
    add(path)
    with pytest.raises(AgentProblem, match="it takes no message of 300000 bytes"):
        agent.sign(PublicKey.read(f"{path}.pub"), b"x" * 300_000)


def test_a_key_that_it_does_not_hold_is_named(agent: Agent) -> None:
    stranger = PrivateKey.generate("carol").public
    with pytest.raises(
        AgentProblem, match=re.escape(f"does not hold {stranger.fingerprint} carol")
    ) as refused:
        agent.key(stranger)
    assert "ssh-add" in refused.value.remedy
    assert refused.value.exit_code == 13
    with pytest.raises(AgentProblem):
        agent.sign(stranger, MESSAGE)


def test_a_locked_agent_signs_nothing(agent: Agent, tmp_path: Path) -> None:
    path = make_key(tmp_path / "anna")
    add(path)
    public = PublicKey.read(f"{path}.pub")
    lock = wire_string(bytes([22]) + wire_string(b"secret"))  # SSH_AGENTC_LOCK
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(agent.path))
        connection.sendall(lock)
        assert connection.recv(5)[4] == 6  # SSH_AGENT_SUCCESS
    assert agent.identities() == []
    with pytest.raises(AgentProblem, match="it refused"):
        agent.sign(public, MESSAGE)


def test_without_an_agent_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AgentProblem, match="none is running here") as refused:
        Agent.running()
    assert "ssh-agent" in refused.value.remedy
    with pytest.raises(AgentProblem, match="cannot be reached"):
        Agent(tmp_path / "nobody").identities()


class TestSignerFor:
    def test_a_private_key_file(self, tmp_path: Path) -> None:
        path = make_key(tmp_path / "anna")
        assert signer_for(path).sign(MESSAGE) == PrivateKey.load(path).sign(MESSAGE)
        assert signer_for(str(path)).public == PublicKey.read(f"{path}.pub")

    def test_an_encrypted_file_asks_for_its_passphrase(self, tmp_path: Path) -> None:
        path = make_key(tmp_path / "anna", passphrase="correct horse")
        asked: list[str] = []

        def passphrase(where: str) -> str:
            asked.append(where)
            return "correct horse"

        assert signer_for(path, passphrase).public == PublicKey.read(f"{path}.pub")
        assert asked == [str(path)]
        with pytest.raises(KeyProblem, match="encrypted"):
            signer_for(path)

    def test_a_public_key_in_any_form_means_the_key_in_the_agent(self, agent: Agent, tmp_path: Path) -> None:
        path = make_key(tmp_path / "anna")
        expected = PrivateKey.load(path).sign(MESSAGE)
        add(path)
        path.unlink()  # the agent has it, the disk no longer
        public = PublicKey.read(f"{path}.pub")
        for named in (Path(f"{path}.pub"), f"{path}.pub", public, public.line, public.fingerprint):
            assert signer_for(named).sign(MESSAGE) == expected

    def test_a_public_key_without_its_agent_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        path = make_key(tmp_path / "anna")
        with pytest.raises(AgentProblem):
            signer_for(f"{path}.pub")

    def test_what_is_no_key_is_refused(self, tmp_path: Path) -> None:
        for content in (b"", b"hello", b"-----BEGIN RSA PRIVATE KEY-----\n"):
            (tmp_path / "x").write_bytes(content)
            (tmp_path / "x").chmod(0o600)
            with pytest.raises(KeyProblem):
                signer_for(tmp_path / "x")
        with pytest.raises(KeyProblem, match="no such file"):
            signer_for(tmp_path / "missing")


KEY, OTHER = PrivateKey(bytes(32), "anna"), PrivateKey(bytes([1]) * 32, "other")


def signature(kind: bytes, raw: bytes) -> bytes:
    return bytes([14]) + wire_string(wire_string(kind) + wire_string(raw))


def identity(blob: bytes) -> bytes:
    return bytes([12]) + struct.pack(">I", 1) + wire_string(blob) + wire_string(b"\x1b[31mred")


LIES_ABOUT_A_SIGNATURE = {
    "by another key": signature(b"ssh-ed25519", OTHER.sign(MESSAGE)),
    "over something else": signature(b"ssh-ed25519", KEY.sign(b"another")),
    "of another type": signature(b"ssh-rsa", KEY.sign(MESSAGE)),
    "too short": signature(b"ssh-ed25519", KEY.sign(MESSAGE)[:63]),
    "empty": signature(b"ssh-ed25519", b""),
    "cut": signature(b"ssh-ed25519", KEY.sign(MESSAGE))[:-1],
    "with something behind": signature(b"ssh-ed25519", KEY.sign(MESSAGE)) + b"x",
    "no signature at all": bytes([14]),
    "another message": bytes([12]) + struct.pack(">I", 0),
    "a refusal": bytes([5]),
}
LIES_ABOUT_KEYS = {
    "a billion keys": bytes([12]) + b"\xff" * 4,
    "fewer than it says": bytes([12])
    + struct.pack(">I", 2)
    + wire_string(KEY.public.blob)
    + wire_string(b""),
    "something behind": identity(KEY.public.blob) + b"x",
    "another message": bytes([14]),
}


def lying(path: Path, answer: bytes) -> Agent:
    """An agent that gives this answer to every request, and nothing if it is empty."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return Agent(path)


@pytest.mark.parametrize("answer", LIES_ABOUT_A_SIGNATURE.values(), ids=LIES_ABOUT_A_SIGNATURE.keys())
def test_an_agent_that_lies_about_a_signature_is_not_believed(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(AgentProblem):
        lying(tmp_path / "s", wire_string(answer)).sign(KEY.public, MESSAGE)


@pytest.mark.parametrize("answer", LIES_ABOUT_KEYS.values(), ids=LIES_ABOUT_KEYS.keys())
def test_an_agent_that_lies_about_its_keys_is_not_believed(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(AgentProblem):
        lying(tmp_path / "s", wire_string(answer)).identities()


def test_a_comment_cannot_colour_the_terminal(tmp_path: Path) -> None:
    [key] = lying(tmp_path / "s", wire_string(identity(KEY.public.blob))).identities()
    assert (key, key.comment) == (KEY.public, "")


@pytest.mark.parametrize("blob", [b"", b"\0\0\0\x07ssh-rsa", KEY.public.blob[:-1], KEY.public.blob + b"x"])
def test_a_key_that_is_none_is_left_out(tmp_path: Path, blob: bytes) -> None:
    assert lying(tmp_path / "s", wire_string(identity(blob))).identities() == []


@pytest.mark.parametrize("answer", [b"", b"\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\x05ab"])
def test_an_agent_that_hangs_up_or_floods_is_refused(tmp_path: Path, answer: bytes) -> None:
    with pytest.raises(AgentProblem):
        lying(tmp_path / "s", answer).identities()


def test_an_agent_that_says_nothing_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIST_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(AgentProblem, match=r"no answer in 0\.2 s"):
            Agent(tmp_path / "s").identities()


def test_a_socket_path_from_the_environment_is_used(agent: Agent) -> None:
    assert os.environ["SSH_AUTH_SOCK"] == str(agent.path)
    assert Agent.running() == agent
