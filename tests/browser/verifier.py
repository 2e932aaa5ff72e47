"""The verifier as a person uses it: choose files, press the button, read the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.browser.devtools import Page

VERIFIER = Path(__file__).parents[2] / "airgap-bundle" / "airgap_bundle" / "verifier.html"

ANSWER = """
new Promise((resolve) => {
  const shown = () => {
    const [result, unable] = ["result", "unable"].map((id) => document.getElementById(id));
    if (result.hidden && unable.hidden) return false;
    const states = [...document.querySelectorAll("[data-number]")];
    resolve(JSON.stringify({
      sorry: unable.hidden ? null : unable.textContent,
      verdict: result.hidden ? null : document.getElementById("verdict").dataset.verdict,
      sentence: result.hidden ? null : document.querySelector(".verdict p").textContent,
      checks: result.hidden ? {} : Object.fromEntries(states.map((state) =>
        [state.dataset.number, [state.dataset.result, state.nextElementSibling.textContent]])),
    }));
    return true;
  };
  document.getElementById("verify").click();
  const watch = new MutationObserver(() => { if (shown()) watch.disconnect(); });
  watch.observe(document.querySelector("main"), {attributes: true, subtree: true});
})
"""


@dataclass(frozen=True)
class Answer:
    """What the page shows."""

    sorry: str | None
    """Why there is no verdict."""
    verdict: str | None
    sentence: str | None
    checks: dict[int, tuple[str, str]]
    """Result and text by number."""

    @property
    def failed(self) -> int | None:
        """The first failed check."""
        return next((n for n, (result, _) in sorted(self.checks.items()) if result == "failed"), None)


class Verifier:
    """One tab with the verifier."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def verify(
        self,
        *,
        folder: Path | None = None,
        files: Sequence[Path] = (),
        root: Path | None = None,
        fingerprint: str = "",
        clock: str = "",
    ) -> Answer:
        """Choose files and what is trusted; verify; read the page. `clock`: such as 2026-12-01T00:00:00Z."""
        self.fill(folder=folder, files=files, root=root, fingerprint=fingerprint, clock=clock)
        return self.answer()

    def answer(self) -> Answer:
        """Press the button and read the page."""
        value: dict[str, Any] = json.loads(self.page.run(ANSWER))
        checks = {int(number): (result, text) for number, (result, text) in value.pop("checks").items()}
        return Answer(**value, checks=checks)

    def fill(
        self,
        *,
        folder: Path | None = None,
        files: Sequence[Path] = (),
        root: Path | None = None,
        fingerprint: str = "",
        clock: str = "",
    ) -> None:
        """Fill in the form."""
        for place in ("chosen", "trusted"):
            self.page.run(f"document.getElementById('{place}').textContent = ''")
        for field in ("root", "folder", "files"):  # or choosing the same again would change nothing
            self.page.run(f"document.getElementById('{field}').value = ''")
        if root:
            self.page.choose("#root", [root])
            self._filled("trusted")
        if folder or files:
            self.page.choose("#folder" if folder else "#files", [folder] if folder else files)
            self._filled("chosen")
        for field, text in (("fingerprint", fingerprint), ("date", clock.removesuffix("Z"))):
            self.page.run(
                f"((field) => {{ field.value = {json.dumps(text)};"
                " field.dispatchEvent(new Event('input')); })"
                f"(document.getElementById('{field}'))"
            )

    def drop(self, paths: Sequence[Path]) -> None:
        """Drop files or folders where the page takes them."""
        self.page.run("document.getElementById('chosen').textContent = ''")
        x, y = self.page.run(
            "(({left, top}) => [left + 9, top + 9])(document.getElementById('drop').getBoundingClientRect())"
        )
        data = {"items": [], "files": [str(path.resolve()) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.page.ask("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)
        self._filled("chosen")

    def _filled(self, place: str) -> None:
        """Wait until the page has taken what was chosen: the browser lists a folder in its own time."""
        self.page.run(
            "new Promise((resolve) => { const look = () => document.getElementById"
            f"('{place}').textContent ? resolve() : setTimeout(look, 2); look(); }})"
        )

    def text(self, selector: str) -> str:
        """The text of an element."""
        text: str = self.page.run(f"document.querySelector({json.dumps(selector)}).textContent")
        return text
