"""A volume that is nowhere: any of its bytes, from its layout, the metadata and the bundle's folder.

Parity needs all volumes at once, and whoever writes each to a disc of its own has no place for them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache

from airgap_bundle.container import BLOCK, Member, VolumeLayout, header, long_name, pad
from airgap_bundle.volume_json import WHAT
from airgap_bundle.volume_writer import Blobs, fill

MOST_OPEN = 64


class VirtualVolume:
    """Reads like a file. Members are kept in memory, their framing is made when it is read."""

    def __init__(self, layout: VolumeLayout, metadata: Mapping[str, bytes], blobs: Blobs) -> None:
        self._layout, self._blobs = layout, blobs
        self._metadata = {WHAT: layout.about.render(), **metadata}
        self._members = list(layout.members)
        self._starts = [member.at for member in self._members]
        self._run = lru_cache(maxsize=64)(self._framing)
        self._files: dict[str, tuple[ExitStack, int]] = {}

    def read(self, view: memoryview, at: int) -> None:
        """Fill `view` from offset `at` on. Raises SourceDamaged."""
        while view:
            number = bisect_right(self._starts, at) - 1
            end = self._members[number].at + self._members[number].size if number >= 0 else 0
            if at < end:
                size = min(end - at, len(view))
                self._content(self._members[number], view[:size], at)
            else:
                run = self._run(number)[at - end :]
                size = min(len(run), len(view))
                view[:size] = run[:size]
            view, at = view[size:], at + size

    def close(self) -> None:
        """Close the blobs."""
        for stack, _ in self._files.values():
            stack.close()
        self._files.clear()

    def _content(self, member: Member, view: memoryview, at: int) -> None:
        inside = at - member.at
        if member.blob is None:
            view[:] = self._metadata[member.name][inside : inside + len(view)]
        else:
            fill(self._open(member.blob), view, member.blob_offset + inside, member.blob)

    def _open(self, sha256: str) -> int:
        if sha256 not in self._files:
            if len(self._files) >= MOST_OPEN:
                stack, _ = self._files.pop(next(iter(self._files)))
                stack.close()
            stack = ExitStack()
            self._files[sha256] = stack, stack.enter_context(self._blobs.opened(sha256))
        return self._files[sha256][1]

    def _framing(self, number: int) -> bytes:
        """What stands behind a member's content, up to the content of the next or to the end."""
        before = self._members[number] if number >= 0 else None
        end = before.at + before.size if before else 0
        after = -(-end // BLOCK) * BLOCK
        if number + 1 == len(self._members):
            return bytes(self._layout.size - end)
        member = self._members[number + 1]
        extra = member.at - BLOCK - after
        prefix = (pad(extra) if extra else b"") if member.blob else long_name(member.name)
        return bytes(after - end) + prefix + header(member.name, member.size)
