"""A printable page of QR codes: one file, nothing loaded from anywhere."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence

import segno

STYLE = """
body { font: 11pt/1.4 system-ui, sans-serif; margin: 15mm; color: #111; background: #fff }
h1 { font-size: 14pt; margin: 0 0 6mm }
figure { display: inline-block; margin: 0 8mm 8mm 0; break-inside: avoid }
figcaption { text-align: center; font-weight: 600 }
svg { display: block }
"""


def page(name: str, texts: Sequence[str], codes: Sequence[segno.QRCode]) -> str:
    """The page for the file `name`."""
    figures = []
    for number, (text, code) in enumerate(zip(texts, codes, strict=True), 1):
        drawn = io.BytesIO()
        code.save(drawn, kind="svg", scale=3, xmldecl=False, title=f"code {number} of {len(codes)}")
        caption = f"{number} of {len(codes)} · {text.split('/')[3]}"
        figures.append(
            f"<figure>{drawn.getvalue().decode()}<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    title = html.escape(f"Receipt {name}")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(figures)}</body></html>\n"
    )
