"""The report says the same in text, JSON and HTML, and never more than what was found."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.canonical import Malformed
from airgap_bundle.errors import BundleRefused
from airgap_bundle.report import CHECKS, NEEDED, STANDS_ON, Report, Result, Signer, Verdict

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e&\"'"


class Damaged(BundleRefused):
    exit_code = 44
    message = "blob {blob} differs"
    hint = "Write the medium again."


def good() -> Report:
    report = Report(bundle="zone-updates", sequence=7, title="November", release="ab" * 32)
    report.root_version, report.root_fingerprint = 2, "SHA256:abc"
    report.signers.append(Signer("targets", "SHA256:def", "anna@admin-1"))
    for number in CHECKS:
        report.passed(number, f"all of {CHECKS[number]} is well")
    return report


class Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


def test_a_bundle_is_accepted_when_all_checks_passed() -> None:
    report = good()
    assert report.verdict is Verdict.ACCEPTED
    assert report.exit_code == 0
    assert "ACCEPTED" in report.to_text()


def test_a_failed_check_refuses_with_its_exit_code_sentence_and_remedy() -> None:
    report = good()
    report.failed(11, Damaged(blob="9c"))
    assert report.verdict is Verdict.REFUSED
    assert report.exit_code == 44
    assert report.sentence == "REFUSED at check 11 (blobs): blob 9c differs"
    assert report.remedy == "Write the medium again."


@pytest.mark.parametrize("number", CHECKS)
def test_what_stands_on_a_failed_check_says_so(number: int) -> None:
    report = Report()
    for below in range(1, number):
        report.passed(below, "well")
    report.failed(number, Damaged(blob="x"))
    for check in report.checks[number:]:
        assert check.result is Result.NOT_CHECKED
        assert "failed" in check.text
        if number in STANDS_ON[check.number]:
            assert check.text == f"it stands on check {number} ({CHECKS[number]}), which failed"


@pytest.mark.parametrize("number", CHECKS)
def test_a_bundle_is_incomplete_only_without_a_check_that_it_needs(number: int) -> None:
    report = good()
    report.skipped(number, "volume 2 is not here")
    assert (report.verdict is Verdict.INCOMPLETE) == (number in NEEDED)
    assert report.exit_code == (75 if number in NEEDED else 0)
    assert "volume 2 is not here" in report.to_text()
    if number not in NEEDED:
        assert f"check {number} could not be made" in report.sentence


def test_a_report_of_nothing_is_incomplete_and_not_accepted() -> None:
    report = Report()
    assert report.verdict is Verdict.INCOMPLETE
    assert [check.number for check in report.checks] == list(range(1, 13))
    assert "did not get as far" in report.to_text()


def test_a_problem_inside_a_check_is_recorded_and_goes_on() -> None:
    report = Report()
    with pytest.raises(Malformed), report.checking(6):
        raise Malformed(what="release.json", why="it is not canonical JSON")
    assert report.checks[5].result is Result.FAILED
    assert report.exit_code == 40


def test_the_first_failure_decides_the_exit_code() -> None:
    report = Report()
    report.failed(10, Malformed(what="a", why="b"))
    report.failed(11, Damaged(blob="c"))
    assert report.exit_code == 40


def test_the_json_is_what_the_specification_gives() -> None:
    report = good()
    report.failed(12, Damaged(blob="9c"))
    value = json.loads(report.to_json())
    assert value["format"] == "airgap-bundle/report/1"
    assert value["verdict"] == "refused"
    assert (value["bundle"], value["sequence"], value["release"]) == ("zone-updates", 7, "ab" * 32)
    assert value["root"] == {"fingerprint": "SHA256:abc", "version": 2}
    assert value["signers"] == [{"key": "SHA256:def", "name": "anna@admin-1", "role": "targets"}]
    assert [c["number"] for c in value["checks"]] == list(range(1, 13))
    assert value["checks"][11] == {
        "name": "contents",
        "number": 12,
        "remedy": "Write the medium again.",
        "result": "failed",
        "text": "blob 9c differs",
    }


def test_states_stand_in_one_column_and_are_words_without_colour() -> None:
    report = good()
    report.skipped(12, "base ab is not here")
    report.failed(11, Damaged(blob="9c"))
    lines = [line for line in report.to_text().splitlines() if line[:4].strip().isdigit()]
    assert len(lines) == 12
    assert {line[17:30].rstrip() for line in lines} == {"passed", "FAILED", "not checked"}
    assert "\x1b" not in report.to_text()


def test_colour_changes_nothing_but_colour() -> None:
    report = good()
    report.failed(11, Damaged(blob="9c"))
    painted = report.to_text(colour=True)
    for code in ("\x1b[32m", "\x1b[31;1m", "\x1b[0m"):
        assert code in painted
        painted = painted.replace(code, "")
    assert painted == report.to_text()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_text_keeps_to_the_width_of_the_terminal(width: int) -> None:
    report = good()
    report.passed(1, "volumes 1 and 2 of 2 are here " * 12)
    rows = report.to_text(width=width).splitlines()[4:16]
    assert all(len(row) <= width for row in rows)


@pytest.mark.parametrize("where", ["text", "problem", "title", "note", "signer", "why"])
def test_data_of_a_bundle_stays_data(where: str) -> None:
    report = good()
    if where == "text":
        report.passed(3, HOSTILE)
    elif where == "why":
        report.skipped(12, HOSTILE)
    elif where == "problem":
        report.failed(11, Damaged(blob=HOSTILE))
    elif where == "title":
        report.title = HOSTILE
    elif where == "note":
        report.note(HOSTILE)
    else:
        report.signers.append(Signer("targets", "SHA256:x", HOSTILE))
    assert "\x1b" not in report.to_text()
    assert b"\x1b" not in report.to_json()
    page = Page(report.to_html())
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.words
    assert "\x1b" not in page.words
    assert "\u202e" not in page.words


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    report = good()
    page = Page(report.to_html())
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert not [
        name for name, _ in page.attributes if name in ("src", "href", "action") or name.startswith("on")
    ]
    assert "url(" not in report.to_html()
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    for check in report.checks:
        assert check.text in page.words


@given(st.text())
def test_any_text_gives_twelve_lines_and_readable_json(text: str) -> None:
    report = Report(bundle="b", sequence=1)
    report.passed(1, text)
    report.failed(2, Malformed(what="x", why=text))
    assert len(json.loads(report.to_json())["checks"]) == 12
    assert report.to_html().count("<tr class=") == 12
