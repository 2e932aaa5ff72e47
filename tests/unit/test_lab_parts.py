"""The lab's parts that need no lab; and, in the long version, a second lab beside the first."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.lab import session
from tests.lab.faults import Faults, Where
from tests.lab.openstack import facilities, golden, processes
from tests.lab.openstack.inside.token_memory import TokenMemory
from tests.lab.openstack.layout import CHECKOUT, FIRST_PORT, SERVICES, Site
from tests.lab.proxy import Exchange, Message


def a_site(folder: Path, port: int = FIRST_PORT) -> Site:
    return Site(folder=folder, port=port, environment=folder / "environment")


# ---------------------------------------------------------------------- a golden copy


@pytest.mark.parametrize("shift", [-3, -1, 0, 1, 3, 2000])
def test_a_copy_names_its_own_folder_and_ports(tmp_path: Path, shift: int) -> None:
    """Also where the old block of ports overlaps the new."""
    old, new = a_site(tmp_path / "old"), a_site(tmp_path / "new", FIRST_PORT + shift)
    new.databases.mkdir(parents=True)
    rows = {
        ("keystone", "endpoint", "url"): [site_url(old, name) for name in SERVICES],
        ("nova_api", "cell_mappings", "database_connection"): [old.database_url("nova"), "none:///"],
        ("glance", "image_locations", "value"): [f"file://{old.images}/1"],
    }
    for (database, table, column), values in rows.items():
        with closing(sqlite3.connect(new.database(database))) as connection, connection:
            connection.execute(f"CREATE TABLE {table} ({column} TEXT)")
            connection.executemany(f"INSERT INTO {table} VALUES (?)", [(value,) for value in values])
    golden.relocate(new, old.folder, old.port)
    found = {}
    for database, table, column in golden.PLACES:
        with closing(sqlite3.connect(new.database(database))) as connection:
            found[database] = [row[0] for row in connection.execute(f"SELECT {column} FROM {table}")]
    assert found == {
        "keystone": [site_url(new, name) for name in SERVICES],
        "nova_api": [new.database_url("nova"), "none:///"],
        "glance": [f"file://{new.images}/1"],
    }


def site_url(site: Site, name: str) -> str:
    return site.url(name)


def test_a_site_is_recorded_in_its_folder(tmp_path: Path) -> None:
    assert Site.load(tmp_path) is None
    site = a_site(tmp_path)
    site.save()
    assert Site.load(tmp_path) == site


# ---------------------------------------------------------------------- processes


def test_a_process_file_of_another_process_counts_for_nothing(tmp_path: Path) -> None:
    site = a_site(tmp_path)
    site.processes.mkdir()
    assert processes.process_of(site, "nova") == 0
    (site.processes / "nova.pid").write_text(f"{os.getpid()} 1\n")  # the number was given out again
    assert processes.process_of(site, "nova") == 0
    assert not processes.down(tmp_path)


def test_ports_in_use_are_left_alone(tmp_path: Path) -> None:
    with processes._sockets(tmp_path, None, None) as (first, held):
        assert {one.getsockname()[1] - first for one in held.values()} == {0, 1, 2, 3, 4, 5}
        assert all(one.getsockname()[1] < 32768 for one in held.values())
        with processes._sockets(tmp_path, None, None) as (second, _):
            assert second != first
        with pytest.raises(processes.LabError, match="in use"), processes._sockets(tmp_path, None, first):
            pytest.fail("the block is taken")


# ---------------------------------------------------------------------- sessions


def test_a_lab_that_tests_started_ends_with_its_last_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[Path] = []
    monkeypatch.setattr(processes, "up", lambda folder: (a_site(folder), True))
    monkeypatch.setattr(processes, "down", stopped.append)
    with session.lab_in_use(tmp_path):
        assert not_inherited(tmp_path / ".users")
        session.end_of_session(tmp_path)
        assert stopped == [], "another session uses it"
    session.end_of_session(tmp_path)
    session.end_of_session(tmp_path)
    assert stopped == [tmp_path]


def test_a_lab_that_ran_already_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "up", lambda folder: (a_site(folder), False))
    monkeypatch.setattr(processes, "down", lambda folder: pytest.fail("it is not ours"))
    with session.lab_in_use(tmp_path):
        pass
    session.end_of_session(tmp_path)


def test_a_lab_that_a_person_asked_for_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "up", lambda folder: (a_site(folder), True))
    monkeypatch.setattr(processes, "down", lambda folder: pytest.fail("somebody works with it"))
    with session.lab_in_use(tmp_path):
        session.keep(tmp_path)
    session.end_of_session(tmp_path)


def not_inherited(path: Path) -> bool:
    """A started service does not hold the session's lock on `path`."""
    with open(path) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    listed = subprocess.run(
        ["/bin/ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False
    )
    return str(path) not in listed.stdout


# ---------------------------------------------------------------------- exchanges


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v2.0/networks", "/v2.0/networks"),
        ("/v2.0/networks/0e0f24e5-5b3c-4f1a-8d8c-2a6b3f6a7c11", "/v2.0/networks/{id}"),
        ("/v3/projects/0e0f24e55b3c4f1a8d8c2a6b3f6a7c11/tags", "/v3/projects/{id}/tags"),
        ("/v2.1/os-services/12", "/v2.1/os-services/{id}"),
        ("/v2.1/flavors/m1.tiny", "/v2.1/flavors/m1.tiny"),
    ],
)
def test_the_shape_of_a_path(path: str, shape: str) -> None:
    assert an_exchange(path=path).shape == shape


