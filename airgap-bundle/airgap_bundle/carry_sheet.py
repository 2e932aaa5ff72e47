"""The carry sheet: paper that goes with the media: what they are, who carried them, under which seals.

    write_sheets(carried, Path("/media/usb"))       carry-sheet.html, to be printed, and carry-sheet.txt

Whoever receives the media compares the release's digits, words or QR code with what `verify` says. The sheet
proves nothing by itself; it makes a swap on the way something that two people must have overlooked.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path

import segno

from airgap_bundle.carry import Carried, CarriedFile
from airgap_bundle.durable import write_durably
from airgap_bundle.fingerprint_words import words
from airgap_bundle.sizes import words as size_words

HTML_NAME, TEXT_NAME = "carry-sheet.html", "carry-sheet.txt"

_STYLE = """
@page { size: A4; margin: 13mm 15mm 16mm;
  @bottom-right { content: counter(page) " of " counter(pages); font: 8pt system-ui, sans-serif } }
* { box-sizing: border-box }
body { font: 9.5pt/1.35 system-ui, "DejaVu Sans", sans-serif; color: #111; background: #fff;
  margin: 0 auto; max-width: 179mm }
h1 { font-size: 17pt; line-height: 1.15; margin: 0 0 1mm }
h2 { font-size: 11pt; margin: 5mm 0 1.5mm; border-bottom: .4mm solid #111; break-after: avoid }
p { margin: 0 0 1.5mm }
p.title { font-size: 11.5pt; margin-bottom: 2mm }
code, .words { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: 8.5pt }
table { border-collapse: collapse }
th { font-weight: 600; text-align: left; font-size: 8.5pt; color: #333 }
td, th { padding: .4mm 4mm .4mm 0; vertical-align: top }
.n { text-align: right; font-variant-numeric: tabular-nums }
header { display: flex; justify-content: space-between; gap: 5mm }
header svg { width: 34mm; height: 34mm; flex: none }
section.file { break-inside: avoid; margin: 0 0 3mm; padding-left: 3mm; border-left: 1mm solid #bbb }
section.file p { margin: 0 0 .8mm; overflow-wrap: anywhere }
.words { width: 100%; table-layout: fixed }
.words td { padding: 0 }
table.form { width: 100% }
table.form td, table.form th { border: .25mm solid #888; padding: 1mm 1.5mm }
table.form td { height: 8.5mm }
table.form tr { break-inside: avoid }
table.form { table-layout: fixed }
table.form td.label { color: #333 }
.first { width: 32mm }
.last { width: 38mm }
.facts { display: flex; gap: 7mm; align-items: flex-start }
.facts td, .facts th { white-space: nowrap; padding-bottom: 0 }
.facts td.part { white-space: normal }
header > div { min-width: 0 }
header { overflow-wrap: anywhere }
.box { display: inline-block; width: 3.2mm; height: 3.2mm; border: .3mm solid #111; margin: 0 1.5mm -.4mm 0 }
.keep { break-inside: avoid }
@media screen { body { margin: 8mm auto; padding: 0 4mm } }
"""


def write_sheets(carried: Carried, to: Path) -> list[Path]:
    """Write both sheets into the folder `to`. Raises OSError."""
    made = {HTML_NAME: page(carried), TEXT_NAME: text(carried)}
    for name, data in made.items():
        write_durably(to / name, data.encode())
    return [to / name for name in made]


def code(carried: Carried) -> str:
    """What the QR code holds."""
    release = carried.bundle.release
    return f"release {release.bundle} {release.sequence} sha256 {carried.bundle.release_sha256}"


def digit_lines(sha256: str) -> list[str]:
    """A digest in two lines of eight groups of four digits."""
    groups = [sha256[at : at + 4] for at in range(0, 64, 4)]
    return [" ".join(groups[:8]), " ".join(groups[8:])]


def word_lines(sha256: str) -> list[list[str]]:
    """A digest in four lines of eight words."""
    said = words(bytes.fromhex(sha256))
    return [said[at : at + 8] for at in range(0, 32, 8)]


def about(file: CarriedFile, carried: Carried) -> str:
    """What a file is, in words."""
    if file.volume is None:
        return "parity"
    return "container" if carried.volumes == 1 else f"volume {file.volume} of {carried.volumes}"


def _facts(carried: Carried) -> list[tuple[str, str]]:
    release = carried.bundle.release
    facts = [
        ("Created", f"{release.created:%Y-%m-%d %H:%M} UTC"),
        ("Next expected", f"{release.next_expected:%Y-%m-%d}"),
        ("Root", f"version {carried.bundle.root_version}"),
    ]
    if release.base is not None:
        facts.append(("Stands on", f"sequence {release.base.sequence}, which must be there already"))
    return facts


def _parts(carried: Carried) -> list[tuple[str, int, str]]:
    parts = carried.bundle.release.parts
    rows = [(name, part.entries, size_words(part.size)) for name, part in sorted(parts.items())]
    release = carried.bundle.release
    return [*rows, ("all", release.entries, size_words(release.size))]


# The text sheet: 80 columns, ASCII, for a printer that knows nothing else.


def text(carried: Carried) -> str:
    """The sheet for a plain printer."""
    release, sha256 = carried.bundle.release, carried.bundle.release_sha256
    lines = [
        f"CARRY SHEET   {release.bundle} {release.sequence}",
        release.title,
        "",
        *(f"{name + ':':<15} {value}" for name, value in _facts(carried)),
        "",
        f"{'PART':<32}{'ENTRIES':>10}{'SIZE':>14}",
        *(f"{name:<32}{entries:>10}{size:>14}" for name, entries, size in _parts(carried)),
        "",
        "RELEASE   compare with what `airgap-bundle verify` says",
        *_text_digest(sha256),
    ]
    for file in carried.files:
        lines += ["", f"{file.name}   {about(file, carried)}, {file.size} bytes", *_text_digest(file.sha256)]
    lines += ["", "MEDIA"]
    for file in carried.files:
        lines += [f"{about(file, carried):<20} serial {'_' * 22}  seal {'_' * 22}", ""]
    lines += ["HANDED OVER"]
    for who in ("packed by", "carrier 1", "carrier 2"):
        lines += [_text_person(who), ""]
    lines += ["RECEIVED    [ ] seals whole and numbers as above   [ ] release as above"]
    for who in ("received by", "witness"):
        lines += ["", _text_person(who)]
    return "\n".join(lines) + "\n"


def _text_digest(sha256: str) -> list[str]:
    said = ["  " + "".join(f"{word:<9}" for word in line).rstrip() for line in word_lines(sha256)]
    return [*(f"  {line}" for line in digit_lines(sha256)), *said]


def _text_person(who: str) -> str:
    return f"{who:<12} name {'_' * 20} signed {'_' * 18} on {'_' * 12}"


# The printed sheet: one HTML file that loads nothing.


def page(carried: Carried) -> str:
    """The sheet as one HTML file for A4 paper."""
    release = carried.bundle.release
    drawn = io.BytesIO()
    segno.make(code(carried), error="m", micro=False).save(
        drawn, kind="svg", scale=4, border=2, xmldecl=False, omitsize=True, title=code(carried)
    )
    name = html.escape(f"{release.bundle} {release.sequence}")
    facts = "".join(f"<tr><th>{key}<td>{html.escape(value)}" for key, value in _facts(carried))
    parts = "".join(
        f'<tr><td class="part">{html.escape(part)}<td class="n">{entries:,}<td class="n">{size}'
        for part, entries, size in _parts(carried)
    )
    files = "".join(_file(file, carried) for file in carried.files)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Carry sheet {name}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>'
        f'<header><div><p>Carry sheet</p><h1>{name}</h1><p class="title">{html.escape(release.title)}</p>'
        f'<div class="facts"><table>{facts}</table><table><tr><th>Part<th class="n">Entries<th class="n">Size'
        f"{parts}</table></div></div>{drawn.getvalue().decode()}</header>"
        "<h2>Release</h2><p>SHA-256; compare it with what <code>airgap-bundle verify</code> says.</p>"
        f"{_digest(carried.bundle.release_sha256)}"
        f"<h2>Files</h2>{files}{_forms(carried.files, carried)}</body></html>\n"
    )


def _file(file: CarriedFile, carried: Carried) -> str:
    return (
        f'<section class="file"><p><code><b>{html.escape(file.name)}</b></code> — {about(file, carried)}, '
        f"{file.size:,} bytes, SHA-256</p>{_digest(file.sha256)}</section>"
    )


def _digest(sha256: str) -> str:
    digits = "<br>".join(digit_lines(sha256))
    said = "".join("<tr>" + "".join(f"<td>{word}" for word in line) for line in word_lines(sha256))
    return f'<p><code>{digits}</code></p><table class="words">{said}</table>'


def _forms(files: Sequence[CarriedFile], carried: Carried) -> str:
    media = "".join(f'<tr><td class="label">{about(file, carried)}<td><td><td>' for file in files)
    handed = "".join(
        f'<tr><td class="label">{who}<td><td><td>' for who in ("Packed by", "Carrier 1", "Carrier 2")
    )
    received = "".join(f'<tr><td class="label">{who}<td><td><td>' for who in ("Received by", "Witness"))
    people = '<th class="first"><th>Name<th>Signature<th class="last">Date and time'
    box = '<span class="box"></span>'
    return (
        '<div class="keep"><h2>Media</h2><table class="form"><tr><th class="first">Holds'
        f'<th>Kind and serial number<th>Seal number<th class="last">Write-protected{media}</table></div>'
        f'<div class="keep"><h2>Handed over</h2><table class="form"><tr>{people}{handed}</table></div>'
        f'<div class="keep"><h2>Received</h2><p>{box}seals whole, numbers as above &emsp; '
        f"{box}all files there &emsp; {box}release as above &emsp; {box}verified</p>"
        f'<table class="form"><tr>{people}{received}</table></div>'
    )
