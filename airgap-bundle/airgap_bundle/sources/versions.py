"""Debian versions in order, as deb-version(7) says.

>>> compare("1.0~rc1-1", "1.0-1"), compare("1:0.9", "2.0"), compare("1.0", "1.0-0")
(-1, 1, 0)
"""

from __future__ import annotations

import functools
import re
from itertools import zip_longest

_TURNS = re.compile(r"([^0-9]*)([0-9]*)")
_END = ((0,), 0)
"""What stands after the end of a version, without end: no letters and zero."""

_Turn = tuple[tuple[int, ...], int]


def compare(left: str, right: str) -> int:
    """-1, 0 or 1: whether `left` is older than, the same as or newer than `right`."""
    for a, b in zip(_parts(left), _parts(right), strict=True):
        for this, that in zip_longest(a, b, fillvalue=_END):
            if this != that:
                return -1 if this < that else 1
    return 0


newest_last = functools.cmp_to_key(compare)
"""A key to sort versions by."""


def satisfies(version: str, relation: str, wanted: str) -> bool:
    """Whether `version` is `<<`, `<=`, `=`, `>=` or `>>` `wanted`."""
    order = compare(version, wanted)
    return {
        "<<": order < 0,
        "<=": order <= 0,
        "<": order <= 0,  # what dpkg still understands by it
        "=": order == 0,
        ">=": order >= 0,
        ">": order >= 0,
        ">>": order > 0,
    }[relation]


@functools.lru_cache(maxsize=65536)
def _parts(version: str) -> tuple[tuple[_Turn, ...], ...]:
    """Epoch, upstream version and revision, each as turns of letters and a number."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return (((0,), int(epoch)),), _turns(upstream), _turns(revision)


def _turns(text: str) -> tuple[_Turn, ...]:
    return tuple(((*map(_weight, word), 0), int(number or 0)) for word, number in _TURNS.findall(text))


def _weight(character: str) -> int:
    """`~` sorts before the end, letters before other characters."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
