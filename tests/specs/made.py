"""Wrong specs that no text file can hold, made here: each with the findings it must get."""

from __future__ import annotations

from typing import NamedTuple

GOOD = """\
tenant: acme
governance: {owner: Acme, cost_centre: "1", classification: internal, valid_until: 2030-12-31}
projects:
  - {name: prod, quota: {class: small}}
"""


class Made(NamedTuple):
    """A wrong spec and the findings expected of it."""

    name: str
    content: bytes | str
    expected: tuple[str, ...]


UNSEEN = "Remove it; it cannot be seen, so type the line again."

MADE = (
    Made(
        "ten-megabytes",
        GOOD.encode() + b"#" * 10 * 1024 * 1024,
        (
            "line 1: the file has 10.0 MiB, at most 1 MiB is read. "
            "Write one tenant a file: a large one needs about 100 KiB.",
        ),
    ),
    Made(
        "one-byte-too-many",
        GOOD.encode() + b"#" * (1024 * 1024 + 1 - len(GOOD)),
        (
            "line 1: the file has 1.0 MiB, at most 1 MiB is read. "
            "Write one tenant a file: a large one needs about 100 KiB.",
        ),
    ),
    Made("nothing", b"", ("line 1: the file is empty. Begin with a line such as 'tenant: ministry'.",)),
    Made(
        "latin-1",
        GOOD.replace("owner: Acme", "owner: Bürgeramt").encode("latin-1"),
        ("line 2: the byte 0xfc is not UTF-8 text. Save the file in the encoding UTF-8.",),
    ),
    Made(
        "utf-16",
        GOOD.encode("utf-16"),
        ("line 1: the byte 0xff is not UTF-8 text. Save the file in the encoding UTF-8.",),
    ),
    Made(
        "nul",
        GOOD.replace("prod", "pr\0d"),
        (f"line 4: the control character U+0000 stands in the file. {UNSEEN}",),
    ),
    Made(
        "terminal-colours",
        GOOD.replace("Acme", "\x1b[31mAcme\x1b[0m"),
        (
            f"line 2: the control character U+001B stands in the file. {UNSEEN}",
            f"line 2: the control character U+001B stands in the file. {UNSEEN}",
        ),
    ),
    Made(
        "next-line-character",
        GOOD.replace("Acme", "Ac\x85me"),
        (f"line 2: the control character U+0085 stands in the file. {UNSEEN}",),
    ),
    Made(
        "line-separator",
        GOOD.replace("Acme", "Ac\u2028me"),
        (f"line 2: the invisible character U+2028 stands in the file. {UNSEEN}",),
    ),
    Made(
        "text-that-reads-backwards",
        GOOD.replace("Acme", "\u202eemcA"),
        (f"line 2: the character U+202E, which reverses text on the screen, stands in the file. {UNSEEN}",),
    ),
    Made(
        "lone-surrogate",
        GOOD.replace("Acme", "Ac\ud800me"),
        (f"line 2: the invisible character U+D800 stands in the file. {UNSEEN}",),
    ),
    Made(
        "too-many-values",
        GOOD + "groups:\n" + "  - {name: a}\n" * 30_000,
        (
            "line 16664: the file has more than 50 000 values. "
            "Remove what is not needed: a tenant needs a few hundred.",
        ),
    ),
    Made(
        "deeply-nested",
        GOOD + "groups: " + "[" * 100_000,
        (
            "line 5: values are nested more than 12 deep. "
            "Check the indentation and the brackets: no part of a tenant is nested that deep.",
        ),
    ),
)
