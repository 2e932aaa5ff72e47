"""Canonical JSON: one form, and every other form of the same value is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.canonical import DEEPEST, LARGEST, Malformed, parse, render

keys = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert parse(render(value), "test") == value


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_only_canonical_bytes_are_read(data: bytes) -> None:
    with suppress(Malformed):
        assert render(parse(data, "test")) == data


@given(values, st.data())
def test_a_changed_byte_is_another_value_or_refused(value: Any, data: st.DataObject) -> None:
    """Two files never mean the same."""
    written = bytearray(render(value))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(Malformed):
        again = parse(bytes(written), "test")
        assert render(again) != render(value)


TRICKS = {
    "a key twice": b'{"a":1,"a":2}',
    "a key twice with one value": b'{"a":1,"a":1}',
    "keys out of order": b'{"b":1,"a":2}',
    "a space": b'{"a": 1}',
    "a line end": b'{"a":1}\n',
    "a byte order mark": b'\xef\xbb\xbf{"a":1}',
    "a fraction": b'{"a":1.5}',
    "a fraction that is whole": b'{"a":1.0}',
    "an exponent": b'{"a":1e2}',
    "minus zero": b'{"a":-0}',
    "a leading zero": b'{"a":01}',
    "a plus": b'{"a":+1}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "a number beyond 2^53": b'{"a":9007199254740992}',
    "a number below -2^53": b'{"a":-9007199254740992}',
    "a number of a million digits": b'{"a":' + b"1" * 1_000_000 + b"}",
    "a huge exponent": b'{"a":1e999999999}',
    "a lone surrogate": b'{"a":"\\ud800"}',
    "an escaped pair": b'{"a":"\\ud83d\\ude00"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "an overlong form": b'{"a":"\xc0\xaf"}',
    "an escape that was not needed": b'{"a":"\\u0061"}',
    "an escaped slash": b'{"a":"\\/"}',
    "an upper-case escape": b'{"a":"\\u001F"}',
    "a raw control character": b'{"a":"\x01"}',
    "a raw line end in a text": b'{"a":"\n"}',
    "something behind the value": b"{}{}",
    "a comma at the end": b"[1,]",
    "a comment": b"{}//",
    "single quotes": b"{'a':1}",
    "a key beyond ASCII": '{"ä":1}'.encode(),
    "an empty key": b'{"":1}',
    "a key with a quote": b'{"\\"":1}',
    "nothing": b"",
    "a NUL behind it": b"{}\0",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "nested too deep": b"[" * (DEEPEST + 2) + b"]" * (DEEPEST + 2),
    "nested far too deep": b"[" * 100_000,
    "nested too deep behind a long text": b'["' + b"x" * 300 + b'",' + b"[" * 100_000 + b"]" * 100_001,
    "nested objects far too deep": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("data", TRICKS.values(), ids=TRICKS.keys())
def test_a_trick_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        parse(data, "release.json")
    assert str(refused.value).startswith("release.json is malformed: ")
    assert refused.value.exit_code == 40
    assert len(str(refused.value)) < 300, "hostile bytes are not quoted at length"


@pytest.mark.parametrize(
    "value",
    [1.0, {"a": 0.5}, LARGEST + 1, -LARGEST - 1, {"a b": 1}, {1: 2}, "\ud800", b"bytes", {1, 2}, (1, 2)],
    ids=repr,
)
def test_a_value_without_a_canonical_form_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        render(value)


def test_sixteen_levels_are_enough() -> None:
    value: Any = 1
    for _ in range(DEEPEST):
        value = [value]
    assert parse(render(value), "test") == value
    with pytest.raises(ValueError, match="deep"):
        render([value])
