"""Run the machine's own programs: apt, gpgv, pip, skopeo, qemu-img. No shell, clear errors."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from airgap_bundle.sources.errors import ToolMissing, UpstreamFailed

LONGEST = 3 * 60 * 60
"""Seconds that one program may take: a mirror that hangs must not hang us for ever."""

_PACKAGES = {
    "apt-get": "apt",
    "/usr/lib/apt/apt-helper": "apt",
    "dpkg": "dpkg",
    "gpgv": "gpgv",
    "skopeo": "skopeo",
    "qemu-img": "qemu-utils",
}


def run(
    command: Sequence[str | Path],
    action: str,
    remedy: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    accept: Sequence[int] = (0,),
    seconds: float = LONGEST,
    name: str = "",
    complaints: bool = False,
) -> bytes:
    """What `command` prints. `action` completes "TOOL could not ..."; `remedy` is one sentence.

    `name` is what people call the tool, if not the program's name; with `complaints`, what it says on stderr
    comes behind what it prints.

    Raises ToolMissing, and UpstreamFailed with the last thing that the program said.
    """
    tool = need(str(command[0]), action)
    name = name or Path(tool).name
    try:
        done = subprocess.run(
            [tool, *map(str, command[1:])],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},
            cwd=folder,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        why = f"it did not end within {seconds:.0f} seconds"
        raise UpstreamFailed(tool=name, action=action, why=why, remedy=remedy) from None
    if done.returncode not in accept:
        why = last_words(done.stdout + done.stderr) or f"it ended with {done.returncode}"
        raise UpstreamFailed(tool=name, action=action, why=why, remedy=remedy)
    return done.stdout + (done.stderr if complaints else b"")


def need(tool: str, purpose: str) -> str:
    """The path of a program. Raises ToolMissing."""
    found = tool if tool.startswith("/") and os.access(tool, os.X_OK) else shutil.which(tool)
    if found is None:
        raise ToolMissing(tool=Path(tool).name, purpose=purpose, package=_PACKAGES.get(tool, tool))
    return found


def last_words(said: bytes) -> str:
    """The line of a program's complaint that says most: the last error, else the last line."""
    if b"have unmet dependencies:\n" in said:  # apt's: the next lines say which
        said = said.partition(b"have unmet dependencies:\n")[2].partition(b"\nE: ")[0].replace(b"\n", b";")
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "ERROR", "Error", "FATA", "gpgv:", "error"))]
    words = (errors or lines or [""])[-1]
    return words if len(words) <= 400 else words[:400] + "..."
