"""Inline the verifier's modules, style and page into one HTML file: airgap_bundle/verifier.html.

    $ python airgap-bundle/verifier/build.py            write it
    $ python airgap-bundle/verifier/build.py --check    fail unless it is what this would write

Nothing is minified or renamed: an auditor reads in the file what stands here. Each module becomes a function
that runs once and gives its exports, in the order in which modules need each other:

    modules["core/json.js"] = (() => {
    const { utf8 } = modules["core/bytes.js"];
    ...
    return { canonical };
    })();

The page's Content-Security-Policy names the digests of the two scripts and the style; nothing else can run or
load.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE.parent / "airgap_bundle" / "verifier.html"
CORE, PAGE = "core/serve.js", "ui/main.js"

_IMPORT = re.compile(r'^import (\* as (\w+)|\{([^}]*)\}) from "(\.[./\w]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_LEFT = re.compile(r"^\s*(?:import|export)\b.*$", re.MULTILINE)


def build() -> str:
    """The text of verifier.html."""
    core = modules_of(CORE, set())
    page = modules_of(PAGE, set(core))
    parts = {
        "STYLE": "\n" + (HERE / "style.css").read_text(),
        "CORE": script('"use strict";\nconst modules = {};\n', core),
        "PAGE": script('"use strict";\n', page),
    }
    html = (HERE / "page.html").read_text()
    for name, text in parts.items():
        for place, value in ((f"@{name}@", text), (f"@{name}-DIGEST@", digest(text))):
            if html.count(place) != 1:
                raise SystemExit(f"page.html must have {place} once")
            html = html.replace(place, value)
    return html


def modules_of(entry: str, known: set[str]) -> dict[str, str]:
    """The modules that `entry` needs and `known` does not have, each after those that it needs itself."""
    found: dict[str, str] = {}

    def visit(name: str, by: tuple[str, ...]) -> None:
        if name in by:
            raise SystemExit(f"modules need each other: {' -> '.join([*by, name])}")
        if name in found or name in known:
            return
        text = (HERE / name).read_text()
        for needed in _IMPORT.finditer(text):
            visit(resolved(name, needed[4]), (*by, name))
        found[name] = text

    visit(entry, ())
    return found


def script(head: str, modules: dict[str, str]) -> str:
    """All modules as one classic script."""
    text = "\n" + head + "".join(inlined(name, module) for name, module in modules.items())
    if "</script" in text.lower() or "<!--" in text:
        raise SystemExit("a script cannot hold the end of a script")
    return text


def inlined(name: str, text: str) -> str:
    """One module as a function that gives its exports."""

    def imported(found: re.Match[str]) -> str:
        what = found[2] or "{" + found[3].replace(" as ", ": ") + "}"
        return f'const {what} = modules["{resolved(name, found[4])}"];\n'

    exports = _EXPORT.findall(text)
    body = _EXPORT.sub("", _IMPORT.sub(imported, text))
    if left := _LEFT.search(body):
        raise SystemExit(f"{name}: build.py does not know {left[0].strip()!r}")
    return f'\nmodules["{name}"] = (() => {{\n{body}\nreturn {{ {", ".join(exports)} }};\n}})();\n'


def resolved(name: str, target: str) -> str:
    """The module that `target` means in the module `name`."""
    return str((HERE / name).parent.joinpath(target).resolve().relative_to(HERE.resolve()))


def digest(text: str) -> str:
    """A source expression of a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        OUT.write_text(build())
    elif not OUT.exists() or OUT.read_text() != build():
        raise SystemExit(f"{OUT.name} is not what its sources make; run airgap-bundle/verifier/build.py")
