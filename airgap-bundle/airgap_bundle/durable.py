"""Write a file so that, whatever happens, either the old content is there or the new, and it stays.

The order is the whole trick: a temporary file, its content to the disk, its name into place, the folder to
the disk. Source: POSIX rename(2) is atomic within a filesystem; fsync(2) of the folder makes the name survive
power loss (see also "All File Systems Are Not Created Equal", Pillai et al., OSDI 2014).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

TEMPORARY_SUFFIX = ".partial"


def write_durably(path: Path | str, data: bytes, mode: int = 0o644) -> None:
    """Replace the file `path` by `data` with exactly the permissions `mode`, whatever the umask.

    When it returns, the content survives power loss. When it raises, `path` is as it was. A symbolic link
    at `path` is replaced, not followed. Permissions are never wider than `mode`, not even for a moment.
    A crash can leave a file `.NAME.XXXX.partial` beside it, which nobody reads and anyone may remove.

    Raises OSError: no space, no permission, no folder.
    """
    target = Path(path)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode & 0o600)  # crash after: an empty leftover, target as it was
    try:
        try:
            write_all(descriptor, data)  # crash here: a partial leftover, target as it was
            os.fchmod(descriptor, mode)
            # Without this fsync the rename could reach the disk before the content: power loss, empty file.
            os.fsync(descriptor)  # crash after this: a complete leftover, target as it was
        finally:
            os.close(descriptor)
        os.rename(temporary, target)  # crash after this: readers see the new content; power loss may undo it
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(target.parent)  # after this: the new content, for good


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: write(2) may write fewer than asked, and says so only by its result."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Make names created, renamed or removed in `folder` survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
