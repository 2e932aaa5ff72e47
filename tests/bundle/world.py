"""A folder for a recipe and its files, and a machine whose apt and pip know only our own upstreams."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from string import Template

import pytest

from airgap_bundle import recipe
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock, lock
from airgap_bundle.recipe_parts import Recipe
from tests.bundle.upstream import Repository, pip_config

HEAD = "bundle: zone\ntitle: Updates\nnext_expected: 30 days\n"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


class World:
    """A folder for the recipe and its files, and a machine whose apt and pip know our upstreams only."""

    def __init__(self, folder: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.repository, self.monkeypatch = folder, repository, monkeypatch
        self.cache = Cache(folder / "cache")
        self.wheels = folder / "wheels"
        self.wheels.mkdir()
        for name, value in pip_config(folder, self.wheels).items():
            monkeypatch.setenv(name, value)

    def lock(self, text: str, **settings: str) -> Lock:
        return lock(self.recipe(text, **settings), self.cache, NOW)

    def recipe(self, text: str, **settings: str) -> Recipe:
        for name, value in self.repository.apt_config(self.folder).items():
            self.monkeypatch.setenv(name, value)
        return recipe.parse((HEAD + Template(text).substitute(settings)).encode(), "zone.yaml", self.folder)

    def debian(self, text: str) -> Lock:
        return self.lock(f"debian:\n  - {text}\n    keyring: $keyring\n", keyring=self.keyring)

    @property
    def keyring(self) -> str:
        return str(self.repository.keyring.file)
