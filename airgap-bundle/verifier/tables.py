"""Write the modules that are tables: core/unicode.js and core/spoken_words.js.

    $ python airgap-bundle/verifier/tables.py [--check]

Browsers know newer versions of Unicode than an installed Python may, and JavaScript has no case folding at
all: SPEC section 5 pins both to Unicode 14.0. Normalization needs no table: its results for assigned
characters never change (Unicode Normalization Stability Policy). The words are those of the fingerprint
sheet.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from airgap_bundle.fingerprint_words import EVEN, ODD

VERSION = "14.0.0"
CORE = Path(__file__).with_name("core")
WORDS = """\
/**
 * A fingerprint in words that are read aloud, as on the fingerprint sheet; written by tables.py, do not edit.
 *
 * Two syllables for even bytes, one for odd ones: a word left out, said twice or swapped breaks the rhythm.
 */

const EVEN = (
{even}
).split(" ");
const ODD = (
{odd}
).split(" ");

/** One word for each byte. */
export function words(bytes) {{
  return Array.from(bytes, (byte, at) => (at % 2 ? ODD : EVEN)[byte]);
}}

/** The bytes of words in their order, or null when a word is not in its list. */
export function unwords(spoken) {{
  const bytes = spoken.map((word, at) => (at % 2 ? ODD : EVEN).indexOf(word.toLowerCase()));
  return bytes.includes(-1) ? null : Uint8Array.from(bytes);
}}
"""
UNICODE = """\
/**
 * Printable characters and case folding of Unicode {version}; written by tables.py, do not edit.
 *
 *     isPrintable("é")   true: neither a separator (but the space) nor control, format, unassigned or private
 *     casefold("Straße") "strasse": full case folding, CaseFolding.txt classes C and F
 *
 * Tables are numbers in base 36. Ranges: how far behind the end of the one before, how many. Folds: how far
 * behind the last start, how many, the step between them, what to add.
 */

const RANGES =
{ranges};
const FOLDS =
{folds};
const FULL =
{full};

const starts = [];
const ends = [];
for (const pair of RANGES.split(" ")) {{
  const [gap, count] = pair.split(",").map((digits) => parseInt(digits, 36));
  starts.push((ends.at(-1) ?? 0) + gap);
  ends.push(starts.at(-1) + count);
}}

const folds = new Map();
let start = 0;
for (const run of FOLDS.split(" ")) {{
  const [gap, count, step, add] = run.split(",").map((digits) => parseInt(digits, 36));
  start += gap;
  for (let i = 0; i < count; i++) folds.set(start + i * step, String.fromCodePoint(start + i * step + add));
}}
for (const pair of FULL.split(" ")) {{
  const [from, ...to] = pair.split(",").map((digits) => parseInt(digits, 36));
  folds.set(from, String.fromCodePoint(...to));
}}

export function isPrintable(text) {{
  for (const char of text) {{
    const code = char.codePointAt(0);
    if (code < 0x7f) {{
      if (code < 0x20) return false;
      continue;
    }}
    let low = 0;
    let high = starts.length;
    while (low < high) {{
      const middle = (low + high) >> 1;
      if (code < ends[middle]) high = middle;
      else low = middle + 1;
    }}
    if (low === starts.length || code < starts[low]) return false;
  }}
  return true;
}}

export function casefold(text) {{
  let folded = "";
  for (const char of text) folded += folds.get(char.codePointAt(0)) ?? char;
  return folded;
}}
"""


def tables() -> dict[str, str]:
    """The modules' texts by name."""
    spoken = WORDS.format(even=wrapped(iter(EVEN)), odd=wrapped(iter(ODD)))
    return {"unicode.js": unicode(), "spoken_words.js": spoken}


def unicode() -> str:
    """The text of unicode.js."""
    if unicodedata.unidata_version != VERSION:
        raise SystemExit(f"this Python has Unicode {unicodedata.unidata_version}, the format is of {VERSION}")
    runs, full = folds()
    return UNICODE.format(
        version=VERSION, ranges=wrapped(ranges()), folds=wrapped(runs), full=wrapped(iter(full))
    )


def ranges() -> Iterator[str]:
    """Printable characters beyond ASCII, as gaps and counts."""
    end, code = 0, 0x80
    while code < 0x110000:
        first = code
        while code < 0x110000 and chr(code).isprintable():
            code += 1
        if code > first:
            yield f"{base36(first - end)},{base36(code - first)}"
            end = code
        code += 1


def folds() -> tuple[Iterator[str], list[str]]:
    """Foldings to one character as runs, and those to several."""
    one = {c: ord(t) - c for c in range(0x110000) if len(t := chr(c).casefold()) == 1 and ord(t) != c}
    several = {c: t for c in range(0x110000) if len(t := chr(c).casefold()) > 1}
    return runs(one), [",".join(base36(n) for n in (c, *map(ord, t))) for c, t in several.items()]


def runs(one: dict[int, int]) -> Iterator[str]:
    """Runs of equal differences in steps of one or two."""
    left, before = dict(one), 0
    while left:
        first = next(iter(left))
        add = left[first]
        step = 1 if left.get(first + 1) == add else 2
        count = 0
        while left.get(first + count * step) == add:
            del left[first + count * step]
            count += 1
        yield ",".join(base36(n) for n in (first - before, count, step, add))
        before = first


def base36(number: int) -> str:
    """`number` as JavaScript's parseInt(text, 36) reads it."""
    digits, rest = "", abs(number)
    while True:
        rest, digit = divmod(rest, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
        if not rest:
            return ("-" if number < 0 else "") + digits


def wrapped(words: Iterator[str]) -> str:
    """A string literal over several lines."""
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 100:
            lines.append("")
        lines[-1] += f"{word} "
    lines[-1] = lines[-1].rstrip()
    return " +\n".join(f'  "{line}"' for line in lines)


if __name__ == "__main__":
    for name, text in tables().items():
        if "--check" not in sys.argv:
            (CORE / name).write_text(text)
        elif (CORE / name).read_text() != text:
            raise SystemExit(f"{name} is not what tables.py writes; run it")
