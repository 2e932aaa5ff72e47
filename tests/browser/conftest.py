"""One Chromium for all tests of a worker, and the verifier open in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.core import PRELUDE
from tests.browser.devtools import Chromium, Page
from tests.browser.verifier import VERIFIER, Verifier


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """A running browser; without one the tests fail, and say which package to install."""
    with Chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def verifier(chromium: Chromium) -> Verifier:
    """The verifier in a tab of its own."""
    return Verifier(chromium.open(VERIFIER))


@pytest.fixture(scope="module")
def core(chromium: Chromium) -> Page:
    """A tab whose scripts can be asked directly: `modules["core/json.js"]`."""
    page = chromium.open(VERIFIER)
    page.run(PRELUDE)
    return page


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of the vectors."""
    return VERIFIER.parents[1] / "vectors"
