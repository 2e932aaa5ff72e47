"""Two implementations, written apart, come to the same verdict at the same check on every vector."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle.report import Result
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
    found = (answer.verdict, answer.failed)
    assert found == (vector["verdict"], vector["check"]), answer.sentence


@every_vector
def test_the_python_verifier_comes_to_the_verdict(vectors: Path, vector: dict[str, Any]) -> None:
    clock = datetime.fromisoformat(vector["clock"])
    report = verify([vectors / vector["name"]], TrustedRoot.read(vectors / vector["root"]), clock=clock)
    failed = next((check.number for check in report.checks if check.result is Result.FAILED), None)
    assert (str(report.verdict), failed) == (vector["verdict"], vector["check"]), report.sentence


def test_no_vector_made_the_browser_complain_or_ask_for_anything(verifier: Verifier) -> None:
    assert verifier.page.problems() == []
    own = (VERIFIER.as_uri(), "blob:null/", "data:image/svg+xml")  # the last: the browser's own icons
    assert [url for url in verifier.page.requests() if not url.startswith(own)] == []
