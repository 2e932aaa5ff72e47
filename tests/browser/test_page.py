"""The page as a person meets it: what can be chosen, what it shows and saves, what it may never do."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from time import monotonic, sleep

import pytest

from airgap_bundle import canonical
from airgap_bundle.fingerprint_words import words
from tests.browser.devtools import Chromium
from tests.browser.verifier import VERIFIER, Verifier
from vectors.forge import entry, forge, held
from vectors.valid_vectors import SEVERAL, THREE
from vectors.vector import CLOCK

HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture
def page(chromium: Chromium) -> Verifier:
    return Verifier(chromium.open(VERIFIER))


@pytest.fixture
def root(vectors: Path) -> Path:
    return vectors / "roots" / "1.root.json"


# What can be chosen --------------------------------------------------------------------------------------


def test_volumes_may_be_chosen_in_any_order_under_any_name(
    page: Verifier, tmp_path: Path, root: Path
) -> None:
    for number, (_, data) in enumerate(reversed(forge(SEVERAL).volumes(THREE).items())):
        (tmp_path / f"copy {number}").write_bytes(data)
    answer = page.verify(files=sorted(tmp_path.iterdir()), root=root, clock=CLOCK)
    assert answer.verdict == "accepted"
    assert answer.checks[1][1] == "all 3 volumes"


def test_a_missing_volume_is_named(page: Verifier, tmp_path: Path, root: Path) -> None:
    forge(SEVERAL).container(tmp_path, THREE)
    one, _, three = sorted(tmp_path.iterdir())
    answer = page.verify(files=[three, one], root=root, clock=CLOCK)
    assert answer.verdict == "incomplete"
    assert answer.failed is None
    assert "volume 2 not here" in answer.checks[10][1]
    assert "volume 2 not here" in answer.checks[11][1]


@pytest.mark.parametrize("vector", ["valid/several-in-a-folder", "valid/three-volumes"])
def test_a_bundle_may_be_dropped(page: Verifier, vectors: Path, root: Path, vector: str) -> None:
    page.fill(root=root, clock=CLOCK)
    form = (vectors / vector) if "folder" in vector else None
    page.drop([form] if form else sorted((vectors / vector).iterdir()))
    assert page.answer().verdict == "accepted"


def test_damage_is_told_by_the_path_that_it_hit(page: Verifier, vectors: Path, root: Path) -> None:
    answer = page.verify(folder=vectors / "tampered/bit-in-blob", root=root, clock=CLOCK)
    assert answer.checks[11][1] == (
        "damaged: 1 of 1 blob: files/hello.txt: its bytes are not those that were signed"
    )
    assert "repair the medium with its parity" in page.text(".verdict")


@pytest.mark.parametrize("form", ["digits", "words", "code"])
def test_a_fingerprint_is_enough(page: Verifier, vectors: Path, root: Path, form: str) -> None:
    digest = hashlib.sha256(root.read_bytes())
    typed = {
        "digits": " ".join(digest.hexdigest()[at : at + 4] for at in range(0, 64, 4)),
        "words": " ".join(words(digest.digest())),
        "code": f"SHA256:{digest.hexdigest().upper()}",
    }[form]
    answer = page.verify(folder=vectors / "valid/one-file", fingerprint=typed, clock=CLOCK)
    assert answer.verdict == "accepted"


def test_a_root_of_another_fingerprint_is_refused(page: Verifier, vectors: Path) -> None:
    answer = page.verify(folder=vectors / "valid/one-file", fingerprint="0" * 64, clock=CLOCK)
    assert (answer.verdict, answer.failed) == ("refused", 2)
    assert "no root in the bundle has the fingerprint" in answer.checks[2][1]


def test_a_root_and_a_fingerprint_must_agree(page: Verifier, vectors: Path, root: Path) -> None:
    page.fill(folder=vectors / "valid/one-file", root=root, fingerprint="0" * 64)
    assert page.page.run("document.getElementById('verify').disabled") is True
    assert page.text("#fingerprint-says") == "It is not the fingerprint of the root that was chosen."


def test_it_says_what_is_still_to_choose(page: Verifier, vectors: Path, root: Path) -> None:
    assert page.text("#hint") == "Choose the bundle first."
    page.fill(folder=vectors / "valid/one-file")
    assert page.text("#hint") == "Choose the trusted root, or paste its fingerprint."
    page.fill(folder=vectors / "valid/one-file", fingerprint="acorn ant")
    assert page.text("#hint") == "The fingerprint is not complete."
    assert page.text("#fingerprint-says") == "2 of 32 words."
    page.fill(folder=vectors / "valid/one-file", root=root)
    assert page.text("#hint") == ""


def test_a_file_that_is_no_root_is_not_taken_for_one(page: Verifier, vectors: Path, tmp_path: Path) -> None:
    other = tmp_path / "root.json"
    other.write_bytes(b"{}")
    page.fill(folder=vectors / "valid/one-file", root=other)
    assert "root.json is no root" in page.text("#trusted")
    assert page.page.run("document.getElementById('verify').disabled") is True


def test_a_root_that_its_people_did_not_sign_is_not_taken(page: Verifier, tmp_path: Path) -> None:
    other = tmp_path / "root.json"
    data = forge(SEVERAL).root
    at = data.index(b'"sig":"') + 7
    other.write_bytes(data[:at] + (b"1" if data[at : at + 1] == b"0" else b"0") + data[at + 1 :])
    page.fill(root=other)
    assert "is not signed by its own threshold" in page.text("#trusted")


def test_other_files_are_no_bundle_and_nothing_is_judged(page: Verifier, tmp_path: Path, root: Path) -> None:
    sheet = tmp_path / "carry-sheet.txt"
    sheet.write_text("a sheet")
    answer = page.verify(files=[sheet], root=root, clock=CLOCK)
    assert answer.verdict is None
    assert answer.sorry == "No bundle is among the files that were chosen."


def test_the_date_decides_about_expiry(page: Verifier, vectors: Path, root: Path) -> None:
    answer = page.verify(folder=vectors / "valid/one-file", root=root, clock="2027-12-28T00:00:00Z")
    assert (answer.verdict, answer.failed) == ("refused", 3)
    assert "expired on 2027-12-28T00:00:00Z" in answer.checks[3][1]


def test_a_date_before_the_verifier_was_made_is_not_believed(
    page: Verifier, vectors: Path, root: Path
) -> None:
    answer = page.verify(folder=vectors / "valid/one-file", root=root, clock="2001-01-01T00:00:00Z")
    assert answer.verdict == "accepted"
    assert "2026-11-23T00:00:00Z" in page.text("#result dl")


# What is shown -------------------------------------------------------------------------------------------


def test_a_large_list_is_filtered_and_shown_in_part(page: Verifier, tmp_path: Path) -> None:
    made = forge([entry(f"files/{n:04}.txt", b"%d" % n) for n in range(1200)])
    made.container(tmp_path / "medium")
    (tmp_path / "root").write_bytes(made.root)
    assert page.verify(folder=tmp_path / "medium", root=tmp_path / "root", clock=CLOCK).verdict == "accepted"
    eventually(page, "#shown", "1,200 of 1,200 entries; the first 500 are shown")
    rows = "document.querySelectorAll('#result section, #result .scroll').length"
    assert page.page.run("[...document.querySelectorAll('#result tbody')].at(-1).rows.length") == 500, rows
    page.page.run(
        "(f => { f.value = '/011'; f.dispatchEvent(new Event('input')); })(document.querySelector('#filter'))"
    )
    eventually(page, "#shown", "10 of 1,200 entries")
    first = "[...document.querySelectorAll('#result tbody')].at(-1).rows[0].cells[0].textContent"
    assert page.page.run(first) == "files/0110.txt"


def test_what_a_bundle_says_is_text_and_nothing_else(page: Verifier, tmp_path: Path) -> None:
    lines = [entry("files/a & b'quoted'.txt", b"x")]
    made = forge(lines, release=lambda value: value.update(title=HOSTILE))
    made.container(tmp_path / HOSTILE.replace("/", ""))
    (tmp_path / "root").write_bytes(made.root)
    answer = page.verify(folder=tmp_path / HOSTILE.replace("/", ""), root=tmp_path / "root", clock=CLOCK)
    assert answer.verdict == "accepted"
    assert HOSTILE in page.text("#result dl")
    assert page.page.run("document.querySelectorAll('img, script:not(body > script), iframe, a').length") == 0
    assert page.page.run("document.title") == "Bundle verifier"


def test_who_signed_is_named_as_the_root_names_them(page: Verifier, vectors: Path, root: Path) -> None:
    page.verify(folder=vectors / "valid/one-file", root=root, clock=CLOCK)
    shown = page.text("#result")
    for text in ("anna@test", "boris@test", "root, targets", "SHA256:"):
        assert text in shown
    assert "clara@test" not in shown


def test_attestations_are_listed(page: Verifier, vectors: Path, root: Path) -> None:
    page.verify(folder=vectors / "valid/attestations", root=root, clock=CLOCK)
    assert "scanners" in page.text("#result")
    assert "read and tested" in page.text("#result")


def test_what_was_not_checked_says_so(page: Verifier, tmp_path: Path) -> None:
    made = forge([entry("files/a.txt", b"a"), held("files/b.txt", b"b")])
    made.container(tmp_path / "medium")
    (tmp_path / "root").write_bytes(made.root)
    answer = page.verify(folder=tmp_path / "medium", root=tmp_path / "root", clock=CLOCK)
    assert answer.verdict == "accepted"
    assert answer.sentence == (
        "What is here is what was signed. Check 9 and 12 could not be made; see why below."
    )
    assert answer.checks[12][0] == "not checked"
    assert "did not travel" in answer.checks[12][1]


def test_every_control_has_a_name_and_the_result_is_announced(
    page: Verifier, vectors: Path, root: Path
) -> None:
    page.verify(folder=vectors / "valid/several", root=root, clock=CLOCK)
    nodes = page.page.ask("Accessibility.getFullAXTree")["nodes"]
    controls = [node for node in nodes if not node.get("ignored") and role(node) in CONTROLS]
    assert len(controls) >= 8
    for node in controls:
        assert node["name"]["value"].strip(), role(node)
    assert page.page.run("document.activeElement.id") == "verdict"
    assert {role(node) for node in nodes} >= {"status", "table", "main", "contentinfo"}


CONTROLS = {
    "button",
    "textbox",
    "searchbox",
    "link",
    "checkbox",
    "combobox",
    "Date",
    "DateTime",
    "progressbar",
}


def role(node: dict[str, dict[str, str]]) -> str:
    """What a screen reader calls it."""
    return node["role"]["value"]


# What is saved -------------------------------------------------------------------------------------------


def test_the_saved_report_is_that_of_the_format(
    page: Verifier, vectors: Path, root: Path, tmp_path: Path
) -> None:
    page.verify(folder=vectors / "tampered/bit-in-content", root=root, clock=CLOCK)
    page.page.browser.ask(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path), eventsEnabled=False
    )
    page.page.run("document.getElementById('save').click()")
    saved = tmp_path / "zone-updates-7.report.json"
    end = monotonic() + 30
    while not saved.exists() and monotonic() < end:
        sleep(0.05)
    data = saved.read_bytes()
    report = canonical.parse(data.removesuffix(b"\n"), "report")
    assert report["format"] == "airgap-bundle/report/1"
    assert (report["bundle"], report["sequence"], report["verdict"]) == ("zone-updates", 7, "refused")
    assert report["root"] == {"fingerprint": hashlib.sha256(root.read_bytes()).hexdigest(), "version": 1}
    results = [check["result"] for check in report["checks"]]
    assert results == ["passed"] * 6 + ["failed"] + ["not checked"] * 5
    assert [check["number"] for check in report["checks"]] == list(range(1, 13))
    assert {signer["role"] for signer in report["signers"]} == {"root", "timestamp", "snapshot", "targets"}


# What it may never do ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempt", "rule"),
    [
        ("fetch('https://example.invalid/')", "connect-src"),
        ("fetch('file:///etc/passwd')", "connect-src"),
        ("new WebSocket('wss://example.invalid/')", "connect-src"),
        ("navigator.sendBeacon('https://example.invalid/', 'x')", "connect-src"),
        ("new EventSource('https://example.invalid/')", "connect-src"),
        ("new Image().src = 'https://example.invalid/x.png'", "img-src"),
        ("new FontFace('x', 'url(https://example.invalid/x)').load()", "font-src"),
        ("import('https://example.invalid/x.js')", "script-src-elem"),
        (
            "document.body.append(Object.assign(document.createElement('iframe'), {src: 'https://example.invalid'}))",
            "frame-src",
        ),
        (
            "document.body.append(Object.assign(document.createElement('style'), {textContent: 'p{}'}))",
            "style-src-elem",
        ),
        ("eval('1')", "require-trusted-types-for"),
        ("WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))", "script-src"),
        ("document.body.innerHTML = '<b>x</b>'", "require-trusted-types-for"),
        ("trustedTypes.createPolicy('another', {})", "trusted-types"),
    ],
)
def test_the_page_can_open_nothing_and_run_nothing_else(page: Verifier, attempt: str, rule: str) -> None:
    broken = page.page.run_under_policy(
        "new Promise((resolve) => {"
        " document.addEventListener('securitypolicyviolation', (e) => resolve(e.effectiveDirective));"
        " setTimeout(() => resolve('no rule'), 5000);"
        f" try {{ Promise.resolve({attempt}).catch(() => {{}}); }} catch {{ /* the event says why */ }} }})"
    )
    assert broken == rule


def test_a_verification_sends_nothing_and_keeps_nothing(page: Verifier, vectors: Path, root: Path) -> None:
    page.verify(folder=vectors / "valid/several", root=root, clock=CLOCK)
    own = (VERIFIER.as_uri(), "blob:null/", "data:image/svg+xml")
    assert [url for url in page.page.requests() if not url.startswith(own)] == []
    assert page.page.run("document.cookie") == ""
    assert page.page.problems() == []


def test_a_cancelled_verification_gives_no_verdict_and_the_next_one_does(
    page: Verifier, vectors: Path, root: Path
) -> None:
    page.fill(folder=vectors / "valid/several", root=root, clock=CLOCK)
    page.page.run("document.getElementById('verify').click(); document.getElementById('cancel').click()")
    assert page.text("#hint") == "It was cancelled; there is no verdict."
    assert page.page.run("document.getElementById('result').hidden") is True
    answer = page.verify(folder=vectors / "valid/several", root=root, clock=CLOCK)
    assert answer.verdict == "accepted"


def test_without_workers_it_verifies_in_the_page(page: Verifier, vectors: Path, root: Path) -> None:
    page.page.run("globalThis.Worker = class { constructor() { throw new Error('no workers here'); } }")
    assert page.verify(folder=vectors / "valid/several", root=root, clock=CLOCK).verdict == "accepted"


def eventually(page: Verifier, selector: str, text: str) -> None:
    """Wait until an element says this."""
    page.page.run(
        "new Promise((resolve, reject) => { const end = Date.now() + 20000; const look = () => {"
        f" const said = document.querySelector({json.dumps(selector)}).textContent;"
        f" if (said === {json.dumps(text)}) resolve(); else if (Date.now() > end) reject(new Error(said));"
        " else setTimeout(look, 5); }; look(); })"
    )
