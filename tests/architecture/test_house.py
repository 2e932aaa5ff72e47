"""The shape of the house: floors, distributions that no stranger can replace, locks without addresses."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = (ROOT / "pyproject.toml", ROOT / "airgap-bundle" / "pyproject.toml")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"), key=lambda path: path.name)


def metadata(path: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(path.read_text())["project"]
    return project


OURS = {metadata(path)["name"] for path in PROJECTS}


def test_a_floor_imports_only_lower_floors() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: metadata(path)["name"])
def test_our_versions_carry_a_local_label_that_public_indexes_refuse(path: Path) -> None:
    assert Version(metadata(path)["version"]).local == "zone"


def test_whoever_needs_one_of_ours_pins_exactly_that_version() -> None:
    versions = {metadata(path)["name"]: metadata(path)["version"] for path in PROJECTS}
    needed = [Requirement(text) for path in PROJECTS for text in metadata(path).get("dependencies", ())]
    ours = {need.name: str(need.specifier) for need in needed if need.name in OURS}
    assert ours == {name: f"=={versions[name]}" for name in ours}
    assert "sovereign-airgap-bundle" in ours


def test_a_stranger_cannot_satisfy_our_pin() -> None:
    pin = Requirement("sovereign-airgap-bundle==0.1.0+zone").specifier
    for offered in ("0.1.0", "0.1.0.post1", "0.1.1", "1.0", "99.0", "0.1.0+other"):
        assert not pin.contains(offered, prereleases=True)


@pytest.mark.parametrize(
    "lock", [lock for lock in LOCKS if lock.stem != "debian"], ids=lambda lock: lock.stem
)
def test_a_lock_names_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"https?://|file:|--(extra-)?index|--find-links|--trusted-host", text)
    assert not any(re.search(rf"^{name}\b", text, re.MULTILINE) for name in OURS)
    entries = re.findall(r"^([A-Za-z0-9_.\[\],-]+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert entries
    for name, rest in entries:
        assert rest.startswith("=="), f"{lock.name}: {name} has no exact version"
        assert "--hash=sha256:" in rest, f"{lock.name}: {name} has no hash"


def test_our_own_folders_are_installed_without_asking_an_index() -> None:
    recipe = (ROOT / "requirements" / "install.py").read_text()
    assert '"--no-index", "--no-deps", "--no-build-isolation"' in recipe


def test_the_top_level_holds_what_the_design_says() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    folders = {"controlplane", "playbooks", "tests", "airgap-bundle", "docs", "requirements"}
    files = {"pyproject.toml", "README.md", "Makefile", "LICENSE"}
    assert {name for name in top if not name.startswith(".")} <= folders | files


def test_no_file_is_tied_to_one_machine_or_one_registry() -> None:
    hosts = "|".join(
        ("pypi" + r"\.org", "python" + "hosted", "deb" + r"\.debian\.org", "registry" + r"\.npmjs")
    )
    command = ["git", "grep", "-nIE", rf"{hosts}|/roo" + "t/", "--", "."]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == ""
