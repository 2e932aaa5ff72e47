"""Fixtures of the bundle's tests: upstreams of our own, and a machine that knows only them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle.upstream import Keyring, Package, Repository
from tests.bundle.world import World


@pytest.fixture(scope="module")
def archive_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyring]:
    made = Keyring.make(tmp_path_factory.mktemp("keys"))
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, archive_key: Keyring, monkeypatch: pytest.MonkeyPatch) -> World:
    repository = Repository(tmp_path / "mirror", archive_key)
    repository.publish(
        "stable",
        Package("libc", "2.36-1", priority="required", essential=True),
        Package("tool", "1.0-1", depends="libc (>= 2.30), libtool (= 1.0-1), awk"),
        Package("libtool", "1.0-1", depends="libc"),
        Package("mawk", "1:1.3-1", provides="awk", depends="libc"),
        Package("huge", "1.0-1", depends="missing"),
    )
    repository.publish("stable-security", Package("libtool", "1.0-1+deb1"), Package("libc", "2.36-1+deb1"))
    return World(tmp_path, repository, monkeypatch)
