"""The states of a tenant and what moves it between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from controlplane.tenants.errors import NotNow
from controlplane.tenants.lifecycle import TRANSITIONS, VERBS, State, Transition, diagram, step

S = State
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "tenants.md"
POSSIBLE = {(t.before, t.verb): t for t in TRANSITIONS}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_in_every_state_is_an_arrow_or_a_refusal_with_a_remedy(state: State, verb: str) -> None:
    if (arrow := POSSIBLE.get((state, verb))) is not None:
        assert step("ministry", state, verb) is arrow
        return
    with pytest.raises(NotNow) as refusal:
        step("ministry", state, verb)
    text = str(refusal.value)
    assert "ministry" in text
    assert str(state) in text
    remedy = refusal.value.facts["remedy"]
    assert remedy[0].isupper()
    assert remedy.endswith(".")
    assert "no state" not in remedy


def test_no_state_has_two_arrows_of_one_verb() -> None:
    assert len(POSSIBLE) == len(TRANSITIONS)


def test_every_state_can_be_reached_and_has_a_way_on() -> None:
    reached, frontier = {S.DRAFT, S.DRIFTED, S.FAILED}, True  # looks and failures make the latter two
    while frontier:
        more = {x for t in TRANSITIONS if t.before in reached for x in (t.during, t.after)} - reached
        reached |= more
        frontier = bool(more)
    assert reached == set(State)
    on_the_way = {t.during for t in TRANSITIONS}
    assert {t.before for t in TRANSITIONS} | on_the_way == set(State)


@pytest.mark.parametrize(
    ("state", "verb", "during", "after"),
    [
        (S.DRAFT, "apply", S.PROVISIONING, S.ACTIVE),
        (S.HANDED_OVER, "apply", S.CHANGING, S.HANDED_OVER),
        (S.DRIFTED, "apply", S.CHANGING, S.ACTIVE),
        (S.FAILED, "apply", S.CHANGING, S.ACTIVE),
        (S.ERASED, "apply", S.PROVISIONING, S.ACTIVE),
        (S.ACTIVE, "suspend", S.ACTIVE, S.SUSPENDED),
        (S.SUSPENDED, "retire", S.RETIRING, S.GRACE),
        (S.GRACE, "restore", S.GRACE, S.ACTIVE),
        (S.GRACE, "erase", S.ERASING, S.ERASED),
        (S.ERASING, "erase", S.ERASING, S.ERASED),
    ],
)
def test_an_arrow(state: State, verb: str, during: State, after: State) -> None:
    assert step("ministry", state, verb) == Transition(verb, state, during, after)


@pytest.mark.parametrize(
    ("state", "verb", "word"),
    [
        (S.DRAFT, "erase", "apply"),
        (S.ACTIVE, "erase", "GRACE"),
        (S.SUSPENDED, "apply", "resume"),
        (S.GRACE, "apply", "restore"),
        (S.ERASED, "handover", "apply"),
        (S.ERASING, "apply", "tenant erase"),
        (S.CHANGING, "retire", "job list"),
        (S.PROVISIONING, "apply", "job list"),
    ],
)
def test_a_remedy_names_the_next_step(state: State, verb: str, word: str) -> None:
    with pytest.raises(NotNow) as refusal:
        step("ministry", state, verb)
    assert word.lower() in refusal.value.facts["remedy"].lower()


def test_the_diagram_has_every_arrow() -> None:
    drawn = diagram()
    for arrow in TRANSITIONS:
        if arrow.during is arrow.before:
            assert f"{arrow.before} --> {arrow.after}: {arrow.verb}" in drawn
        else:
            assert f"{arrow.before} --> {arrow.during}: {arrow.verb}" in drawn
            assert f"{arrow.during} --> {arrow.after}: done" in drawn


def test_the_page_shows_the_diagram_of_the_table() -> None:
    assert f"```mermaid\n{diagram()}```\n" in PAGE.read_text()
