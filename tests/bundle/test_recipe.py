"""What a recipe says, what is refused and in which words, each with its line."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import recipe
from airgap_bundle.recipe_parts import Image, Recipe
from airgap_bundle.recipe_table import FIELDS
from airgap_bundle.recipe_yaml import looks_like
from airgap_bundle.sources.errors import NotThere, RecipeInvalid
from tests.bundle.wrong_recipes import HEAD, WRONG

EXAMPLES = sorted(Path(recipe.__file__).parents[1].joinpath("recipes").glob("*.yaml"))
GOOD = HEAD + "documents: [a.pdf]\n"


def read(text: str | bytes) -> Recipe:
    return recipe.parse(text if isinstance(text, bytes) else text.encode(), "zone.yaml", Path("/recipes"))


def refusal(text: str | bytes) -> RecipeInvalid:
    with pytest.raises(RecipeInvalid) as refused:
        read(text)
    return refused.value


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_recipe_gets_exactly_these_findings(name: str) -> None:
    text, expected = WRONG[name]
    assert [f"{f.line}: {f.message}" for f in refusal(text).findings] == expected


@pytest.mark.parametrize("name", WRONG)
def test_a_finding_is_one_clause_and_its_remedy_a_sentence_without_jargon(name: str) -> None:
    for finding in refusal(WRONG[name][0]).findings:
        assert not re.search(r"\. [A-Z]", finding.message)
        assert finding.remedy[0].isupper()
        assert not re.search(r"scalar|token|NoneType|dict|regex|pattern", finding.message)
        assert len(finding.message) < 250


def test_a_refusal_exits_10_and_says_file_line_what_and_what_to_do() -> None:
    problem = refusal(HEAD + "documents: [a.pdf]\ndebain: []\nfile: [x]\n")
    assert problem.exit_code == 10
    assert str(problem) == "zone.yaml:5: a recipe has no key 'debain' (and 1 more)"
    assert problem.remedy == "Did you mean 'debian'?"
    assert [f.line for f in problem.findings] == [5, 6]


def test_what_is_not_utf8_is_refused_with_its_line() -> None:
    (finding,) = refusal(HEAD.encode() + b"documents: [\xff.pdf]\n").findings
    assert (finding.line, finding.message) == (4, "the byte 0xff is not UTF-8 text")


def test_more_than_a_mebibyte_is_not_read(tmp_path: Path) -> None:
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(RecipeInvalid, match="at most 1048576 are read"):
        recipe.read(big)


def test_a_recipe_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match=r"none\.yaml: cannot be read"):
        recipe.read(tmp_path / "none.yaml")


def test_at_most_fifty_findings_are_told() -> None:
    assert len(refusal(HEAD + "documents:\n" + "  - {}\n" * 80).findings) == 50


# --- what is right ----------------------------------------------------------------------------------------

FULL = (
    HEAD
    + """
