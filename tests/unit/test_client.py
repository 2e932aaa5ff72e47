"""The client: what it repeats, what it never repeats, and what it says when nobody answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airgap_bundle.keys import PrivateKey
from controlplane.client import Client, Refusal, ReplyLost, ReplyUnreadable, Unreachable
from controlplane.client.connection import Event, decode_events, segment, target

KEY = PrivateKey.generate("anna")
Reply = bytes | None
"""Bytes to answer with; None closes the connection without an answer."""


def answer(body: str, kind: str = "application/json", status: str = "200 OK", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return f"{head}{body}".encode()


class Script:
    """A server that answers one reply after another and notes what it was asked."""

    def __init__(self, path: Path, replies: list[Reply], one_each: bool = False) -> None:
        self.asked: list[bytes] = []
        self.connections = 0
        self._replies, self._one_each = replies, one_each
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while self._replies:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                while self._replies and (request := self._request(connection)):
                    self.asked.append(request)
                    if (reply := self._replies.pop(0)) is None:
                        break
                    connection.sendall(reply)
                    if self._one_each:
                        break

    def _request(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (part := connection.recv(65536)):
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                while len(body) < int(line.split(b":")[1]):
                    body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        self._listener.close()


Serve = Callable[..., Script]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[Script] = []

    def make(*replies: Reply, one_each: bool = False) -> Script:
        made.append(Script(tmp_path / "s", list(replies), one_each))
        return made[0]

    yield make
    for script in made:
        script.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with Client(socket_path=tmp_path / "s", key=KEY, seconds=2) as client:
        yield client


def nonce(request: bytes) -> bytes:
    return request.split(b'nonce="')[1].split(b'"')[0]


def test_one_connection_serves_many_requests(serve: Serve, client: Client) -> None:
    script = serve(answer("1"), answer("2"), answer("3"))
    assert [client.get("/a"), client.post("/b", {}), client.delete("/c")] == [1, 2, 3]
    assert script.connections == 1
    assert len({nonce(request) for request in script.asked}) == 3


def test_a_read_is_repeated_once_signed_anew(serve: Serve, client: Client) -> None:
    script = serve(None, answer("1"))
    assert client.get("/a") == 1
    first, second = script.asked
    assert nonce(first) != nonce(second)


def test_a_read_is_not_repeated_for_ever(serve: Serve, client: Client) -> None:
    script = serve(None, None, answer("1"))
    with pytest.raises(Unreachable):
        client.get("/a")
    assert len(script.asked) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_change_is_never_repeated(serve: Serve, client: Client, method: str) -> None:
    script = serve(None, answer("1"))
    with pytest.raises(ReplyLost, match="may have been done") as caught:
        client.request(method, "/a", {})
    assert len(script.asked) == 1
    assert caught.value.exit_code == 69


def test_a_reply_cut_short_is_lost(serve: Serve, client: Client) -> None:
    serve(answer("12345")[:-2], one_each=True)
    with pytest.raises(ReplyLost):
        client.post("/a")


def test_a_connection_that_the_plane_closed_meanwhile_is_replaced(serve: Serve, client: Client) -> None:
    script = serve(answer("1"), answer("2"), one_each=True)
    assert (client.post("/a"), client.post("/b")) == (1, 2)
    assert script.connections == 2


def test_silence_is_given_up_and_a_read_not_asked_again(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with Client(socket_path=tmp_path / "s", key=KEY, seconds=0.1) as client:
            with pytest.raises(Unreachable, match="no answer in time"):
                client.get("/a")
            with pytest.raises(ReplyLost, match="no answer in time"):
                client.post("/a")


def test_where_nobody_listens_it_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file") as caught:
        Client(socket_path=tmp_path / "none", key=KEY).get("/a")
    assert "controlplane serve" in caught.value.remedy
    assert caught.value.exit_code == 69


def test_a_problem_comes_back_with_its_code_and_hint(serve: Serve, client: Client) -> None:
    body = (
        '{"type": "stale-plan", "detail": "moved", "hint": "plan again", "exit_code": 31, "facts": {"a": 1}}'
    )
    serve(answer(body, "application/problem+json", "409 Conflict"))
    with pytest.raises(Refusal, match="moved") as caught:
        client.post("/a")
    problem = caught.value
    assert (problem.exit_code, problem.kind, problem.remedy, problem.facts, problem.status) == (
        31,
        "stale-plan",
        "plan again",
        {"a": 1},
        409,
    )


@pytest.mark.parametrize(
    "reply",
    [answer("<html>", "text/html"), answer("{", "application/json"), answer("no", "text/plain", "500 No")],
)
def test_what_is_not_a_plane_is_recognised(serve: Serve, client: Client, reply: bytes) -> None:
    serve(reply)
    with pytest.raises(ReplyUnreadable, match="not a plane"):
        client.get("/a")


def test_what_is_not_http_is_recognised(serve: Serve, client: Client) -> None:
    serve(b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH-2.0-OpenSSH_9.2\r\n")
    with pytest.raises(Unreachable):
        client.get("/a")


def test_events_are_given_as_they_come(serve: Serve, client: Client) -> None:
    stream = 'id: 7\nevent: step\ndata: {"a":\ndata: 1}\n\n: still here\n\nevent: end\ndata: {}\n\n'
    serve(answer(stream, "text/event-stream"))
    assert list(client.events("/e")) == [Event("step", {"a": 1}, "7"), Event("end", {}, "7")]


def test_a_stream_that_ends_is_no_fault(serve: Serve, client: Client) -> None:
    serve(CHUNKED + b"0\r\n\r\n")
    assert list(client.events("/e")) == [Event("a", 1)]


def test_a_refused_stream_is_a_refusal(serve: Serve, client: Client) -> None:
    serve(answer('{"type": "unknown-job", "exit_code": 30}', "application/problem+json", "404 Not Found"))
    with pytest.raises(Refusal):
        list(client.events("/e"))


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"14\r\nevent: a\ndata: 1\n\n:\n\r\n"
)


@pytest.mark.parametrize(
    "reply",
    [
        answer("event: a\ndata: 1\n\n" + "x" * 100, "text/event-stream")[:-50],
        CHUNKED,
        CHUNKED + b"20\r\nevent",
    ],
    ids=["short of its length", "between chunks", "in a chunk"],
)
def test_a_stream_that_breaks_says_so(serve: Serve, client: Client, reply: bytes) -> None:
    serve(reply, one_each=True)
    events = client.events("/e")
    assert next(events) == Event("a", 1)
    with pytest.raises(Unreachable):
        list(events)


def test_events_that_are_not_json_are_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        list(decode_events(iter([b"data: {\n", b"\n"])))


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Plane.Zone:8443", "plane.zone:8443"),
        ("https://plane.zone:443/", "plane.zone"),
        ("http://plane.zone:80", "plane.zone:80"),
        ("https://[::1]:8443", "[::1]:8443"),
    ],
)
def test_the_authority_is_what_the_plane_reads(url: str, authority: str) -> None:
    assert Client(url=url, key=KEY).authority == authority


def test_names_and_queries_are_encoded() -> None:
    assert segment("a/b ä?") == "a%2Fb%20%C3%A4%3F"
    assert target("/v1/jobs", {"tenant": "a b", "limit": 5, "none": None}) == "/v1/jobs?tenant=a%20b&limit=5"
    assert target("/v1/events", {"job": ["a", "b"]}) == "/v1/events?job=a&job=b"
