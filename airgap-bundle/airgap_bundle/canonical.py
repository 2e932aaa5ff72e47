"""JSON in one form only: RFC 8785 without fractions (SPEC section 3).

    >>> render({"sequence": 7, "bundle": "zone"})
    b'{"bundle":"zone","sequence":7}'
    >>> parse(b'{"a":1}', "release.json")
    {'a': 1}

Parsing writes the value again and compares: whatever a parser lets pass (duplicate keys, spaces, floats,
escapes that were not needed), only bytes that we would have written are read. Source: RFC 8785; the keys'
alphabet makes its UTF-16 order the same as the order of bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from airgap_bundle.errors import BundleRefused

LARGEST = 2**53 - 1
DEEPEST = 16
_KEY = re.compile(r"[A-Za-z0-9_.-]+")

Json = dict[str, Any] | list[Any] | str | int | bool | None


class Malformed(BundleRefused):
    """A file's bytes are not in its format."""

    exit_code = 40
    message = "{what} is malformed: {why}"
    hint = "Ask for the bundle again; this one was not made by these tools or was altered."


def malformed(what: str, why: str) -> NoReturn:
    """Raise Malformed without the parser's own exception, which would quote hostile bytes."""
    raise Malformed(what=what, why=why) from None


def render(value: Json) -> bytes:
    """The canonical bytes of `value`.

    Raises ValueError: a float, an integer beyond ±(2^53 - 1), a key outside `[A-Za-z0-9_.-]+`, a lone
    surrogate, nesting deeper than 16, another type.
    """
    _check(value, 0)
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")  # UnicodeEncodeError is a ValueError: a lone surrogate


def parse(data: bytes, what: str) -> Any:
    """The value of canonical bytes; `what` names the file in errors. Raises Malformed."""
    if (
        data[:200].count(b"[") + data[:200].count(b"{") > 150
    ):  # json recurses: stop it before the interpreter does
        malformed(what, "it is nested too deep")
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float)
        again = render(value)
    except RecursionError:
        malformed(what, "it is nested too deep")
    except UnicodeDecodeError:
        malformed(what, "it is not UTF-8")
    except ValueError as error:
        malformed(what, f"it is not canonical JSON ({_plain(error)})")
    if again != data:
        malformed(what, "it is not in canonical form (key order, spaces, escapes, or a key twice)")
    return value


def _plain(error: ValueError) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)[:120]


def _no_float(text: str) -> NoReturn:
    raise ValueError("a number is not an integer")


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError("it is nested too deep")
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError("a number is beyond 2^53 - 1")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise ValueError("a key has other characters than letters, digits, `_`, `.` and `-`")
            _check(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth + 1)
    else:
        raise ValueError(f"{type(value).__name__} is not JSON here")
