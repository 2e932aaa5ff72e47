"""Ask the verifier's core directly, in the page: bytes in, a value or a refusal out."""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import HealthCheck, settings

from tests.browser.devtools import Page

quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

PRELUDE = """
globalThis.bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
globalThis.accepts = async (work) => {
  try { return [true, await work()]; } catch (problem) {
    if (problem instanceof modules["core/problem.js"].Refused) return [false, problem.message];
    throw problem;
  }
};
"""
"""What every tab needs before it is asked."""


def js(data: bytes) -> str:
    """These bytes as a JavaScript expression."""
    return f'bytes("{base64.b64encode(data).decode()}")'


def accepts(core: Page, script: str) -> tuple[bool, Any]:
    """Whether the expression was not refused, and its value or the reason."""
    good, value = core.run(f"accepts(async () => {script})")
    return bool(good), value
