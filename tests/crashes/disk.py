"""A disk that forgets: records what a program does to folders, and gives what a power loss leaves of it.

    with Recorder(folder) as recorder:
        work()
    for moment in range(len(recorder.log) + 1):
        recorder.write_image(moment, to, chance)

The model is harsher than any journaling file system, and allowed by POSIX: of what was not synced, any part
survives, in any order. A write reaches the disk or not, each by itself; so does each name in a folder; a
rename is a new name and the loss of an old one, apart. fsync of a file keeps its bytes, not its name; fsync
of a folder keeps its names; syncfs keeps everything.
"""

from __future__ import annotations

import copy
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from airgap_bundle import keeping

Change = tuple[Any, ...]


@dataclass
class File:
    """Bytes in memory, bytes on the disk, and what is between them."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    pending: list[Change] = field(default_factory=list)
    mode: int = 0o644

    def apply(self, change: Change) -> None:
        _change(self.data, change)
        self.pending.append(change)

    def sync(self) -> None:
        self.durable, self.pending = bytes(self.data), []

    def left(self, chance: random.Random, share: float) -> bytes:
        data = bytearray(self.durable)
        for change in self.pending:
            if chance.random() < share:
                _change(data, change)
        return bytes(data)


@dataclass
class Folder:
    """Names in memory, names on the disk, and what is between them."""

    names: dict[str, int] = field(default_factory=dict)
    durable: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[str, int | None]] = field(default_factory=list)

    def set(self, name: str, node: int | None) -> None:
        if node is None:
            self.names.pop(name, None)
        else:
            self.names[name] = node
        self.pending.append((name, node))

    def sync(self) -> None:
        self.durable, self.pending = dict(self.names), []

    def left(self, chance: random.Random, share: float) -> dict[str, int]:
        names = dict(self.durable)
        for name, node in self.pending:
            if chance.random() < share:
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        return names


class Recorder:
    """Records while it is entered. Everything under `folder` when it begins counts as durable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[Change] = []
        self._nodes: dict[int, File | Folder] = {}
        self._known: dict[int, int] = {}  # inode -> node
        self._open: dict[int, int] = {}  # descriptor -> node
        self._lock = threading.RLock()
        self._patched = pytest.MonkeyPatch()
        self._root = self._scan(folder)
        self._begin = copy.deepcopy(self._nodes)

    def __enter__(self) -> Self:
        for name, recording in (
            ("open", self._on_open),
            ("close", self._on_close),
            ("write", self._on_write),
            ("pwrite", self._on_pwrite),
            ("ftruncate", self._on_truncate),
            ("posix_fallocate", self._on_allocate),
            ("fchmod", self._on_mode),
            ("chmod", self._on_mode),
            ("fsync", self._on_sync),
            ("rename", self._on_rename),
            ("mkdir", self._on_mkdir),
            ("unlink", self._on_unlink),
            ("rmdir", self._on_unlink),
        ):
            self._patched.setattr(os, name, self._wrap(getattr(os, name), recording))
        sync = keeping.sync_file_system
        self._patched.setattr(keeping, "sync_file_system", self._wrap(sync, self._on_sync_all))
        return self

    def __exit__(self, *_: object) -> None:
        self._patched.undo()

    def write_image(self, moment: int, to: Path, chance: random.Random) -> None:
        """Write what is left of the folder when the power fails before the change number `moment`."""
        self._nodes = copy.deepcopy(self._begin)
        for change in self.log[:moment]:
            self._replay(change)
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        self._write(self._root, to, chance, share)

    def _write(self, number: int, to: Path, chance: random.Random, share: float) -> None:
        node = self._nodes[number]
        if isinstance(node, File):
            to.write_bytes(node.left(chance, share))
            to.chmod(node.mode | 0o200)
            return
        to.mkdir(parents=True)
        for name, below in node.left(chance, share).items():
            self._write(below, to / name, chance, share)

    # Replaying.

    def _replay(self, change: Change) -> None:
        kind, *facts = change
        if kind in ("create", "mkdir"):
            folder, name, number = facts
            self._nodes[number] = File() if kind == "create" else Folder()
            self._folder(folder).set(name, number)
        elif kind == "rename":
            source, old, target, new = facts
            self._folder(target).set(new, self._folder(source).names[old])
            if (source, old) != (target, new):
                self._folder(source).set(old, None)
        elif kind == "unlink":
            folder, name = facts
            self._folder(folder).set(name, None)
        elif kind == "sync":
            self._nodes[facts[0]].sync()
        elif kind == "sync all":
            for node in self._nodes.values():
                node.sync()
        elif kind == "mode":
            file = self._nodes[facts[0]]
            assert isinstance(file, File)
            file.mode = facts[1]
        else:
            file = self._nodes[facts[0]]
            assert isinstance(file, File)
            file.apply((kind, *facts[1:]))

    def _folder(self, number: int) -> Folder:
        node = self._nodes[number]
        assert isinstance(node, Folder)
        return node

    def _scan(self, path: Path) -> int:
        number = len(self._nodes)
        self._known[path.stat().st_ino] = number
        if path.is_dir():
            folder = self._nodes[number] = Folder()
            for entry in sorted(path.iterdir()):
                folder.names[entry.name] = self._scan(entry)
            folder.sync()
        else:
            data = path.read_bytes()
            self._nodes[number] = File(bytearray(data), data, mode=path.stat().st_mode & 0o777)
        return number

    # Recording. One thread at a time: what is done and what is written down must agree.

    def _wrap(self, real: Callable[..., Any], record: Callable[..., None]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **names: Any) -> Any:
            with self._lock:
                before = self._before(record, arguments, names)
                result = real(*arguments, **names)
                record(result, before, *arguments, **names)
                return result

        return wrapped

    def _before(self, record: Callable[..., None], arguments: tuple[Any, ...], names: dict[str, Any]) -> Any:
        """What has to be known before it is done: whether a file is there, where a descriptor stands."""
        if record == self._on_open:
            return self._there(arguments[0], names.get("dir_fd"))
        if record == self._on_write and arguments[0] in self._open:
            return os.lseek(arguments[0], 0, os.SEEK_CUR)
        return None

    def _there(self, path: Any, dir_fd: int | None) -> bool:
        try:
            os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _place(self, path: Any, dir_fd: int | None) -> tuple[int, str] | None:
        """The node of the folder that a path is in, and the name in it; None when it is not below ours."""
        head, name = os.path.split(os.fspath(path))
        status = os.stat(head or ".", dir_fd=dir_fd) if head or dir_fd is None else os.fstat(dir_fd)
        number = self._known.get(status.st_ino)
        return None if number is None else (number, name)

    def _new(self, inode: int) -> int:
        number = self._known[inode] = 1_000_000 + len(self.log)
        return number

    def _on_open(self, descriptor: int, there: bool, path: Any, flags: int, *_: Any, **names: Any) -> None:
        if isinstance(path, int):
            return
        place = self._place(path, names.get("dir_fd"))
        inode = os.fstat(descriptor).st_ino
        if place is not None and flags & os.O_CREAT and not there:
            self.log.append(("create", *place, self._new(inode)))
        if inode in self._known and (place is not None or self._known[inode] == self._root):
            self._open[descriptor] = self._known[inode]

    def _on_close(self, _: None, __: None, descriptor: int) -> None:
        self._open.pop(descriptor, None)

    def _on_write(self, written: int, at: int | None, descriptor: int, data: Any) -> None:
        if at is not None:
            self.log.append(("write", self._open[descriptor], at, bytes(memoryview(data)[:written])))

    def _on_pwrite(self, written: int, _: None, descriptor: int, data: Any, at: int) -> None:
        if descriptor in self._open:
            self.log.append(("write", self._open[descriptor], at, bytes(memoryview(data)[:written])))

    def _on_truncate(self, _: None, __: None, descriptor: int, size: int) -> None:
        if descriptor in self._open:
            self.log.append(("truncate", self._open[descriptor], size))

    def _on_allocate(self, _: None, __: None, descriptor: int, at: int, size: int) -> None:
        if descriptor in self._open:
            self.log.append(("extend", self._open[descriptor], at + size))

    def _on_mode(self, _: None, __: None, file: Any, mode: int) -> None:
        number = self._open.get(file) if isinstance(file, int) else self._known.get(os.stat(file).st_ino)
        if number is not None:
            self.log.append(("mode", number, mode))

    def _on_sync(self, _: None, __: None, descriptor: int) -> None:
        if descriptor in self._open:
            self.log.append(("sync", self._open[descriptor]))

    def _on_sync_all(self, _: None, __: None, descriptor: int) -> None:
        self.log.append(("sync all",))

    def _on_rename(
        self,
        _: None,
        __: None,
        old: Any,
        new: Any,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> None:
        source, target = self._place(old, src_dir_fd), self._place(new, dst_dir_fd)
        if source is not None and target is not None:
            self.log.append(("rename", *source, *target))

    def _on_mkdir(self, _: None, __: None, path: Any, *rest: Any, dir_fd: int | None = None) -> None:
        place = self._place(path, dir_fd)
        if place is not None:
            inode = os.stat(path, dir_fd=dir_fd, follow_symlinks=False).st_ino
            self.log.append(("mkdir", *place, self._new(inode)))

    def _on_unlink(self, _: None, __: None, path: Any, *, dir_fd: int | None = None) -> None:
        place = self._place(path, dir_fd)
        if place is not None:
            self.log.append(("unlink", *place))


def _change(data: bytearray, change: Change) -> None:
    kind, *facts = change
    if kind == "write":
        at, piece = facts
        if len(data) < at:
            data.extend(bytes(at - len(data)))
        data[at : at + len(piece)] = piece
    elif kind == "truncate":
        (size,) = facts
        data.extend(bytes(max(size - len(data), 0)))
        del data[size:]
    else:
        (size,) = facts
        data.extend(bytes(max(size - len(data), 0)))
