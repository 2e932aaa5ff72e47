"""Numbers, base64 and text that have one spelling only; everything else is refused with its reason.

A signature covers bytes, people compare meanings. If `1`, `01` and `+1` were all read as one, the same
statement would have many signed forms: a file could change without its meaning changing, a looser reader
could take the same bytes for another number, and "these two checkpoints differ" would no longer be evidence.

>>> decimal("20852163", "the tree size")
20852163
>>> decimal("+1", "the tree size")
Traceback (most recent call last):
airgap_bundle.transparency.strict.Unreadable: the tree size `+1` has a sign, not its one spelling
>>> decimal("01", "the tree size")
Traceback (most recent call last):
airgap_bundle.transparency.strict.Unreadable: the tree size `01` has a leading zero, not its one spelling
>>> base64_bytes("AAA=", "the hash").hex()
'0000'
>>> base64_bytes("AAB=", "the hash")
Traceback (most recent call last):
airgap_bundle.transparency.strict.Unreadable: the hash is not base64 as encoders write it
"""

from __future__ import annotations

import base64
import binascii
import re

LARGEST = 2**63 - 1
"""Largest size, index and time: what a signed 64-bit number holds, in every implementation."""

_DIGITS = re.compile(r"[0-9]+\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SHOWN = 40  # characters of a refused value that an error repeats


class Unreadable(ValueError):
    """What is not in the strict form; caught by each format, which says what file it was."""


def decimal(text: str, name: str) -> int:
    """The number `text`, from 0 to 2^63 - 1, in ASCII digits without sign, spaces or leading zeros.

    `name` says what the number is, for the error. Raises Unreadable.
    """
    shown = f"{name} `{text[:_SHOWN]}`"
    if text[:1] in ("+", "-"):
        raise Unreadable(f"{shown} has a sign, not its one spelling")
    if not _DIGITS.match(text):  # not str.isdecimal, which takes digits of every script
        raise Unreadable(f"{shown} is not a number in ASCII digits")
    if text[0] == "0" and text != "0":
        raise Unreadable(f"{shown} has a leading zero, not its one spelling")
    if len(text) > len(str(LARGEST)) or int(text) > LARGEST:
        raise Unreadable(f"{shown} is larger than 2^63 - 1")
    return int(text)


def base64_bytes(text: str, name: str, length: int | None = None) -> bytes:
    """The bytes of standard base64 with padding (RFC 4648 section 4), in its one canonical spelling.

    `length` is the number of bytes there must be, if known. Raises Unreadable.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Unreadable(f"{name} is not base64") from None
    if base64.b64encode(data).decode() != text:  # unused bits that are not zero, padding in the middle
        raise Unreadable(f"{name} is not base64 as encoders write it")
    if length is not None and len(data) != length:
        raise Unreadable(f"{name} has {len(data)} bytes, not {length}")
    return data


def base64_text(data: bytes) -> str:
    """Standard base64 with padding, the inverse of `base64_bytes`."""
    return base64.b64encode(data).decode()


def plain_text(data: bytes, limit: int) -> str:
    """`data` as UTF-8 text whose only control character below U+0020 is the line feed.

    `limit` is the largest number of bytes. Raises Unreadable.
    """
    if len(data) > limit:
        raise Unreadable(f"it has {len(data)} bytes, more than {limit}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"byte {error.start} is not UTF-8") from None
    if found := _CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = "a carriage return" if found[0] == "\r" else f"the control character U+{ord(found[0]):04X}"
        raise Unreadable(f"line {line} has {what}")
    return text
