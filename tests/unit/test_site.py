"""A site is made whole or not at all, and says in one sentence what is wrong with it."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey, PublicKey
from controlplane import places
from controlplane.access.roles import Role
from controlplane.service import enrolment
from controlplane.service import site as sites
from controlplane.service.site import FolderInUse, Site, SiteExists, SiteInvalid, SiteMissing
from controlplane.store import database
from controlplane.store.database import connect

ANNA = PrivateKey.generate("anna@admin").public


@pytest.fixture
def clouds(tmp_path: Path) -> Path:
    path = tmp_path / "clouds.yaml"
    path.write_text("clouds:\n  zone-a: {}\n  zone-b: {}\n")
    return path


def create(folder: Path, clouds: Path, name: str = "anna", key: PublicKey = ANNA) -> Site:
    return sites.create(folder, cloud="zone-a", clouds_file=clouds, operator=key, operator_name=name)


def test_init_makes_a_closed_folder_with_everything_in_it(tmp_path: Path, clouds: Path) -> None:
    site = create(tmp_path / "site", clouds)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in site.folder.iterdir()}
    assert stat.S_IMODE(site.folder.stat().st_mode) == 0o700
    assert (modes["site.toml"], modes["plane_key"], modes["plane.db"]) == (0o600, 0o600, 0o600)
    assert site.key().public == PublicKey.read(site.folder / "plane_key.pub")
    (anna,) = enrolment.everyone(connect(site.database))
    assert anna["roles"] == [Role.OPERATOR, Role.APPROVER, Role.SECURITY_OFFICER]
    assert anna["keys"][0]["line"] == ANNA.line
    assert sites.load(site.folder) == site


def test_init_never_touches_a_site_that_is_there(tmp_path: Path, clouds: Path) -> None:
    site = create(tmp_path / "site", clouds)
    before = {path.name: path.read_bytes() for path in site.folder.iterdir()}
    with pytest.raises(SiteExists, match="for the cloud zone-a; nothing was changed"):
        create(tmp_path / "site", clouds)
    assert {path.name: path.read_bytes() for path in site.folder.iterdir()} == before


def test_init_refuses_a_folder_with_other_things(tmp_path: Path, clouds: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(FolderInUse, match=r"letter\.txt"):
        create(folder, clouds)
    assert (folder / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("call", ["write_durably", "fsync", "enrol_first", "upgrade", "sync_folder"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_init_killed_at_any_moment_is_finished_by_the_next(
    tmp_path: Path, clouds: Path, call: str, moment: str, count: int
) -> None:
    owner = {"write_durably": sites, "sync_folder": sites, "fsync": os}.get(call) or (
        enrolment if call == "enrol_first" else database
    )
    pid = os.fork()
    if pid == 0:
        real, left = getattr(owner, call), count

        def killer(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left == 0 and moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*arguments, **named)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, call, killer)
        create(tmp_path / "site", clouds)
        os._exit(0)
    os.waitpid(pid, 0)
    if (tmp_path / "site" / "site.toml").exists():
        with pytest.raises(SiteExists):
            create(tmp_path / "site", clouds)
    else:
        create(tmp_path / "site", clouds)
    site = sites.load(tmp_path / "site")
    (anna,) = enrolment.everyone(connect(site.database))
    assert anna["name"] == "anna"
    assert site.key().public == PublicKey.read(site.folder / "plane_key.pub")


def test_two_inits_at_once_make_one_site(tmp_path: Path, clouds: Path) -> None:
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                create(tmp_path / "site", clouds)
            except Problem as problem:
                os._exit(problem.exit_code)
            os._exit(0)
        pids.append(pid)
    codes = sorted(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in pids)
    assert codes == [0, 36, 36]
    assert sites.load(tmp_path / "site").key()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "describes no clouds"),
        ("clouds: [a]", "describes no clouds"),
        ("clouds: {other: {}}", "has no cloud zone-a"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_init_looks_into_the_clouds_file(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(text)
    with pytest.raises(SiteInvalid, match=why):
        create(tmp_path / "site", path)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("name", ["", "Anna", "anna smith", "../x", "a" * 64, "1st"])
def test_init_refuses_a_name_that_is_none(tmp_path: Path, clouds: Path, name: str) -> None:
    with pytest.raises(enrolment.OperatorInvalid):
        create(tmp_path / "site", clouds, name)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("grace_days = -1", "grace_days: Input should be greater"),
        ("graze_days = 1", "graze_days: there is no such setting"),
        ('tcp = "8443"', "must be HOST:PORT"),
        ('tls_key = "key.pem"', "go together"),
        ("signature_window_seconds = 86400", "signature_window_seconds"),
        (f'socket = "{"x" * 200}"', "longer than 107 bytes"),
        ("overcommit = {cpu = 0.5}", "overcommit.cpu"),
        ("name = 3", "is not TOML|Cannot overwrite"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, clouds: Path, line: str, why: str) -> None:
    site = create(tmp_path / "site", clouds)
    with open(site.folder / "site.toml", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(SiteInvalid, match=why) as caught:
        sites.load(site.folder)
    assert str(site.folder / "site.toml") in str(caught.value)


def test_where_there_is_no_site_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SiteMissing) as caught:
        sites.load(tmp_path)
    assert f"controlplane init --site {tmp_path}" in caught.value.remedy


def test_one_process_holds_a_site(tmp_path: Path, clouds: Path) -> None:
    site = create(tmp_path / "site", clouds)
    with site.lock() as first, site.lock() as second:
        assert (first, second) == (True, False)
    with site.lock() as again:
        assert again


class TestPlaces:
    def test_root_has_the_systems_site_and_others_their_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CONTROLPLANE_SITE", raising=False)
        monkeypatch.delenv("XDG_STATE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/home/anna")
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert places.site_folder() == Path("/var/lib/controlplane")
        assert places.default_socket(places.site_folder()) == Path("/run/controlplane/plane.sock")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert places.site_folder() == Path("/home/anna/.local/state/controlplane")

    def test_the_environment_names_site_socket_and_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CONTROLPLANE_SITE", "/srv/zone")
        assert places.socket_path() == Path("/srv/zone/plane.sock")
        monkeypatch.setenv("CONTROLPLANE_SOCKET", "/run/other.sock")
        assert places.socket_path() == Path("/run/other.sock")
        assert places.socket_path("/srv/b") == Path("/srv/b/plane.sock"), "--site is said last"
        monkeypatch.setenv("CONTROLPLANE_KEY", "/keys/anna")
        assert places.key_path() == Path("/keys/anna")

    def test_a_client_finds_the_socket_that_the_site_names(self, tmp_path: Path, clouds: Path) -> None:
        site = create(tmp_path / "site", clouds)
        with open(site.folder / "site.toml", "a") as file:
            file.write('socket = "/run/zone.sock"\n')
        assert places.socket_path(str(site.folder)) == Path("/run/zone.sock")
        assert sites.load(site.folder).socket_path == Path("/run/zone.sock")
