"""What the commands of `airgap-bundle` share: its global options, keys, and progress of bytes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from airgap_bundle.cli import kit

if TYPE_CHECKING:
    from airgap_bundle.dsse import Signs

PREFIX = "AIRGAP_BUNDLE"
OPTIONS = kit.common_options(PREFIX)


@dataclass
class Settings(kit.Settings):
    """What the global options and the environment say."""

    output: str = field(default_factory=lambda: os.environ.get(f"{PREFIX}_OUTPUT", "table"))


class Command(kit.Command):
    """A command of airgap-bundle."""

    shared: ClassVar[Sequence[click.Option]] = OPTIONS


class Group(kit.Group):
    """A noun of airgap-bundle."""

    shared: ClassVar[Sequence[click.Option]] = OPTIONS
    command_class = Command


class LazyGroup(kit.LazyGroup):
    """The root of airgap-bundle."""

    shared: ClassVar[Sequence[click.Option]] = OPTIONS


class At(click.Path):
    """A path argument: where something is or goes."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(path_type=Path, **attributes)


def default_cache() -> Path:
    """Where contents are collected when nobody says where: the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airgap-bundle"


key_option = click.option(
    "--key",
    metavar="KEY",
    envvar=f"{PREFIX}_KEY",
    default="~/.ssh/id_ed25519",
    show_default=True,
    help="Who signs: a private key file; or a .pub file or SHA256:... fingerprint of a key in ssh-agent."
    f" [env: {PREFIX}_KEY]",
)


def signer(key: str) -> Signs:
    """Whoever can sign with --key. Raises KeyProblem, AgentProblem."""
    from airgap_bundle.signing import signer_for

    return signer_for(key, kit.ask_passphrase if kit.has_terminal() else None)


Counter = Callable[[int, int], None]
"""Gets bytes done and bytes in all."""


@contextmanager
def bytes_progress(title: str) -> Iterator[Counter]:
    """Progress of bytes on stderr: a live bar on a terminal, a line each ten seconds elsewhere."""
    settings = kit.current()
    if settings.quiet:
        yield lambda done, total: None
    elif sys.stderr.isatty():
        with _bar(title, color=not settings.no_color) as counter:
            yield counter
    else:
        yield _Lines(title).count


@contextmanager
def _bar(title: str, *, color: bool) -> Iterator[Counter]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True, no_color=not color, highlight=False, markup=False)
    plain: Any = {"markup": False}
    bar = Progress(
        TextColumn("{task.description}", **plain),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    with bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _Lines:
    """For logs and serial consoles."""

    EVERY = 10.0  # seconds

    def __init__(self, title: str) -> None:
        self.title = title
        self.began = self.last = time.monotonic()

    def count(self, done: int, total: int) -> None:
        """A line, if the last one is long ago."""
        now = time.monotonic()
        if now - self.last >= self.EVERY:
            self.last = now
            rate = done / (now - self.began) / 1e6
            share = f" of {megabytes(total)} ({done * 100 // total} %)" if total else ""
            kit.say(f"{self.title}: {megabytes(done)}{share}, {rate:.0f} MB/s")


def megabytes(size: int) -> str:
    """Bytes as a person reads them.

    >>> megabytes(999), megabytes(12_340_000), megabytes(4_700_000_000)
    ('999 B', '12.3 MB', '4.70 GB')
    """
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:.1f} kB"
    if size < 1_000_000_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e9:.2f} GB"


def write_new(path: Path, data: bytes) -> None:
    """Write a file that a person named; what is there already is not replaced. Raises FileThere."""
    from airgap_bundle.cli.problems import FileThere
    from airgap_bundle.durable import write_durably

    if path.exists():
        raise FileThere(path=path)
    write_durably(path, data)


def read_small(path: Path, most: int = 8 * 1024 * 1024) -> bytes:
    """Read a file that a person named. Raises CannotRead."""
    from airgap_bundle.cli.problems import CannotRead

    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise CannotRead(path=path, why=error.strerror) from None
    if len(data) > most:
        raise CannotRead(path=path, why=f"it is larger than {megabytes(most)}")
    return data
