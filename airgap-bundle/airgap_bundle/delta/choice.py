"""Which form a blob travels in: the smallest that is worth what it asks of the receiver."""

from __future__ import annotations

from enum import Enum

GAIN = 0.95
"""A more demanding form must be smaller than this part of the next simpler one."""


class Form(Enum):
    """How a blob travels, the simplest first."""

    WHOLE = "whole"
    PACKED = "packed"
    """One zstd frame."""
    DELTA = "delta"
    """Needs bases at the receiver."""


def choose(whole: int, packed: int | None = None, delta: int | None = None) -> Form:
    """The form for a blob of `whole` bytes, of which the other forms have so many, or were not made.

    >>> choose(1000, packed=300, delta=290), choose(1000, packed=990), choose(1000, packed=300, delta=60)
    (<Form.PACKED: 'packed'>, <Form.WHOLE: 'whole'>, <Form.DELTA: 'delta'>)
    """
    best, size = Form.WHOLE, whole
    for form, other in ((Form.PACKED, packed), (Form.DELTA, delta)):
        if other is not None and other < size * GAIN:
            best, size = form, other
    return best
