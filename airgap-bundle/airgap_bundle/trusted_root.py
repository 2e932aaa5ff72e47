"""The root that everything begins from: given by hand once, with its fingerprint read aloud."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from airgap_bundle import metadata
from airgap_bundle.errors import BundleRefused, InputProblem
from airgap_bundle.refusals import plain
from airgap_bundle.workflow import Workflow

LONG_AGO = datetime.min.replace(tzinfo=UTC)
"""A time at which nothing has expired."""


class NotARoot(InputProblem):
    """The file given as trusted root is not one."""

    exit_code = 19
    message = "{where} is no root that can be trusted: {why}"
    hint = "Give the root as the release engineer handed it over, such as 1.root.json."


@dataclass(frozen=True)
class TrustedRoot:
    """The root that everything begins from. It came by hand, its fingerprint read aloud."""

    data: bytes = field(repr=False)
    version: int

    @classmethod
    def parse(cls, data: bytes, where: str = "the root") -> TrustedRoot:
        """Read a root that its own threshold has signed. Raises NotARoot."""
        try:
            signed = metadata.check("root", where, data)
            with plain(where):
                Workflow(data, lambda *_: None, LONG_AGO)
        except BundleRefused as problem:
            raise NotARoot(where=where, why=problem) from None
        return cls(data, signed["version"])

    @classmethod
    def read(cls, path: Path) -> TrustedRoot:
        """Read the file of a root. Raises NotARoot."""
        try:
            with path.open("rb") as file:
                data = file.read(metadata.LIMITS["root"] + 1)
        except OSError as error:
            raise NotARoot(where=path, why=f"it cannot be read ({error.strerror})") from None
        return cls.parse(data, str(path))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file, as on the fingerprint sheet and as `sha256sum` prints it."""
        return hashlib.sha256(self.data).hexdigest()
