"""Progress of long work on stderr: live on a terminal, plain lines with the time elsewhere.

    with progress.watch() as watched:
        watched.start(40, "apply ministry")
        watched.step("network/prod/app", "began")
        watched.step("network/prod/app", "done")
        watched.step("server/web", "failed", "no host has enough memory")
        watched.done("40 changes made")

Driven by events: it keeps no clock and asks nobody. `--quiet` shows nothing.
"""

from __future__ import annotations

import sys
from datetime import datetime
from types import TracebackType
from typing import Any

from airgap_bundle.cli import kit
from airgap_bundle.errors import printable

BEGAN = "began"
DONE = "done"
SHOWN_AT_ONCE = 3


class Progress:
    """Shows nothing: what `--quiet` gets, and what the others build on."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the display; what is on the screen stays."""

    def start(self, total: int | None, title: str) -> None:
        """Work begins: how many steps, None if nobody knows, and what it is."""

    def step(self, name: str, state: str, note: str = "") -> None:
        """A step is now `began`, `done`, `failed` or any other word, which ends it too."""

    def note(self, text: str) -> None:
        """Something worth a line."""

    def done(self, summary: str) -> None:
        """Work ended."""


class Plain(Progress):
    """Lines for logs, pipes and serial consoles: one for each step that ended."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.ended = 0

    def start(self, total: int | None, title: str) -> None:
        """One line."""
        self.total, self.ended = total, 0
        self.note(f"{title}: {total} steps" if total is not None else title)

    def step(self, name: str, state: str, note: str = "") -> None:
        """One line when it ended."""
        if state == BEGAN:
            return
        self.ended += 1
        count = f"{self.ended}/{self.total} " if self.total else ""
        self.note(f"{count}{name} {state}{f': {note}' if note else ''}")

    def note(self, text: str) -> None:
        """One line with the time of day."""
        print(f"{datetime.now():%H:%M:%S} {printable(text)}", file=sys.stderr, flush=True)

    def done(self, summary: str) -> None:
        """One line."""
        self.note(summary)


class Live(Progress):
    """A bar with what is being done now; failures stay above it as lines."""

    def __init__(self, *, color: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True, no_color=not color, highlight=False, markup=False)
        plain: Any = {"markup": False}
        self._bar = Bar(
            SpinnerColumn("line", finished_text=" "),
            TextColumn("{task.description}", **plain),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}", **plain),
            console=console,
            expand=False,
        )
        self._task: Any = None
        self._running: list[str] = []

    def __enter__(self) -> Live:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the bar as it is."""
        self._bar.stop()

    def start(self, total: int | None, title: str) -> None:
        """Show the bar."""
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._running.clear()
        self._task = self._bar.add_task(printable(title), total=total, now="")

    def step(self, name: str, state: str, note: str = "") -> None:
        """Move the bar when a step ended."""
        if self._task is None:
            self.start(None, "")
        shown = printable(name)
        if state == BEGAN:
            self._running.append(shown)
        else:
            if shown in self._running:
                self._running.remove(shown)
            self._bar.advance(self._task)
            if state != DONE:
                self.note(f"{shown} {state}{f': {note}' if note else ''}")
        more = len(self._running) - SHOWN_AT_ONCE
        now = ", ".join(self._running[:SHOWN_AT_ONCE]) + (f" and {more} more" if more > 0 else "")
        self._bar.update(self._task, now=now)

    def note(self, text: str) -> None:
        """A line above the bar."""
        from rich.text import Text

        self._bar.console.print(Text(printable(text)))

    def done(self, summary: str) -> None:
        """A line under what is done."""
        if self._task is not None:
            self._bar.update(self._task, now="")
        self.note(summary)


def watch() -> Progress:
    """The display that fits: by --quiet, --no-color and what stderr is."""
    settings = kit.current()
    if settings.quiet:
        return Progress()
    if sys.stderr.isatty():
        return Live(color=not settings.no_color)
    return Plain()
