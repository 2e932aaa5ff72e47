"""A sheet to print: what root it is, in digits, in words and as a QR code.

It travels by another way than the root itself (in a sealed envelope, or read aloud over the telephone), so
that whoever puts another root on the medium has to forge two things at once.
"""

from __future__ import annotations

import html
import io

import segno

from airgap_bundle import ceremony
from airgap_bundle.fingerprint_words import unwords, words
from airgap_bundle.release import SHA256

_STYLE = """
body { font: 11pt/1.45 system-ui, sans-serif; color: #111; background: #fff; margin: 15mm; max-width: 180mm }
h1 { font-size: 16pt; margin: 0 0 2mm } h2 { font-size: 12pt; margin: 7mm 0 2mm }
code, td.word { font-family: ui-monospace, "DejaVu Sans Mono", monospace }
table { border-collapse: collapse } td, th { padding: .8mm 3mm .8mm 0; text-align: left; vertical-align: top }
td.number { color: #666; text-align: right }
td.of { white-space: nowrap } figure { float: right; margin: 0 0 4mm 8mm }
.lines td { border-bottom: .3mm solid #999; width: 55mm; height: 9mm } @media print { body { margin: 0 } }
"""


def code(root: bytes) -> str:
    """What the QR code holds, which `trust init --fingerprint` takes too."""
    return f"SHA256:{ceremony.fingerprint(root).upper()}"


def digits(root: bytes) -> list[str]:
    """The SHA-256 in lines of four groups of four digits."""
    hexadecimal = ceremony.fingerprint(root)
    groups = [hexadecimal[at : at + 4] for at in range(0, 64, 4)]
    return [" ".join(groups[at : at + 4]) for at in range(0, 16, 4)]


def spoken(root: bytes) -> list[list[str]]:
    """The SHA-256 in eight lines of four words."""
    said = words(bytes.fromhex(ceremony.fingerprint(root)))
    return [said[at : at + 4] for at in range(0, 32, 4)]


def read_fingerprint(given: str) -> str:
    """What a person typed or scanned from a sheet: digits in any groups, words, or the code; gives 64 digits.

    Raises ValueError.
    """
    plain = given.strip().removeprefix("SHA256:").removeprefix("sha256:")
    compact = "".join(plain.split()).lower()
    if SHA256.fullmatch(compact):
        return compact
    try:
        data = unwords(plain.split())
    except ValueError:
        data = b""
    if len(data) != 32:
        raise ValueError("it is neither 64 digits nor 32 words in their order")
    return data.hex()


def text(root: bytes) -> str:
    """The sheet for a plain printer. Raises Malformed."""
    said = ceremony.describe(root)
    lines = [
        f"ROOT OF TRUST, VERSION {said['version']}",
        f"File {said['version']}.root.json, good until {said['expires']}",
        "",
        "SHA-256",
        *(f"  {number}  {line}" for number, line in enumerate(digits(root), 1)),
        "",
        "The same in words",
        *(
            f"  {number}  {'  '.join(f'{word:<10}' for word in line)}".rstrip()
            for number, line in enumerate(spoken(root), 1)
        ),
        "",
    ]
    for role in ceremony.grouped(said["roles"]):
        lines.append(f"{role['role']}: {role['threshold']} of these {len(role['keys'])} keys")
        lines += [f"  {key['fingerprint']}  {key['owner']}".rstrip() for key in role["keys"]]
    lines += [
        "",
        "Compared by ______________________  on ____________",
        "Witness     ______________________  on ____________",
    ]
    return "\n".join(lines) + "\n"


def page(root: bytes) -> str:
    """The sheet as one HTML file that loads nothing. Raises Malformed."""
    said = ceremony.describe(root)
    drawn = io.BytesIO()
    segno.make(code(root), error="m", micro=False).save(
        drawn, kind="svg", scale=4, xmldecl=False, title=code(root)
    )
    version, expires = said["version"], html.escape(said["expires"])
    groups = "".join(
        f'<tr><td class="number">{n}<td><code>{line}</code>' for n, line in enumerate(digits(root), 1)
    )
    said_words = "".join(
        f'<tr><td class="number">{n}' + "".join(f'<td class="word">{word}' for word in line)
        for n, line in enumerate(spoken(root), 1)
    )
    roles = "".join(
        f"<tr><th>{role['role']}<td class=of>{role['threshold']} of {len(role['keys'])}<td>"
        + "<br>".join(
            f"<code>{html.escape(key['fingerprint'])}</code> {html.escape(key['owner'])}"
            for key in role["keys"]
        )
        for role in ceremony.grouped(said["roles"])
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Root of trust, version {version}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{_STYLE}</style></head><body>'
        f"<figure>{drawn.getvalue().decode()}</figure><h1>Root of trust, version {version}</h1>"
        f"<p>File <code>{version}.root.json</code>, good until {expires}</p>"
        f"<h2>SHA-256</h2><table>{groups}</table><h2>The same in words</h2><table>{said_words}</table>"
        f"<h2>Who signs</h2><table>{roles}</table><h2>Compared</h2>"
        '<table class="lines"><tr><td>by<td>on<tr><td>witness<td>on</table></body></html>\n'
    )
