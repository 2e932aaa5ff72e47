"""One file that a lock names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airgap_bundle.cache import Digest


@dataclass(frozen=True)
class Item:
    """A file of the content: where it goes, which bytes it is, and where they come from.

    `source` is flat: `kind` says how to fetch it, the rest is what that needs (package, version, file name);
    never an address.
    """

    path: str
    """In the bundle, SPEC section 5."""
    sha256: str
    size: int
    """Bytes."""
    type: str
    """Media type."""
    source: Mapping[str, str] = field(hash=False)

    @property
    def kind(self) -> str:
        """How it is fetched."""
        return self.source["kind"]

    @property
    def digest(self) -> Digest:
        """Which bytes it is."""
        return Digest(self.sha256, self.size)

    @property
    def part(self) -> str:
        """The first segment of its path."""
        return self.path.partition("/")[0]

    @property
    def file(self) -> str:
        """The last segment of its path."""
        return self.path.rpartition("/")[2]


DEB = "application/vnd.debian.binary-package"
JSON = "application/json"
TEXT = "text/plain"
BINARY = "application/octet-stream"

_BY_SUFFIX = {
    ".deb": DEB,
    ".json": JSON,
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".pdf": "application/pdf",
    ".html": "text/html",
    ".md": "text/markdown",
    ".txt": TEXT,
    ".csv": "text/csv",
    ".zip": "application/zip",
    ".whl": "application/zip",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".gz": "application/gzip",
    ".xz": "application/x-xz",
    ".zst": "application/zstd",
    ".iso": "application/x-iso9660-image",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".py": "text/x-python",
    ".sh": "application/x-sh",
}


def media_type(path: str) -> str:
    """The media type by a name's end; our own table, so that no machine's /etc/mime.types matters."""
    name = path.rpartition("/")[2].lower()
    dot = name.rfind(".")
    return _BY_SUFFIX.get(name[dot:], BINARY) if dot > 0 else BINARY
