"""Keys that ssh-agent holds: list them, and let it sign. The private key never comes here.

    agent = Agent.running()                 whatever $SSH_AUTH_SOCK names
    agent.identities()                      its Ed25519 keys, with their comments
    agent.key(public).sign(b"message")      64 bytes; the agent may ask its owner first (ssh-add -c)

Each request is one connection: four bytes of length, a type, and the fields. Format: draft-miller-ssh-agent,
sections 3 and 4. What the agent gives is verified before it is used: it is another program, and may be on
another machine (ssh -A).
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from airgap_bundle.errors import InputProblem, KeyProblem
from airgap_bundle.keys import KEY_TYPE, BadSignature, Malformed, PublicKey, Wire, wire_string

REQUEST_IDENTITIES, IDENTITIES = 11, 12
SIGN_REQUEST, SIGNATURE = 13, 14
FAILURE = 5
MOST_BYTES = 256 * 1024  # what OpenSSH's agent itself allows in one message
MOST_KEYS = 2048
LIST_SECONDS = 15
SIGN_SECONDS = 180
"""The owner may have to be fetched to touch a token or to confirm."""


class AgentProblem(InputProblem):
    """ssh-agent is not there, does not have the key, or will not sign."""

    exit_code = 13
    message = "ssh-agent: {why}"
    hint = "{remedy}"


@dataclass(frozen=True)
class Agent:
    """The ssh-agent that listens at this socket."""

    path: Path

    @classmethod
    def running(cls) -> Agent:
        """The agent of this session. Raises AgentProblem: there is none."""
        if not (path := os.environ.get("SSH_AUTH_SOCK")):
            _refuse("none is running here", "Start one with `eval $(ssh-agent)`, or name a private key file.")
        return cls(Path(path))

    def identities(self) -> list[PublicKey]:
        """Its Ed25519 keys; it may hold others, which are left out. Raises AgentProblem."""
        wire = self._ask(bytes([REQUEST_IDENTITIES]), IDENTITIES, LIST_SECONDS)
        try:
            if (count := wire.uint32()) > MOST_KEYS:
                raise Malformed("it claims too many keys")
            pairs = [(wire.string(), wire.string()) for _ in range(count)]
            wire.end()
        except Malformed as why:
            _refuse(f"its answer is malformed: {why}", "Restart it; this may be no ssh-agent at all.")
        found = []
        for blob, comment in pairs:
            try:
                text = comment.decode("utf-8", "replace")
                found.append(PublicKey(Wire(blob).only_key(), text if text.isprintable() else ""))
            except (Malformed, KeyProblem):
                continue  # another type of key
        return found

    def key(self, public: PublicKey) -> AgentKey:
        """The key with this public half. Raises AgentProblem: the agent does not hold it."""
        return self.by_fingerprint(public.fingerprint, public.comment)

    def by_fingerprint(self, fingerprint: str, comment: str = "") -> AgentKey:
        """The key with this fingerprint, as `ssh-add -l` prints it. Raises AgentProblem."""
        known = next((key for key in self.identities() if key.fingerprint == fingerprint), None)
        if known is None:
            _refuse(
                f"it does not hold {fingerprint} {comment}".rstrip(),
                "Add the key with `ssh-add FILE`; `ssh-add -l` lists what it holds.",
            )
        return AgentKey(self, PublicKey(known.raw, comment or known.comment))

    def sign(self, public: PublicKey, message: bytes) -> bytes:
        """The 64 bytes of the signature over `message`, verified. Raises AgentProblem."""
        request = (
            bytes([SIGN_REQUEST]) + wire_string(public.blob) + wire_string(message) + struct.pack(">I", 0)
        )
        if len(request) > MOST_BYTES:
            _refuse(f"it takes no message of {len(message)} bytes", "Sign with a private key file.")
        wire = self._ask(request, SIGNATURE, SIGN_SECONDS)
        try:
            signature = Wire(wire.string())
            wire.end()
            if signature.string() != KEY_TYPE.encode():
                raise Malformed("it is a signature of another type")
            raw = signature.string()
            signature.end()
            public.verify(message, raw)
        except (Malformed, BadSignature) as why:
            _refuse(f"what it gave is no signature by {public.fingerprint}: {why}", "Use another agent.")
        return raw

    def _ask(self, request: bytes, expected: int, seconds: int) -> Wire:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(seconds)
                connection.connect(os.fspath(self.path))
                connection.sendall(wire_string(request))
                length = int.from_bytes(_exactly(connection, 4), "big")
                if not 1 <= length <= MOST_BYTES:
                    _refuse("its answer is malformed", "Restart it; this may be no ssh-agent at all.")
                answer = _exactly(connection, length)
        except TimeoutError:
            _refuse(f"it gave no answer in {seconds} s", "Confirm at the agent when it asks, then try again.")
        except OSError as error:
            _refuse(
                f"{self.path} cannot be reached ({error.strerror or error})", "Start it, or name a key file."
            )
        if answer[0] == FAILURE:
            _refuse("it refused", "It may be locked (`ssh-add -X`), or its owner said no.")
        if answer[0] != expected:
            _refuse(f"it answered with message {answer[0]}", "Restart it; this may be no ssh-agent at all.")
        return Wire(answer[1:])


@dataclass(frozen=True)
class AgentKey:
    """A key in an agent; it signs as a PrivateKey does."""

    agent: Agent
    public: PublicKey

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature. Raises AgentProblem."""
        return self.agent.sign(self.public, message)


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        if not (part := connection.recv(count - len(parts))):
            raise OSError("it hung up")
        parts += part
    return parts


def _refuse(why: str, remedy: str) -> NoReturn:
    raise AgentProblem(why=why, remedy=remedy) from None
