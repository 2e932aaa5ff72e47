"""The site's policy: read strictly, because half of a policy is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from airgap_bundle.policy import Policy, PolicyProblem
from tests.bundle.zone import ANNA, BERT

TEXT = f"""
format: airgap-bundle/policy/1
expired: two people
vouched:
  - part: apt
    team: debian
    threshold: 2
    keys:
      - {ANNA.public.line}
      - {BERT.public.line}
"""


def test_a_policy_is_read() -> None:
    policy = Policy.parse(TEXT)
    assert policy.expired == "two people"
    [demand] = policy.demands
    assert (demand.part, demand.team, demand.threshold) == ("apt", "debian", 2)
    assert demand.keys == (ANNA.public, BERT.public)


def test_without_a_word_expired_bundles_are_refused_and_nothing_is_demanded() -> None:
    assert Policy.parse("format: airgap-bundle/policy/1") == Policy()
    assert not Policy().admitted_by("anna", "bert").admitted


@pytest.mark.parametrize(
    ("names", "enough"),
    [
        ((), False),
        (("anna",), False),
        (("anna", "bert"), True),
        (("anna", "anna"), False),
        (("anna", " Anna "), False),
        (("anna", "ANNA", "bert"), True),
        (("anna", ""), False),
        (("anna", "  "), False),
    ],
)
def test_two_people_are_two_different_people(names: tuple[str, ...], enough: bool) -> None:
    assert Policy.parse(TEXT).admitted_by(*names).admitted is enough


WRONG = {
    "no format": ("format: airgap-bundle/policy/1\n", ""),
    "another format": ("policy/1", "policy/2"),
    "an unknown field": ("expired:", "expires:"),
    "an unknown word": ("two people", "ask"),
    "yes": ("two people", "yes"),
    "a field twice": ("expired: two people", "expired: two people\nexpired: refuse"),
    "an unknown field in a demand": ("team:", "group:"),
    "no keys": ("keys:\n", "keys: []\nx:\n"),
    "a threshold out of reach": ("threshold: 2", "threshold: 3"),
    "threshold zero": ("threshold: 2", "threshold: 0"),
    "a threshold that is yes": ("threshold: 2", "threshold: yes"),
    "a part in upper case": ("part: apt", "part: APT"),
    "a part that is a number": ("part: apt", "part: 7"),
    "a key of another type": ("ssh-ed25519", "ssh-rsa"),
    "a key twice": (BERT.public.line, ANNA.public.line),
    "demands that are a mapping": ("  - part", "    part"),
    "no YAML": ("vouched:", "vouched: ["),
    "an object": ("two people", "!!python/object/apply:os.system [id]"),
    "a list": (TEXT, "- 1\n"),
    "nothing": (TEXT, ""),
}


@pytest.mark.parametrize(("old", "new"), WRONG.values(), ids=WRONG.keys())
def test_a_policy_that_is_only_half_understood_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(PolicyProblem, match="site"):
        Policy.parse(TEXT.replace(old, new), "site")


def test_a_file_is_read_and_its_name_is_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    with pytest.raises(PolicyProblem, match="cannot be read"):
        Policy.read(path)
    path.write_text(TEXT)
    assert Policy.read(path) == Policy.parse(TEXT)
    path.write_text(TEXT + "more: 1\n")
    with pytest.raises(PolicyProblem, match=r"policy\.yaml: the policy has the unknown field 'more'"):
        Policy.read(path)
    path.write_text("#" * 300_000)
    with pytest.raises(PolicyProblem, match="larger"):
        Policy.read(path)
