"""The built verifier and the vectors are what their sources make; nothing in the file points outside."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

BUNDLE = Path(__file__).parents[2] / "airgap-bundle"
VERIFIER = BUNDLE / "airgap_bundle" / "verifier.html"
SOURCES = BUNDLE / "verifier"
VECTORS = BUNDLE / "vectors"


def run(*arguments: str) -> None:
    made = subprocess.run([sys.executable, *arguments], cwd=BUNDLE, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr


def test_the_verifier_is_what_its_sources_make() -> None:
    run("verifier/build.py", "--check")


def test_the_tables_are_what_python_knows() -> None:
    run("verifier/tables.py", "--check")


def test_the_vectors_are_what_their_script_makes() -> None:
    run("-m", "vectors.make", "--check")


def test_vectors_stay_small_and_each_is_explained() -> None:
    size = sum(path.stat().st_size for path in VECTORS.rglob("*") if path.is_file())
    assert size < 3_000_000 + 200_000  # the second: what Python compiled beside the scripts
    listed = json.loads((VECTORS / "expected.json").read_text(encoding="utf-8"))["vectors"]
    readme = (VECTORS / "README.md").read_text(encoding="utf-8")
    for vector in listed:
        assert (VECTORS / vector["name"]).is_dir()
        assert f"| `{vector['name'].rpartition('/')[2]}` |" in readme


def test_only_the_scripts_and_the_style_in_the_file_may_run() -> None:
    html = VERIFIER.read_text(encoding="utf-8")
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    [style] = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(scripts) == 2
    for text in (*scripts, style):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == set(re.findall(r"'sha256-[^']*'", rules["script-src"]))
    assert rules["worker-src"] == "blob:"
    assert "connect-src" not in rules  # so default-src holds: nothing is fetched


def test_nothing_in_the_file_points_outside() -> None:
    html = VERIFIER.read_text(encoding="utf-8")
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    assert re.findall(r"\b(?:src|href|action|srcset|data)=", markup) == []
    assert re.findall(r"\bon\w+=", markup) == []
    assert re.findall(r"(?:https?:)?//[a-z]", re.sub(r"(?m)^\s*(?://|/?\*).*$|//.*$", "", html)) == []
    assert "url(" not in html
    assert "@import" not in html


def test_nothing_becomes_markup_or_code() -> None:
    for path in SOURCES.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert word not in text, f"{path.name} uses {word}"


def test_the_core_knows_no_page() -> None:
    for path in (SOURCES / "core").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        for word in ("document.", "window.", "navigator.", "fetch(", "localStorage", '"../ui/'):
            assert word not in text, f"{path.name} uses {word}"


def test_modules_are_short_and_begin_with_what_they_are() -> None:
    for path in SOURCES.rglob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("/**"), path.name
        assert len(lines) <= 400, path.name
        assert max(map(len, lines)) <= 118, path.name
