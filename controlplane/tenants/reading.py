"""Read a tenant spec: YAML text in, a checked model with line numbers out, or every reason why not.

Refused in this order, each stage telling all it finds: what is not text (size, encoding, control
characters), what is not plain YAML (`yaml_tree`), what is not a tenant (`spec`, told by `refusals`). What
is a tenant but makes no sense is refused later, by `checks`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from controlplane.tenants import refusals, words
from controlplane.tenants.errors import Finding, SpecInvalid
from controlplane.tenants.spec import Tenant
from controlplane.tenants.words import Path, dotted
from controlplane.tenants.yaml_tree import Tree, compose

LARGEST = 1024 * 1024
"""Bytes. A tenant of a hundred projects has about a tenth of this."""
MOST_FINDINGS = 50

AnyModel = TypeVar("AnyModel", bound=BaseModel)


@dataclass(frozen=True)
class ReadSpec:
    """A spec as it was read: what it says, its digest, and where each part stands."""

    tenant: Tenant
    digest: str
    """SHA-256, in hex, of what the spec says: comments, order of keys and layout do not count."""
    text: str
    file: str
    tree: Tree

    def line(self, path: Path) -> int:
        """The line of what stands at `path` (keys as in the file), or of what should contain it."""
        return self.tree.place(path).line

    def label(self, path: Path) -> str:
        """What stands at `path`, the way people name it: `mtu of network app`."""
        return words.label(self.tree.value, path)

    def finding(self, path: Path, message: str, remedy: str) -> Finding:
        """A finding about what stands at `path`."""
        place = self.tree.place(path)
        return Finding(place.line, message, remedy, place.column, dotted(path))


def read(text: bytes | str, file: str) -> ReadSpec:
    """The tenant that `text` describes. `file` is only its name, for messages.

    Raises `SpecInvalid` with up to `MOST_FINDINGS` findings, by line.
    """
    decoded = decode(text, file)
    tenant, tree = read_model(decoded, file, Tenant)
    return ReadSpec(tenant, digest(tenant), decoded, file, tree)


def digest(tenant: Tenant) -> str:
    """SHA-256, in hex, of the canonical JSON of what `tenant` says."""
    content = tenant.model_dump(mode="json", by_alias=True)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def read_model(text: str, file: str, model: type[AnyModel]) -> tuple[AnyModel, Tree]:
    """Any strict model from YAML text that `decode` accepted."""
    tree = compose(text)
    found = [
        Finding(t.place.line, t.message, t.remedy, t.place.column, dotted(t.path)) for t in tree.troubles
    ]
    if tree.broken:
        raise SpecInvalid(file, _sorted(found))
    if not isinstance(tree.value, dict):
        found = found or [_not_a_mapping(tree)]
        raise SpecInvalid(file, _sorted(found))
    try:
        result = model.model_validate(tree.value)
    except ValidationError as error:
        if not (tree.shortened and found):
            found += refusals.findings(error, tree, model, MOST_FINDINGS)
    if found:
        raise SpecInvalid(file, _sorted(found))
    return result, tree


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda f: (f.line, f.column))[:MOST_FINDINGS]


def _not_a_mapping(tree: Tree) -> Finding:
    place = tree.place(())
    if tree.value is None:
        return Finding(1, "the file is empty", "Begin with a line such as 'tenant: ministry'.")
    what = words.describe(tree.value)
    return Finding(
        place.line, f"the file is {what}, must be a mapping", "Begin with a line such as 'tenant: ministry'."
    )


# --- from bytes to text -----------------------------------------------------------------------------------

_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, line breaks that editors do not count, and marks that reverse text."""
_BREAK = re.compile(r"\r\n|\r|\n")


def decode(text: bytes | str, file: str) -> str:
    """UTF-8 text without control characters, a byte order mark removed. Raises `SpecInvalid`."""
    if len(text) > LARGEST:
        size = f"{len(text) / LARGEST:.1f}"
        raise _refused(
            file,
            1,
            f"the file has {size} MiB, at most {LARGEST // 1024 // 1024} MiB is read",
            "Write one tenant a file: a large one needs about 100 KiB.",
        )
    decoded = text if isinstance(text, str) else _utf8(text, file)
    decoded = decoded.removeprefix("\ufeff")
    found = [
        Finding(
            _line(decoded[: match.start()]),
            f"the {_called(match.group())} stands in the file",
            "Remove it; it cannot be seen, so type the line again.",
        )
        for match, _ in zip(_FORBIDDEN.finditer(decoded), range(MOST_FINDINGS), strict=False)
    ]
    if found:
        raise SpecInvalid(file, found)
    return decoded


def _utf8(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = _line(data[: error.start].decode("utf-8"))
        raise _refused(
            file,
            line,
            f"the byte 0x{data[error.start]:02x} is not UTF-8 text",
            "Save the file in the encoding UTF-8.",
        ) from None


def _called(character: str) -> str:
    code = ord(character)
    if 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069:
        return f"character U+{code:04X}, which reverses text on the screen,"
    if code < 0xA0:
        return f"control character U+{code:04X}"
    return f"invisible character U+{code:04X}"


def _line(before: str) -> int:
    return len(_BREAK.findall(before)) + 1


def _refused(file: str, line: int, message: str, remedy: str) -> SpecInvalid:
    return SpecInvalid(file, [Finding(line, message, remedy)])


def as_json(tree: Tree) -> Any:
    """What the YAML says as plain JSON, dates as text: for a validator of the schema."""
    return json.loads(json.dumps(tree.value, default=str))
