"""Whatever is given, reading ends soon with a tenant or with findings that a person can use."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from controlplane.tenants.errors import SpecInvalid
from controlplane.tenants.quotas import load
from controlplane.tenants.reading import as_json, read
from controlplane.tenants.yaml_tree import compose
from tests.specs.site import EXAMPLES, HERE, findings

TEXTS = [path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.yaml"))]
TEXTS += [path.read_text(encoding="utf-8") for path in sorted((HERE / "good").glob("*.yaml"))]

SNIPPETS = st.sampled_from(
    ["\t", "\n", ": ", "- ", "<<: ", "---\n", "...", "\r", "\0", "\u2028", "&a ", "*a", "!!int ", "\\x", "? "]
) | st.sampled_from(
    [*"[]{}'\"#|>%@`~é", "no", "007", "10.0.0.1/8", "::", "-1", "name"],
)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def must_be_usable(content: bytes | str) -> None:
    start = time.process_time()
    for finding in findings(content):
        assert finding.line >= 1
        assert finding.message
        assert finding.remedy[-1] in ".?"
        assert finding.render("x").isprintable()
    assert time.process_time() - start < 5


@unhurried
@given(st.binary(max_size=4096))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    must_be_usable(data)


@unhurried
@given(st.lists(st.one_of(SNIPPETS, st.text(max_size=8)), max_size=80).map("".join))
@example("? [")
@example("a: b: c")
@example("- - - - - - - - - - - - - - -")
def test_any_text_is_read_or_refused(text: str) -> None:
    must_be_usable(text)


@unhurried
@given(st.data())
def test_a_damaged_spec_is_read_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(st.one_of(SNIPPETS, st.text(max_size=4))) + text[at + cut :]
    must_be_usable(text)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), st.text(max_size=20), SNIPPETS
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@unhurried
@given(st.data())
def test_a_spec_with_any_value_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    tree = as_json(compose(data.draw(st.sampled_from(TEXTS))))
    node, key = tree, data.draw(st.sampled_from(sorted(tree)))
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
        node = node[key]
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
    node[key] = data.draw(VALUES)
    must_be_usable(yaml.safe_dump(tree, allow_unicode=True))


class Quoting(yaml.SafeDumper):
    """Puts every text in quotes."""


Quoting.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


@unhurried
@given(
    st.sampled_from(TEXTS),
    st.sampled_from([True, False]),
    st.sampled_from([True, False, None]),
    st.integers(2, 9),
    st.integers(30, 200),
)
def test_the_digest_does_not_depend_on_the_layout(
    text: str, sort: bool, flow: bool | None, indent: int, width: int
) -> None:
    tree = as_json(compose(text))
    other = yaml.dump(
        tree,
        Dumper=Quoting,
        sort_keys=sort,
        default_flow_style=flow,
        indent=indent,
        width=width,
        allow_unicode=True,
    )
    assert read(other, "other").digest == read(text, "one").digest


@unhurried
@given(st.lists(st.one_of(SNIPPETS, st.text(max_size=8)), max_size=40).map("".join))
def test_any_file_of_quota_classes_is_read_or_refused(text: str) -> None:
    with suppress(SpecInvalid):
        load("classes:\n" + text, "quotas.yaml")


@unhurried
@given(st.text(st.characters(exclude_characters='\\"\n\r'), max_size=40))
def test_text_in_quotes_is_read_as_it_stands(text: str) -> None:
    with suppress(SpecInvalid):
        spec = read(TEXTS[0].replace("KIS-0042", f'"{text}"'), "x")
        assert spec.tenant.governance.cost_centre == text
