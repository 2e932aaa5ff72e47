"""Two implementations, written apart, come to the same verdict at the same check on every vector."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.verify import verify
from tests.browser.verifier import VERIFIER, Verifier

FOLDER = VERIFIER.parents[1] / "vectors"
VECTORS = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))["vectors"]
every_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


@every_vector
def test_the_page_comes_to_the_verdict(verifier: Verifier, vectors: Path, vector: dict[str, Any]) -> None:
    answer = verifier.verify(
        folder=vectors / vector["name"], root=vectors / vector["root"], clock=vector["clock"]
    )
    assert answer.sorry is None
    results = {number: result for number, (result, _) in answer.checks.items()}
    compare(vector, answer.verdict, results, answer.sentence)


@every_vector
def test_the_python_verifier_comes_to_the_verdict(vectors: Path, vector: dict[str, Any]) -> None:
    clock = datetime.fromisoformat(vector["clock"])
    report = verify([vectors / vector["name"]], TrustedRoot.read(vectors / vector["root"]), clock=clock)
    results = {check.number: str(check.result) for check in report.checks}
    compare(vector, str(report.verdict), results, report.sentence)


def compare(vector: dict[str, Any], verdict: str | None, results: dict[int, str], why: str | None) -> None:
    """The verdict, the first failed check, and what was not checked of one that is not refused."""
    failed = next((number for number in sorted(results) if results[number] == "failed"), None)
    assert (verdict, failed) == (vector["verdict"], vector["check"]), why
    if failed is None:
        left = [number for number in sorted(results) if results[number] == "not checked"]
        assert left == vector["not_checked"], why


def test_no_vector_made_the_browser_complain_or_ask_for_anything(verifier: Verifier) -> None:
    assert verifier.page.problems() == []
    own = (VERIFIER.as_uri(), "blob:null/", "data:image/svg+xml")  # the last: the browser's own icons
    assert [url for url in verifier.page.requests() if not url.startswith(own)] == []
