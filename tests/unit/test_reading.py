"""What a spec says, where it stands, and what is refused in which words."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from controlplane.tenants import schema
from controlplane.tenants.errors import SpecInvalid
from controlplane.tenants.reading import MOST_FINDINGS, as_json, read
from controlplane.tenants.words import label
from controlplane.tenants.yaml_tree import compose, scalar
from tests.specs.made import GOOD, MADE, Made
from tests.specs.site import EXAMPLES, HERE, example, findings

BAD = sorted((HERE / "bad").glob("*.yaml"))
FINE = [*sorted((HERE / "good").glob("*.yaml")), *sorted(EXAMPLES.glob("*.yaml"))]


def expected_by(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("# line ")]


def said(content: bytes | str) -> list[str]:
    return ["line " + finding.render("").removeprefix(":") for finding in findings(content)]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_wrong_spec_gets_exactly_the_findings_that_it_announces(path: Path) -> None:
    assert said(path.read_bytes()) == expected_by(path)


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.name)
def test_what_is_no_text_is_refused_in_plain_words(made: Made) -> None:
    assert said(made.content) == list(made.expected)


def test_there_are_many_wrong_specs_and_every_one_announces_something() -> None:
    assert len(BAD) + len(MADE) >= 200
    assert all(expected_by(path) for path in BAD)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_finding_is_one_sentence_with_a_remedy_and_without_jargon(path: Path) -> None:
    for finding in findings(path.read_bytes()):
        assert not re.search(r"\. [A-Z]", finding.message)
        assert finding.remedy[0].isupper()
        assert finding.remedy[-1] in ".?"
        assert not re.search(r"pydantic|://|token|scalar|NoneType|dict", finding.message)
        assert len(finding.message) < 250


@pytest.mark.parametrize("path", FINE, ids=lambda path: path.stem)
def test_a_right_spec_gets_no_findings(path: Path) -> None:
    assert said(path.read_bytes()) == []


# --- refused ----------------------------------------------------------------------------------------------


def refusal(text: bytes | str) -> SpecInvalid:
    with pytest.raises(SpecInvalid) as refused:
        read(text, "acme.yaml")
    return refused.value


def test_a_refusal_exits_10_and_names_file_line_and_remedy() -> None:
    problem = refusal(GOOD.replace("internal", "intern"))
    assert problem.exit_code == 10
    assert str(problem).startswith("acme.yaml:2: classification of governance is 'intern', must be public")
    assert problem.remedy == "Did you mean 'internal'?"


def test_a_large_file_is_refused_before_it_is_parsed() -> None:
    large = b"a: [" + b"x, " * 4_000_000
    start = time.process_time()
    refusal(large)
    assert time.process_time() - start < 0.1


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        "{a: " * 250_000,
        "? " * 500_000,
        "- " * 500_000,
        "a: &a " * 100_000,
        "'" + "x" * 1_000_000,
    ],
    ids=["brackets", "braces", "keys", "dashes", "anchors", "quote"],
)
def test_a_malicious_file_is_refused_quickly(text: str) -> None:
    start = time.process_time()
    refusal(text)
    assert time.process_time() - start < 2


def test_at_most_fifty_findings_are_told() -> None:
    many = GOOD + "groups:\n" + "".join(f"  - {{nme: g{i}}}\n" for i in range(100))
    assert len(refusal(many).findings) == MOST_FINDINGS


def test_findings_come_by_line() -> None:
    lines = [f.line for f in refusal((HERE / "bad" / "many-at-once.yaml").read_bytes()).findings]
    assert lines == sorted(lines)


def test_what_stands_below_a_repeated_key_is_not_told_twice() -> None:
    problem = refusal(GOOD + "groups: []\ngroups: 3\n")
    assert [f.path for f in problem.findings] == ["groups"]


# --- read -------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_tolerated() -> None:
    assert read(b"\xef\xbb\xbf" + GOOD.encode(), "x").tenant == read(GOOD, "x").tenant


def test_windows_line_ends_do_not_move_lines() -> None:
    spec = read(GOOD.replace("\n", "\r\n"), "x")
    assert spec.line(("projects", 0, "quota")) == 4


def test_a_path_leads_to_the_line_of_its_key() -> None:
    spec = example("ministry")
    for path, text in (
        (("tenant",), "tenant: ministry"),
        (("governance", "valid_until"), "  valid_until: 2030-12-31"),
        (("projects", 1), "  - name: dev"),
        (("projects", 0, "quota", "compute", "cores"), "        cores: 48"),
        (("projects", 0, "routers", 0, "external"), "        external: public"),
    ):
        assert spec.text.splitlines()[spec.line(path) - 1].startswith(text)


def test_a_path_to_nothing_leads_to_what_should_contain_it() -> None:
    spec = read(GOOD, "x")
    assert spec.line(("projects", 0, "networks", 3, "name")) == spec.line(("projects", 0))
    assert spec.line(("governance", "contact")) == 2


def test_things_are_named_as_people_name_them() -> None:
    spec = example("hospital")
    assert spec.label(()) == "the tenant"
    assert spec.label(("governance", "owner")) == "owner of governance"
    assert (
        spec.label(("projects", 0, "quota", "volume", "size_gib"))
        == "quota.volume.size_gib of project clinic"
    )
    assert spec.label(("projects", 0, "security_groups", 0, "rules", 2)) == "rule 3 of security group records"
    assert label({}, ("projects", 4, "name")) == "name of project 5"


# --- digest -----------------------------------------------------------------------------------------------


def test_the_digest_ignores_comments_order_of_keys_and_layout() -> None:
    here = read((HERE / "good" / "smallest.yaml").read_bytes(), "a")
    there = read((HERE / "good" / "as-json.yaml").read_bytes(), "b")
    assert here.digest == there.digest == read("# a comment\n" + here.text, "c").digest
    assert re.fullmatch(r"[0-9a-f]{64}", here.digest)


def test_the_digest_knows_every_value() -> None:
    changed = GOOD.replace("Acme", "Acme Ltd")
    assert read(changed, "x").digest != read(GOOD, "x").digest


# --- YAML -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loader", [yaml.SafeLoader, yaml.CSafeLoader], ids=["python", "c"])
@pytest.mark.parametrize("path", [*FINE, *BAD], ids=lambda path: path.stem)
def test_both_parsers_see_the_same_values_on_the_same_lines(
    path: Path, loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_text(encoding="utf-8")
    ours = compose(text)
    monkeypatch.setattr("controlplane.tenants.yaml_tree._Loader", loader)
    theirs = compose(text)
    assert (theirs.value, theirs.broken) == (ours.value, ours.broken)
    assert {p: place.line for p, place in theirs.places.items()} == {
        p: place.line for p, place in ours.places.items()
    }


PLAIN = {
    "": None,
    "~": None,
    "true": True,
    "FALSE": False,
    "-7": -7,
    "0": 0,
    **{text: text for text in ("10.0.0.1", "1.2.3", "8000-8010", "-", "=", "2027-13-01")},
}


@pytest.mark.parametrize("text", PLAIN)
def test_a_plain_value_is_what_it_looks_like(text: str) -> None:
    assert scalar(text) == PLAIN[text]


ODD = {
    "yes-no": ("no", "Off", "Y"),
    "octal": ("007", "-010"),
    "number": ("0o7", "0xff", "1_000"),
    "sixties": ("12:30", "-1:30.5"),
    "fraction": ("1.5", "1e3", ".inf"),
    "time": ("2027-01-01 10:00:00", "2027-1-1T1:00:00Z"),
    "huge": ("1" * 30,),
}


@pytest.mark.parametrize(("why", "text"), [(why, text) for why, texts in ODD.items() for text in texts])
def test_a_plain_value_that_readers_disagree_about_is_nothing(why: str, text: str) -> None:
    assert getattr(scalar(text), "why", None) == why


# --- schema -----------------------------------------------------------------------------------------------


def test_the_shipped_schema_is_current() -> None:
    assert schema.main(["--check"]) == 0


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.FILE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", FINE, ids=lambda path: path.stem)
def test_a_right_spec_is_valid_by_the_schema(path: Path) -> None:
    jsonschema.Draft202012Validator(schema.schema()).validate(
        as_json(compose(path.read_text(encoding="utf-8")))
    )


@pytest.mark.parametrize(
    "name", ["key-unknown-project", "subnet-with-two-sources", "assignment-to-two", "range-mtu"]
)
def test_the_schema_helps_an_editor_to_see_a_wrong_spec(name: str) -> None:
    text = (HERE / "bad" / f"{name}.yaml").read_text(encoding="utf-8")
    assert not jsonschema.Draft202012Validator(schema.schema()).is_valid(as_json(compose(text)))


def test_every_model_is_described_in_the_schema() -> None:
    made = schema.schema()
    assert all(part.get("description") for part in (made, *made["$defs"].values()))
