"""Receipts: what is in the zone now, signed there and carried back out (SPEC section 10).

    {"accepted":{"release":"41…","sequence":7},"bundle":"zone-updates","checkpoint":null,
     "created":"2026-11-24T08:12:00Z","format":"airgap-bundle/receipt/1","hosts":{"7":118,"6":2},
     "kept":[{"release":"9b…","sequence":6},{"release":"41…","sequence":7}],
     "live":{"apt":7,"images":7,"pypi":6},"outcome":"partial","remarks":"2 hosts wait for a window",
     "site":"zone-geneva"}

It names releases and not files: the low side knows what was in each. So it stays small enough for a few QR
codes, and the next bundle can leave out all that a kept release holds.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airgap_bundle.canonical import malformed, parse, render
from airgap_bundle.dsse import Envelope
from airgap_bundle.keys import PublicKey
from airgap_bundle.release import NAME, SHA256, count, line, match, moment, read_moment

KIND = "application/vnd.airgap-bundle.receipt+json"
FORMAT = "airgap-bundle/receipt/1"
WHAT = "the receipt"
OUTCOMES = ("accepted", "confirmed", "partial", "rolled-back", "refused", "lost")
MOST_KEPT = 64
MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Held:
    """A release that is in the zone's store, complete."""

    sequence: int
    release: str
    """SHA-256 of its release.json."""


@dataclass(frozen=True)
class Receipt:
    """What a site says of one stream of bundles. Bytes are canonical, so that its digest names it."""

    site: str
    bundle: str
    outcome: str
    """Of the newest bundle that came: accepted, confirmed, partial, rolled-back, refused or lost."""
    accepted: Held | None
    """The newest release that the site's trust state has accepted; None before the first."""
    kept: tuple[Held, ...]
    """All releases whose entries are complete in the store, by sequence."""
    created: datetime
    live: Mapping[str, int] = field(default_factory=dict)
    """For each part, the sequence that its shelf serves now."""
    hosts: Mapping[int, int] = field(default_factory=dict)
    """How many hosts run what sequence."""
    remarks: str = ""
    checkpoint: str | None = None
    """A checkpoint of the site's audit log, a signed note: an anchor for someone outside."""

    def render(self) -> bytes:
        """The canonical bytes, which are what is signed."""
        return render(
            {
                "accepted": _held(self.accepted) if self.accepted else None,
                "bundle": self.bundle,
                "checkpoint": self.checkpoint,
                "created": moment(self.created),
                "format": FORMAT,
                "hosts": {str(sequence): number for sequence, number in self.hosts.items()},
                "kept": [_held(one) for one in sorted(self.kept, key=lambda h: h.sequence)],
                "live": dict(self.live),
                "outcome": self.outcome,
                "remarks": self.remarks,
                "site": self.site,
            }
        )

    @property
    def sha256(self) -> str:
        """What the next bundle's `base` names."""
        return hashlib.sha256(self.render()).hexdigest()

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Read the payload of a receipt. Raises Malformed."""
        value = parse(data, WHAT)
        try:
            made = cls._of(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            malformed(WHAT, f"a field is missing or wrong ({str(error)[:100]})")
        if made.render() != data:
            malformed(WHAT, "it has fields that this version does not know, or kept releases out of order")
        return made

    @classmethod
    def _of(cls, value: Mapping[str, Any]) -> Receipt:
        if value["format"] != FORMAT:
            malformed(WHAT, f"its format is not {FORMAT}")
        if value["outcome"] not in OUTCOMES:
            raise ValueError(f"the outcome is none of {', '.join(OUTCOMES)}")
        kept = tuple(_read_held(one) for one in value["kept"])
        if len(kept) > MOST_KEPT or len({one.sequence for one in kept}) != len(kept):
            raise ValueError(f"kept has a sequence twice or more than {MOST_KEPT}")
        checkpoint = value["checkpoint"]
        if checkpoint is not None and not isinstance(checkpoint, str):
            raise TypeError("the checkpoint is not a text")
        return cls(
            site=match(NAME, value["site"]),
            bundle=match(NAME, value["bundle"]),
            outcome=value["outcome"],
            accepted=_read_held(value["accepted"]) if value["accepted"] is not None else None,
            kept=kept,
            created=read_moment(value["created"]),
            live={match(NAME, part): count(sequence, least=1) for part, sequence in value["live"].items()},
            hosts={count(int(sequence)): count(number) for sequence, number in value["hosts"].items()},
            remarks=line(value["remarks"]),
            checkpoint=checkpoint,
        )


def envelope(receipt: Receipt) -> Envelope:
    """The receipt, to be signed by the site's people (`Envelope.signed`, `Envelope.merged`)."""
    return Envelope(KIND, receipt.render(), {})


