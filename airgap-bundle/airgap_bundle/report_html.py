"""The report as one HTML file: opens offline, in light and dark, and prints on one page.

It loads nothing and runs nothing: no script, no image, no font, and a content security policy that says so.
Everything that came from a bundle is escaped; every state is a word, so that a black and white print says as
much as the screen.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from airgap_bundle.errors import printable

if TYPE_CHECKING:
    from airgap_bundle.report import Check, Report


def page(report: Report) -> str:
    """The whole file."""
    name = f"{report.bundle} {report.sequence}" if report.bundle else "A bundle without a name"
    rows = "\n".join(_row(check) for check in report.checks)
    return _PAGE.format(
        style=_STYLE,
        title=_text(f"{name}: {report.verdict}"),
        name=_text(name),
        subtitle=f"<p>{_text(report.title)}</p>" if report.title else "",
        verdict=str(report.verdict),
        sentence=_text(report.sentence),
        remedy=f"<p>{_text(report.remedy)}</p>" if report.remedy else "",
        rows=rows,
        facts=_facts(report),
        signers=_signers(report),
        notes="".join(f'<p class="note">Note: {_text(note)}</p>' for note in report.notes),
    )


def _row(check: Check) -> str:
    remedy = f'<span class="remedy">{_text(check.remedy)}</span>' if check.remedy else ""
    state = check.result.replace(" ", "-")
    word = check.result.upper() if state == "failed" else str(check.result)
    return (
        f'<tr class="{state}"><td class="number">{check.number}</td><th scope="row">{check.name}</th>'
        f'<td class="state"><span>{word}</span></td><td>{_text(check.text)}{remedy}</td></tr>'
    )


def _facts(report: Report) -> str:
    facts = []
    if report.release:
        facts.append(("Release", report.release))
    if report.root_version is not None:
        facts.append(("Root", f"version {report.root_version}, {report.root_fingerprint}"))
    rows = "".join(f"<dt>{name}</dt><dd><code>{_text(value)}</code></dd>" for name, value in facts)
    return f"<dl>{rows}</dl>" if rows else ""


def _signers(report: Report) -> str:
    if not report.signers:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_text(s.role)}</th><td><code>{_text(s.key)}</code></td>'
        f"<td>{_text(s.name)}</td></tr>"
        for s in report.signers
    )
    return f"<h2>Signed by</h2>\n<table>{rows}</table>"


def _text(value: object) -> str:
    return escape(printable(value), quote=True)


_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --paper: #ffffff; --line: #d9d9e0;
  --good: #18794e; --good-back: #e6f6eb; --bad: #b42318; --bad-back: #feebec; --open: #8a5a00; --open-back:
  #fff4d5; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --paper: #111113; --line:
  #363a3f;
  --good: #71d083; --good-back: #132d21; --bad: #ff9592; --bad-back: #3b1219; --open: #ffca16; --open-back:
  #302008; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 1.75rem 0 .5rem; font-size: 1.1rem; }
p { margin: .25rem 0; }
header p { color: var(--soft); }
code { font: .85em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.verdict { margin: 1.25rem 0; padding: .8rem 1rem; border: 1px solid; border-left-width: .4rem;
  border-radius: .3rem;
  overflow-wrap: anywhere; }
.verdict strong { display: block; }
.accepted { color: var(--good); background: var(--good-back); }
.refused { color: var(--bad); background: var(--bad-back); }
.incomplete { color: var(--open); background: var(--open-back); }
.verdict p { color: var(--ink); }
table { width: 100%; border-collapse: collapse; }
th, td { padding: .45rem .6rem .45rem 0; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top;
  font-weight: normal; overflow-wrap: anywhere; }
tr:last-child > * { border-bottom: 1px solid var(--line); }
.number { width: 2.2rem; color: var(--soft); text-align: right; font-variant-numeric: tabular-nums; }
th { width: 7rem; font-weight: 600; }
.state { width: 8rem; white-space: nowrap; }
.state span { padding: .05rem .45rem; border: 1px solid; border-radius: .3rem; font-size: .9em; }
.passed .state { color: var(--good); }
.failed .state { color: var(--bad); font-weight: 700; }
.not-checked .state { color: var(--open); }
.not-checked td:last-child { color: var(--soft); }
.remedy { display: block; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
.note { margin-top: 1rem; padding-left: .8rem; border-left: .25rem solid var(--open); }
@media (max-width: 36rem) { th { width: auto; } .state { width: auto; } .number { width: 1.6rem; } }
@media print { :root { color-scheme: light; --ink: #000; --soft: #333; --paper: #fff; --line: #999; --good:
  #000;
  --bad: #000; --open: #000; --good-back: #fff; --bad-back: #fff; --open-back: #fff; }
  body { padding: 0; font-size: 10.5pt; max-width: none; } tr, .verdict { break-inside: avoid; } @page {
  margin: 15mm; } }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{name}</h1>
{subtitle}
</header>
<div class="verdict {verdict}"><strong>{sentence}</strong>{remedy}</div>
{facts}
<h2>Checks</h2>
<table>
{rows}
</table>
{notes}
{signers}
</body>
</html>
"""