inside: [zone.example]
allow:
  - {path: "ansible/*", value: "https://keystone.zone", because: it is the zone's own API}
debian:
  - suites: [bookworm, bookworm-security]
    packages: [openssl, "hello=2.10-3"]
    upgrade: true
    base: {priorities: [required], packages: [openssh-server]}
python:
  - version: "3.11"
    requirements: ["textual==6.6.0", "rich>=13; python_version >= '3.9'"]
images:
  - image: example.org:5000/library/debian:12@sha256:"""
    + "a" * 64
    + """
files:
  - firmware/nic.bin
  - {path: "more/*.bin", under: firmware}
disk_images:
  - {path: base.qcow2, as: base.raw}
ansible:
  collections: [acme-net-1.0.0.tar.gz]
vulnerabilities:
  - {path: all.zip, kind: osv}
"""
)


def test_defaults_fill_what_a_recipe_leaves_out() -> None:
    made = read(FULL)
    assert made.next_expected == 30
    assert made.debian[0].components == ("main",)
    assert made.debian[0].architectures == ("amd64",)
    assert made.debian[0].dependencies
    assert not made.debian[0].recommends
    assert made.python[0].glibc == "2.36"
    assert made.files[1].under == "firmware"
    assert made.disk_images[0].type == "application/octet-stream"
    assert made.folder == Path("/recipes")


@pytest.mark.parametrize(
    ("reference", "name", "tag", "digest", "place"),
    [
        ("debian", "debian", None, None, "debian"),
        ("debian:12", "debian", "12", None, "debian"),
        ("library/debian:12", "library/debian", "12", None, "debian"),
        (f"debian@sha256:{'0' * 64}", "debian", None, "0" * 64, "debian"),
        ("host.zone:5000/a/b:1", "host.zone:5000/a/b", "1", None, "b"),
        (f"host:5000/b:v1@sha256:{'0' * 64}", "host:5000/b", "v1", "0" * 64, "b"),
    ],
)
def test_an_image_name_is_taken_apart(
    reference: str, name: str, tag: str | None, digest: str | None, place: str
) -> None:
    image = Image(reference, None, None)
    assert (image.name, image.tag, image.digest, image.place) == (name, tag, digest, place)


def test_the_digest_says_what_the_recipe_means_and_not_how_it_is_written() -> None:
    assert read(FULL).digest == read("# a comment\n" + FULL.replace("[openssl,", "[ 'openssl' ,")).digest
    assert read(FULL).digest != read(FULL.replace("openssl", "openssh")).digest


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_recipes_are_right(path: Path) -> None:
    assert recipe.read(path).bundle


GUIDE = (EXAMPLES[0].parents[1] / "RECIPES.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[0])
def test_the_examples_of_the_guide_are_right(block: str) -> None:
    text = re.sub(r"[0-9a-f]{4}…", "a" * 64, block)
    if text.startswith("base:"):
        for line in text.splitlines():
            read(HEAD + f"debian:\n  - suites: [bookworm]\n    upgrade: true\n    {line}\n")
        return
    head = "" if text.startswith("bundle:") else HEAD
    rest = (
        ""
        if any(f"{part}:" in text for part in ("documents", "debian", "python", "images", "ansible"))
        else DATA
    )
    assert read(head + text + rest).bundle


DATA = "documents: [a.pdf]\n"


def test_the_guide_names_every_key() -> None:
    for key in FIELDS:
        assert f"`{key}`" in GUIDE or f"`{key}:`" in GUIDE, key


# --- the schema -------------------------------------------------------------------------------------------


def test_the_schema_file_is_what_the_table_says() -> None:
    assert recipe.SCHEMA_FILE.read_text() == recipe.schema_text(), "run: python -m airgap_bundle.recipe"


@pytest.mark.parametrize("text", [GOOD, FULL, *(p.read_text() for p in EXAMPLES)])
def test_the_schema_accepts_what_is_right(text: str) -> None:
    jsonschema.Draft202012Validator(recipe.schema()).validate(yaml.safe_load(text))


def test_the_schema_refuses_what_has_a_wrong_shape() -> None:
    validator = jsonschema.Draft202012Validator(recipe.schema())
    good: dict[str, Any] = yaml.safe_load(FULL)
    for key, value in (("bundle", "Zone"), ("documents", []), ("nothing", 1), ("next_expected", 30)):
        wrong = copy.deepcopy(good) | {key: value}
        assert list(validator.iter_errors(wrong)), key


# --- any bytes --------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_words(data: bytes) -> None:
    with pytest.raises(RecipeInvalid) as refused:
        read(data)
    assert all(f.line >= 1 and f.message and f.remedy for f in refused.value.findings)


@given(
    st.lists(
        st.sampled_from([*FULL.splitlines(), "- a", "  - [", "x: y", "\t", "'", "*a", "&a b"]), max_size=30
    )
)
def test_shuffled_lines_are_read_or_refused_in_words(lines: list[str]) -> None:
    try:
        bundle, findings = read("\n".join(lines)).bundle, []
    except RecipeInvalid as refused:
        bundle, findings = "zone", refused.findings
    assert bundle == "zone"
    assert all(f.line >= 1 and f.message and f.remedy for f in findings)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("3.11", "number"), ("0x1F", "number"), ("1e3", "number"), ("0o17", "number"), ("12:30", "number"),
     ("no", "word"), ("Off", "word"), ("True", "word"), ("true", "truth"), ("~", "nothing"),
     ("null", "nothing"), ("2026-11-23", "date"), ("openssl", "text"), ("3.0.17-1", "text"),
     ("1.2.3", "text"), ("-", "text")],
)  # fmt: skip
def test_what_yaml_readers_disagree_about_is_not_taken_for_text(text: str, kind: str) -> None:
    assert looks_like(text) == kind
