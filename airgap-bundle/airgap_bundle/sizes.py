"""Sizes as people say them: `dvd`, `fat32`, `4.7GB`, `2GiB`, and back.

>>> read_size("2GiB")
2147483648
>>> words(4_700_372_992)
'4.7 GB'
"""

from __future__ import annotations

import re

from airgap_bundle.errors import InputProblem

KEPT = 16 * 2**20
"""Bytes of each disc that are left for its file system, the carry sheet and sums."""

MEDIA = {
    "cd": 360_000 * 2048 - KEPT,  # 80 minutes
    "dvd": 4_700_372_992 - KEPT,  # DVD+R; DVD-R holds 7 MB more
    "dvd-dl": 8_543_666_176 - KEPT,  # DVD-R DL; DVD+R DL holds 4 MB more
    "bd25": 24_220_008_448 - KEPT,  # with the spare area that drives keep by default
    "bd50": 48_440_016_896 - KEPT,
    "bd100": 96_880_033_792 - KEPT,
    "fat32": 2**32 - 1,  # of one file, not of the medium
}
"""Bytes that a volume may have on each kind of medium."""

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{letter}{end}": 1000**power for power, letter in enumerate("KMGT", 1) for end in ("", "B")}
_UNITS |= {f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", 1)}
_SIZE = re.compile(r"([0-9]{1,15})(?:\.([0-9]{1,6}))? ?([A-Za-z]{0,3})")


class NotASize(InputProblem):
    """A size that nobody can read."""

    exit_code = 18
    message = "{text} is not a size"
    hint = "Say it like 4.7GB or 2GiB, or name a medium: {media}."


def read_size(text: str) -> int:
    """Bytes. Raises NotASize: not a number with a unit of B, KB ... TB or KiB ... TiB, nor a medium."""
    if text.lower() in MEDIA:
        return MEDIA[text.lower()]
    found = _SIZE.fullmatch(text.strip())
    units = {unit.lower(): factor for unit, factor in _UNITS.items()}
    if found is None or found[3].lower() not in units:
        raise NotASize(text=text, media=", ".join(MEDIA))
    fraction = found[2] or ""
    size: int = int(found[1] + fraction) * units[found[3].lower()] // 10 ** len(fraction)
    if size < 1:
        raise NotASize(text=text, media=", ".join(MEDIA))
    return size


def words(size: int) -> str:
    """A size for people: `4.7 GB`, `512 bytes`; three digits, decimal units as on the packages of media."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    units = iter(("KB", "MB", "GB", "TB", "PB"))
    value, unit = size / 1000, next(units)
    while value >= 999.5 and unit != "PB":
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"
