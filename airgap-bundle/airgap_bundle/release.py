"""The release manifest: which bundle of its stream this is, and what it stands on (SPEC section 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airgap_bundle.canonical import LARGEST, Json, malformed, parse, render
from airgap_bundle.content import Content, Part

FORMAT = "airgap-bundle/release/1"
WHAT = "release.json"
MOST_BYTES = 1_000_000
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(r"[a-z0-9-]+")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True)
class Base:
    """What must be there before: the sequence that the receipt says was accepted."""

    receipt: str
    """SHA-256 of the receipt."""
    sequence: int


@dataclass(frozen=True)
class Release:
    """One release of a stream of bundles."""

    bundle: str
    """The stream's name."""
    sequence: int
    previous: str | None
    """SHA-256 of the release.json of the sequence before; None for sequence 1."""
    created: datetime
    next_expected: datetime
    title: str
    entries: int
    size: int
    """Sum of the sizes of the entries in bytes."""
    carried: int
    """Sum of the sizes of the distinct blobs."""
    parts: dict[str, Part]
    base: Base | None = None
    minimum_root: int = 1

    def render(self) -> bytes:
        """The canonical bytes of release.json."""
        base: Json = {"receipt": self.base.receipt, "sequence": self.base.sequence} if self.base else None
        return render(
            {
                "base": base,
                "bundle": self.bundle,
                "content": {"bytes": self.size, "carried": self.carried, "entries": self.entries},
                "created": moment(self.created),
                "format": FORMAT,
                "minimum_root": self.minimum_root,
                "next_expected": moment(self.next_expected),
                "parts": {
                    name: {"bytes": part.size, "entries": part.entries, "sha256": part.sha256}
                    for name, part in self.parts.items()
                },
                "previous": self.previous,
                "sequence": self.sequence,
                "title": self.title,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Release:
        """Read release.json. Raises Malformed."""
        if len(data) > MOST_BYTES:
            malformed(WHAT, f"it is larger than {MOST_BYTES} bytes")
        value = parse(data, WHAT)
        try:
            made = cls._of(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            malformed(WHAT, f"a field is missing or wrong ({str(error)[:100]})")
        if made.render() != data:  # a field more than there are
            malformed(WHAT, "it has fields that this version does not know")
        return made

    @classmethod
    def _of(cls, value: dict[str, Any]) -> Release:
        if value["format"] != FORMAT:
            malformed(WHAT, f"its format is not {FORMAT}")
        base, content = value["base"], value["content"]
        made = cls(
            bundle=match(NAME, value["bundle"]),
            sequence=count(value["sequence"], least=1),
            previous=None if value["previous"] is None else match(SHA256, value["previous"]),
            created=read_moment(value["created"]),
            next_expected=read_moment(value["next_expected"]),
            title=line(value["title"]),
            entries=count(content["entries"]),
            size=count(content["bytes"]),
            carried=count(content["carried"]),
            parts={
                match(_PART, name): Part(count(p["entries"]), count(p["bytes"]), match(SHA256, p["sha256"]))
                for name, p in value["parts"].items()
            },
            base=None
            if base is None
            else Base(match(SHA256, base["receipt"]), count(base["sequence"], least=1)),
            minimum_root=count(value["minimum_root"], least=1),
        )
        if (made.previous is None) != (made.sequence == 1):
            raise ValueError("`previous` is null in sequence 1 and only there")
        if made.base and made.base.sequence >= made.sequence:
            raise ValueError("its base is not older than itself")
        if made.next_expected <= made.created:
            raise ValueError("`next_expected` is not after `created`")
        return made

    def check_content(self, content: Content) -> None:
        """Compare the sums and parts with the content manifest. Raises Malformed."""
        if (self.entries, self.size, self.carried) != (len(content.entries), content.size, content.carried):
            malformed(WHAT, "its sums are not those of content.ndjson")
        if self.parts != content.parts():
            malformed(WHAT, "its parts are not those of content.ndjson")
        if self.base is None and content.needs_base:
            malformed(WHAT, "it names no base, but content.ndjson has entries that need one")


def moment(value: datetime) -> str:
    """A time as the formats write it: UTC, whole seconds, `2026-11-23T10:00:00Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_moment(text: Any) -> datetime:
    """The reverse of `moment`. Raises ValueError."""
    return datetime.strptime(match(_TIME, text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def match(pattern: re.Pattern[str], value: Any) -> str:
    """`value` if it is a string of this form. Raises ValueError."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"something is not of the form {pattern.pattern}")
    return value


def count(value: Any, least: int = 0) -> int:
    """`value` if it is a whole number from `least` to 2^53 - 1. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST:
        raise ValueError("a number is missing or out of range")
    return value


def line(value: Any) -> str:
    """`value` if it is one printable line of at most 200 characters. Raises ValueError."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > 200:
        raise ValueError("a text is not one printable line of at most 200 characters")
    return value
