"""Our client workflow behind the command line of the public TUF conformance suite.

    python -m tests.conformance.client --metadata-dir DIR init ROOT
    python -m tests.conformance.client --metadata-dir DIR --metadata-url URL refresh
    python -m tests.conformance.client ... --target-name NAME --target-dir DIR --target-base-url URL download

It drives `airgap_bundle.workflow`, the steps that open a bundle, over HTTP instead of a medium, and keeps
what was trusted in files, as the suite asks. Delegations, which bundles refuse, are walked here and only
here. Source of the command line: the suite's CLIENT-CLI.md. With the suite's own environment, and faketime:

    pytest tuf_conformance --entrypoint SCRIPT      SCRIPT runs this module in our environment

It passes 113 of 113 (suite at eec841c, python-tuf 7.0.1); `test_cases.py` carries its cases over.
"""

from __future__ import annotations

import argparse
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote

from securesystemslib.exceptions import Error as SecureSystemsError
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Root, TargetFile, Targets  # type: ignore[attr-defined]

import airgap_bundle.signing  # noqa: F401 - Ed25519 is verified by libsodium from here on
from airgap_bundle.durable import write_durably
from airgap_bundle.workflow import Kept, Workflow

MOST_ROLES = 32
"""Delegated roles that are visited for one target."""
NOT_THERE = (403, 404)


Get = Callable[[str, int], bytes | None]
"""Gets a path and the most bytes; gives the bytes, or None: not there. Raises DownloadError."""


class Folder:
    """What was trusted before, in `ROLE.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, role: str) -> bytes | None:
        """See `Kept`."""
        path = self._path(role)
        return path.read_bytes() if path.exists() else None

    def save(self, role: str, data: bytes) -> None:
        """See `Kept`."""
        write_durably(self._path(role), data)

    def _path(self, role: str) -> Path:
        return self.folder / f"{quote(role, '')}.json"


class Client:
    """One pass over a repository."""

    def __init__(self, kept: Kept, metadata: Get, now: datetime) -> None:
        root = kept.load(Root.type)
        if root is None:
            raise RepositoryError("there is no trusted root")
        self._metadata = metadata
        self.workflow = Workflow(root, self._fetch, now, kept)

    def refresh(self) -> None:
        """Load the four top-level roles."""
        self.workflow.roots()
        self.workflow.timestamp()
        self.workflow.snapshot()
        self.workflow.targets()

    def download(self, name: str, folder: Path, targets: Get) -> None:
        """Download the target, unless the folder has it already."""
        target = next((found for role in self._roles(name) if (found := role.targets.get(name))), None)
        if target is None:
            raise RepositoryError(f"{name} is not in the repository")
        path = folder / quote(name, "")
        if path.exists():
            try:
                target.verify_length_and_hashes(path.read_bytes())
            except RepositoryError:
                pass  # an older one
            else:
                return
        data = targets(self._file(target), target.length)
        if data is None:
            raise DownloadError(f"{name} is not there")
        target.verify_length_and_hashes(data)
        write_durably(path, data)

    def _roles(self, name: str) -> Iterator[Targets]:
        """The roles that may speak of `name`, most trusted first (TUF 5.6.7)."""
        waiting, seen = [(Targets.type, Root.type)], set[str]()
        while waiting and len(seen) <= MOST_ROLES:
            role, delegator = waiting.pop()
            if role in seen:
                continue
            seen.add(role)
            trusted = self.workflow.trusted
            if trusted.contains(role, delegator):
                targets = trusted[role]
                assert isinstance(targets, Targets)
            else:
                targets = self.workflow.targets(role, delegator)
            yield targets
            below = []
            for child, terminating in (
                targets.delegations.get_roles_for_target(name) if targets.delegations else ()
            ):
                below.append((child, role))
                if terminating:
                    waiting = []
                    break
            waiting += reversed(below)

    def _file(self, target: TargetFile) -> str:
        if not self.workflow.root.consistent_snapshot:
            return target.path
        folder, slash, file = target.path.rpartition("/")
        return f"{folder}{slash}{next(iter(target.hashes.values()))}.{file}"

    def _fetch(self, role: str, version: int | None, limit: int) -> bytes | None:
        prefix = "" if version is None else f"{version}."
        return self._metadata(f"{prefix}{quote(role, '')}.json", limit)


def get(base: str, path: str, limit: int) -> bytes | None:
    """The bytes at a URL; None when it says that there is nothing. Raises DownloadError."""
    url = f"{base.rstrip('/')}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            data: bytes = answer.read(limit + 1)
    except urllib.error.HTTPError as error:
        if error.code in NOT_THERE:
            return None
        raise DownloadError(str(error)) from error
    except OSError as error:
        raise DownloadError(str(error)) from error
    if len(data) > limit:
        raise DownloadError(f"{url} is longer than {limit} bytes")
    return data


def main() -> int:
    """Run one command; 0 when it did all that was asked, 1 otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url", default="")
    parser.add_argument("--target-name", action="append", default=[])
    parser.add_argument("--target-dir", type=Path)
    parser.add_argument("--target-base-url", default="")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    given = parser.parse_args()
    try:
        if given.command == "init":
            write_durably(given.metadata_dir / "root.json", given.root.read_bytes())
            return 0
        client = Client(Folder(given.metadata_dir), partial(get, given.metadata_url), datetime.now(UTC))
        client.refresh()

        def targets(path: str, limit: int) -> bytes | None:
            return get(given.target_base_url, quote(path), limit)

        for name in given.target_name:
            client.download(name, given.target_dir, targets)
    except (RepositoryError, DownloadError, SecureSystemsError, OSError, ValueError) as error:
        print(f"refused: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
