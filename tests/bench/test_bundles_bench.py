"""The benchmark of bundles runs, and holds every contestant to having done the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import bundles


def test_it_measures_ours_beside_the_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--size", "8MiB", "--files", "60", "--rounds", "1", "--alone", "--output", "json"]
    assert bundles.main(["--work", str(tmp_path), *small]) == 0
    told = json.loads(capsys.readouterr().out)
    rows = [row[0] for row in told["tables"][0]["rows"]]
    assert rows == ["cp + fsync (floor)", "airgap-bundle verify", "airgap-bundle ingest"]
    assert len(told["tables"]) == 2


def test_sizes_add_up_to_what_was_asked() -> None:
    assert sum(bundles.mixed_sizes(2**30)) == 2**30
    assert len(bundles.small_sizes(500)) == 500