def verify(data: bytes, keys: Iterable[PublicKey], threshold: int = 1) -> tuple[Receipt, list[PublicKey]]:
    """A receipt file signed by at least `threshold` of `keys`, and who signed.

    Raises Malformed, TooFewSignatures.
    """
    if len(data) > MOST_BYTES:
        malformed(WHAT, f"it is larger than {MOST_BYTES} bytes")
    signed = Envelope.parse(data, WHAT)
    if signed.kind != KIND:
        malformed(WHAT, "its payload is something else")
    signers = signed.verify(keys, threshold, WHAT)  # before anything in it is looked at
    return Receipt.parse(signed.payload), signers


# --- As text for QR codes ------------------------------------------------------------------------------
# AGR1/<part>/<parts>/<8 digits of the whole's SHA-256>/<base45 of a slice of the deflated file>: only
# characters of a QR code's alphanumeric mode, so that a code holds almost half as much again as bytes would.

QR_PREFIX = "AGR1"
QR_CHARACTERS = 800
"""In one code: version 20 at error correction M, which a phone reads from a terminal."""
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def to_codes(data: bytes, most: int = QR_CHARACTERS) -> list[str]:
    """The texts of the QR codes that carry a receipt file; `most` characters each.

    >>> from_codes(to_codes(b'{"payload":"..."}'))
    b'{"payload":"..."}'
    """
    text = base45(zlib.compress(data, 9))
    mark = hashlib.sha256(data).hexdigest()[:8].upper()
    room = most - len(f"{QR_PREFIX}/99/99/{mark}/")
    share = -(-len(text) // -(-len(text) // room)) if text else 1  # codes of one size
    slices = [text[at : at + share] for at in range(0, len(text), share)]
    return [f"{QR_PREFIX}/{i}/{len(slices)}/{mark}/{part}" for i, part in enumerate(slices, 1)]


def from_codes(texts: Sequence[str]) -> bytes:
    """The file that codes carry, in any order, also repeated. Raises Malformed: one is missing or strange."""
    parts: dict[int, str] = {}
    marks: set[tuple[str, str]] = set()
    for text in texts:
        prefix, number, total, mark, rest = [*text.strip("\r\n").split("/", 4), "", "", "", ""][:5]
        if prefix != QR_PREFIX or not number.isdecimal() or not total.isdecimal() or len(number) > 2:
            malformed("a QR code", f"it does not begin with {QR_PREFIX}/number/of/mark/")
        marks.add((total, mark))
        if parts.setdefault(int(number), rest) != rest:
            malformed("a QR code", f"there are two different codes {number}")
    if len(marks) != 1:
        malformed("the QR codes", "they are of different receipts")
    [(total, mark)] = marks
    if missing := [str(n) for n in range(1, int(total) + 1) if n not in parts][:20]:
        malformed("the QR codes", f"of {total}, these are missing: {', '.join(missing)}")
    try:
        inflate = zlib.decompressobj()
        data = inflate.decompress(unbase45("".join(parts[n] for n in sorted(parts))), MOST_BYTES)
    except (zlib.error, ValueError):
        malformed("the QR codes", "they do not decode")
    if not inflate.eof or inflate.unused_data or hashlib.sha256(data).hexdigest()[:8].upper() != mark:
        malformed("the QR codes", "what they decode to is not what they were made of")
    return data


def base45(data: bytes) -> str:
    """RFC 9285: two bytes as three characters.

    >>> base45(b"Hello!!")
    '%69 VD92EX0'
    """
    text = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        number, digits = int.from_bytes(pair, "big"), len(pair) + 1
        for _ in range(digits):
            number, digit = divmod(number, 45)
            text.append(ALPHABET[digit])
    return "".join(text)


def unbase45(text: str) -> bytes:
    """The reverse of `base45`. Raises ValueError."""
    out = bytearray()
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        number = sum(ALPHABET.index(char) * 45**i for i, char in enumerate(group))
        if len(group) == 1 or number >= 256 ** (len(group) - 1):
            raise ValueError("not base45")
        out += number.to_bytes(len(group) - 1, "big")
    return bytes(out)


def _held(one: Held) -> dict[str, Any]:
    return {"release": one.release, "sequence": one.sequence}


def _read_held(value: Mapping[str, Any]) -> Held:
    if set(value) != {"release", "sequence"}:
        raise ValueError("a release is named by `release` and `sequence`")
    return Held(count(value["sequence"], least=1), match(SHA256, value["release"]))
