"""The carry sheet: all that two people compare, on paper, from one file that loads nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from airgap_bundle.carry import Carried, carry
from airgap_bundle.carry_sheet import HTML_NAME, TEXT_NAME, code, page, text, write_sheets
from airgap_bundle.fingerprint_words import unwords
from airgap_bundle.medium import open_medium
from airgap_bundle.parity import Wish
from airgap_bundle.release import Base
from tests.bundle.make_bundle import held_entry, make_bundle

TITLE = "November <script>alert(1)</script> & more"
FILES = {f"apt/{n}.deb": bytes([n]) * 400_000 for n in range(8)} | {"pypi/a.whl": b"wheel"}


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carried:
    folder = tmp_path_factory.mktemp("sheet")
    made = make_bundle(
        folder / "b",
        FILES,
        7,
        title=TITLE,
        extra=[held_entry("images/base", b"held")],
        base=Base("0" * 64, 6),
    )
    return carry(made.folder, folder / "m", volume_size=1_500_000, parity=Wish(volumes=1))


class Read(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, data: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def sheets(carried: Carried) -> list[str]:
    return [Read(page(carried)).text, text(carried)]


def test_both_sheets_say_what_travels(carried: Carried) -> None:
    for sheet in sheets(carried):
        flat = re.sub(r"[\s:]+", " ", sheet)
        for said in (
            "zone-updates 7",
            "2026-11-29 10 00 UTC",
            "Next expected 2026-12-29",
            "Root version 1",
            "sequence 6, which must be there already",
            "apt 8 3.2 MB",
            "pypi 1 5 bytes",
            "images 1 4 bytes",
            "all 10 3.2 MB",
        ):
            assert said in flat


def test_both_sheets_say_each_digest_in_digits_and_in_words(carried: Carried) -> None:
    digests = [carried.bundle.release_sha256, *(file.sha256 for file in carried.files)]
    for sheet in sheets(carried):
        lines = re.findall(r"\b(?:[0-9a-f]{4} ){7}[0-9a-f]{4}\b", sheet)
        found = ["".join(pair).replace(" ", "") for pair in zip(lines[::2], lines[1::2], strict=True)]
        assert found == digests
    said = re.findall(r"^  ((?:[a-z]+ +){7}[a-z]+)$", text(carried), re.MULTILINE)
    spoken = [unwords(" ".join(said[at : at + 4]).split()).hex() for at in range(0, len(said), 4)]
    assert spoken == digests


def test_both_sheets_name_each_file_and_have_a_line_for_its_medium(carried: Carried) -> None:
    assert [file.volume for file in carried.files] == [*range(1, carried.volumes + 1), None]
    for sheet in sheets(carried):
        for file in carried.files:
            assert file.name in sheet
        for which in ("volume 1 of 8", "volume 8 of 8", "parity"):
            assert len(re.findall(which + r"\b", sheet)) >= 2
        for who in ("packed by", "carrier 1", "carrier 2", "received by", "witness"):
            assert who in sheet.lower()


def test_the_page_loads_nothing_and_runs_nothing(carried: Carried) -> None:
    read = Read(page(carried))
    assert not read.tags & {"script", "img", "link", "iframe", "object", "a", "form"}
    loads = {"src", "href", "action", "data", "xlink:href", "srcset"}
    assert not [name for name, _ in read.attributes if name in loads or name.startswith("on")]
    assert "url(" not in page(carried)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in read.attributes
    assert TITLE in read.text


def test_the_code_is_the_releases_digest(carried: Carried) -> None:
    assert code(carried) == f"release zone-updates 7 sha256 {carried.bundle.release_sha256}"
    assert f"<title>{code(carried)}</title>" in page(carried)


def test_the_text_is_for_any_printer(carried: Carried) -> None:
    sheet = text(carried)
    assert sheet.isascii()
    assert max(len(line) for line in sheet.splitlines()) <= 80
    assert all(line == line.rstrip() for line in sheet.splitlines())


def test_sheets_may_lie_on_the_medium(carried: Carried) -> None:
    assert [path.name for path in write_sheets(carried, carried.to)] == [HTML_NAME, TEXT_NAME]
    with open_medium([carried.to]) as medium:
        assert medium.missing == ()


def test_a_single_volume_has_a_sheet_of_its_own(carried: Carried, tmp_path: Path) -> None:
    alone = carry(carried.bundle.folder, tmp_path, volume_size=1_500_000, only=2)
    sheet = text(alone)
    assert sheet.count("SHA-256") == 0
    assert "volume 2 of" in sheet
    assert "volume 1 of" not in sheet


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
def test_the_sheet_of_a_container_is_one_page(carried: Carried, tmp_path: Path) -> None:
    one = carry(carried.bundle.folder, tmp_path / "m")
    write_sheets(one, tmp_path)
    print_it = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    print_it += [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'sheet.pdf'}"]
    subprocess.run([*print_it, (tmp_path / HTML_NAME).as_uri()], capture_output=True, check=True, timeout=120)
    assert (tmp_path / "sheet.pdf").read_bytes().count(b"/Type /Page\n") == 1