def test_a_head_is_read() -> None:
    head = Message(
        b"POST / HTTP/1.1\r\nHost: a\r\nX-AUTH-Token: Ab\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    assert (head.length, head.chunked, head.closes) == (3, False, False)
    assert head.header(b"x-auth-token") == b"Ab"
    assert head.header(b"cookie") == b""
    assert b"Expect" not in head.without(b"expect")
    assert head.without(b"expect").endswith(b"Content-Length: 3\r\n\r\n")
    assert Message(b"GET / HTTP/1.0\r\n\r\n").closes
    assert Message(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").chunked


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ({}, [1, 1, 1, 1, 1, 1]),
        ({"times": 2}, [1, 1, 0, 0, 0, 0]),
        ({"skip": 2, "times": 1}, [0, 0, 1, 0, 0, 0]),
        ({"every": 3}, [1, 0, 0, 1, 0, 0]),
        ({"skip": 1, "every": 2, "times": 2}, [0, 1, 0, 1, 0, 0]),
        ({"method": "GET|PUT"}, [0, 0, 0, 0, 0, 0]),
        ({"method": "GET|POST", "service": "neutron", "path": "^/v2.0/net"}, [1, 1, 1, 1, 1, 1]),
        ({"service": "compute"}, [0, 0, 0, 0, 0, 0]),
        ({"body": '"name": "a'}, [1, 1, 1, 1, 1, 1]),
        ({"body": '"name": "b'}, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_a_rule_takes_the_requests_it_names(tmp_path: Path, where: Where, taken: list[int]) -> None:
    faults = Faults(a_site(tmp_path))
    rule = faults.reset(**where)
    assert [int(rule.takes(an_exchange(), "neutron")) for _ in range(6)] == taken
    assert rule.fired == sum(taken)
    faults.close()


def test_a_rule_for_an_unknown_service_is_refused(tmp_path: Path) -> None:
    faults = Faults(a_site(tmp_path))
    with pytest.raises(ValueError, match="no service 'networks'"):
        faults.reset(service="networks")
    faults.close()


def an_exchange(path: str = "/v2.0/networks") -> Exchange:
    return Exchange("network", "POST", path, "", 1, 0.0, request_body=b'{"network": {"name": "a"}}')


# ---------------------------------------------------------------------- tokens


def test_validated_tokens_are_forgotten_after_a_revocation(tmp_path: Path) -> None:
    revocations = tmp_path / "revocations"
    revocations.touch()
    memory = TokenMemory(revocations)
    memory.set("tokens/a", "valid", time=60)
    memory.set("tokens/b", "valid", time=0)
    assert memory.get("tokens/a") == "valid"
    assert memory.get("tokens/b") is None, "too old"
    os.utime(revocations, ns=(1, 1))
    assert memory.get("tokens/a") is None


# ---------------------------------------------------------------------- the command


@pytest.mark.parametrize("verb", [["--help"], ["openstack", "--help"], ["openstack", "up", "--help"]])
def test_help_goes_to_stdout(verb: list[str]) -> None:
    done = run(*verb)
    assert done.returncode == 0
    assert "openstack" in done.stdout
    assert done.stderr == ""


def test_a_missing_lab_is_said_in_a_sentence(tmp_path: Path) -> None:
    done = run("openstack", "clouds", "--dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "start one: python -m tests.lab openstack up" in done.stderr


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.lab", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)


# ---------------------------------------------------------------------- a second lab


@pytest.mark.long
def test_labs_stand_side_by_side_and_keep_what_they_store(tmp_path: Path) -> None:
    first = processes.up(tmp_path / "first", token_seconds=20)[0]
    try:
        second = processes.up(tmp_path / "second")[0]
        try:
            assert first.port != second.port
            assert processes.up(second.folder) == (second, False), "it runs already"
            key = "keystone/fernet-keys/0"
            assert (first.folder / key).read_bytes() != (second.folder / key).read_bytes()
            with cloud_of(second) as cloud:
                cloud.network.create_network(name="kept")
                image = cloud.image.find_image("debian-12")
                assert cloud.image.download_image(image).content.startswith(
                    facilities._some_bytes("debian-12")
                )
            with cloud_of(first) as cloud:
                assert cloud.network.find_network("kept") is None
                token = cloud.auth_token
            processes.down(second.folder)
            moved = processes.up(second.folder, port=second.port + 100)[0]
            with cloud_of(moved) as cloud:
                assert cloud.network.find_network("kept") is not None
                assert cloud.endpoint_for("network").startswith(moved.root_url("neutron"))
            eventually(lambda: refuses(first, token))
        finally:
            processes.destroy(second.folder)
    finally:
        processes.destroy(first.folder)
    assert not first.folder.exists()


@pytest.mark.long
def test_a_start_that_died_begins_again(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    starting = subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "openstack", "up", "--from-nothing", "--dir", str(folder)],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually((folder / "db" / "neutron.db").exists)
    starting.kill()
    starting.wait()
    site, started = processes.up(folder)
    try:
        assert started
        with cloud_of(site) as cloud:
            assert cloud.network.find_network(facilities.EXTERNAL_NETWORK)
    finally:
        processes.destroy(folder)


def cloud_of(site: Site) -> Any:
    return facilities.connect(site.clouds_yaml)


def refuses(site: Site, token: str) -> bool:
    """Whether Neutron refuses `token`."""
    url = f"{site.url('neutron')}/v2.0/networks?limit=1"
    return requests.get(url, headers={"X-Auth-Token": token}, timeout=60).status_code == 401


def eventually(check: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.1)


@pytest.fixture(autouse=True)
def _no_lab_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAB_OPENSTACK_DIR", raising=False)
    monkeypatch.delenv("LAB_TOKEN_SECONDS", raising=False)
