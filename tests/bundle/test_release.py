"""The release manifest: one form, fields that agree with each other, sums that agree with the content."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.canonical import Malformed, render
from airgap_bundle.content import HELD, Entry, Part, content, raw
from airgap_bundle.release import Base, Release, moment

SHA = "5f" * 32
CREATED = datetime(2026, 11, 23, 10, tzinfo=UTC)
CONTENT = content([raw("apt/a.deb", SHA, 10, "a/b"), raw("files/a", "6e" * 32, 5, "a/b")])
RELEASE = Release(
    bundle="zone-updates",
    sequence=7,
    previous="77" * 32,
    created=CREATED,
    next_expected=CREATED + timedelta(days=30),
    title="November security updates",
    entries=2,
    size=15,
    carried=15,
    parts=CONTENT.parts(),
    base=Base("ab" * 32, 6),
    minimum_root=2,
)

sha = st.binary(min_size=32, max_size=32).map(bytes.hex)
count = st.integers(0, 2**53 - 1)
moments = st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
releases = st.builds(
    lambda created, days, sequence, previous, base, **rest: Release(
        created=created,
        next_expected=created + timedelta(days=days),
        sequence=sequence,
        previous=previous if sequence > 1 else None,
        base=base if base and base.sequence < sequence else None,
        **rest,
    ),
    created=moments,
    days=st.integers(1, 300),
    sequence=st.integers(1, 9) | st.integers(1, 2**53 - 1),
    previous=sha,
    base=st.none() | st.builds(Base, sha, st.integers(1, 2**53 - 1)),
    bundle=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True),
    title=st.text(max_size=200).filter(str.isprintable),
    entries=count,
    size=count,
    carried=count,
    parts=st.dictionaries(
        st.from_regex(r"[a-z0-9-]{1,9}", fullmatch=True), st.builds(Part, count, count, sha), max_size=3
    ),
    minimum_root=st.integers(1, 1024),
)


@given(releases)
def test_what_is_written_is_read_again(release: Release) -> None:
    assert Release.parse(release.render()) == release


@given(releases, st.data())
def test_only_what_would_be_written_is_read(release: Release, data: st.DataObject) -> None:
    damaged = bytearray(release.render())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] = data.draw(st.integers(0, 255))
    with suppress(Malformed):
        assert Release.parse(bytes(damaged)).render() == damaged


def changed(**fields: Any) -> bytes:
    value = json.loads(RELEASE.render())
    for name, to in fields.items():
        if to is ...:
            del value[name]
        else:
            value[name] = to
    return render(value)


WRONG = {
    "another format": {"format": "airgap-bundle/release/2"},
    "no format": {"format": ...},
    "a field more": {"colour": "red"},
    "a field less": {"title": ...},
    "sequence zero": {"sequence": 0},
    "a negative sequence": {"sequence": -7},
    "true as sequence": {"sequence": True},
    "a sequence in words": {"sequence": "7"},
    "no previous": {"previous": None},
    "a previous of the first": {"sequence": 1, "base": None},
    "a previous in upper case": {"previous": "AB" * 32},
    "a short previous": {"previous": "ab" * 31},
    "a base that is itself": {"base": {"receipt": SHA, "sequence": 7}},
    "a base that is newer": {"base": {"receipt": SHA, "sequence": 8}},
    "a base without receipt": {"base": {"sequence": 6}},
    "a base that is a list": {"base": [SHA, 6]},
    "a base with a field more": {"base": {"receipt": SHA, "sequence": 6, "x": 1}},
    "an empty name": {"bundle": ""},
    "a name with a slash": {"bundle": "../zone"},
    "a name in upper case": {"bundle": "Zone"},
    "a name of 64 letters": {"bundle": "a" * 64},
    "a title of two lines": {"title": "all is well\nACCEPTED"},
    "a title with a terminal escape": {"title": "\x1b[2J"},
    "a long title": {"title": "a" * 201},
    "a date without zone": {"created": "2026-11-23T10:00:00"},
    "a date with another zone": {"created": "2026-11-23T10:00:00+01:00"},
    "a date with a fraction": {"created": "2026-11-23T10:00:00.0Z"},
    "a date that is none": {"created": "2026-02-30T10:00:00Z"},
    "a minute too many": {"created": "2026-11-23T10:60:00Z"},
    "a short date": {"created": "2026-1-2T3:4:5Z"},
    "a date in other digits": {"created": "２０２６-11-23T10:00:00Z"},
    "the next before this": {"next_expected": "2026-11-23T10:00:00Z"},
    "no root is enough": {"minimum_root": 0},
    "content that is a list": {"content": [1, 2, 3]},
    "parts that are a list": {"parts": []},
    "a part that is a path": {"parts": {"a.b": {"bytes": 1, "entries": 1, "sha256": SHA}}},
    "a part without digest": {"parts": {"a": {"bytes": 1, "entries": 1}}},
}


@pytest.mark.parametrize("fields", WRONG.values(), ids=WRONG.keys())
def test_a_release_that_contradicts_itself_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=r"release\.json is malformed"):
        Release.parse(changed(**fields))


@pytest.mark.parametrize(
    "data", [b"", b"null", b"[]", b"7", b'"x"', b"{}", b" " + RELEASE.render(), b"x" * 1_000_001]
)
def test_what_is_no_release_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Release.parse(data)


def test_its_sums_are_those_of_the_content() -> None:
    RELEASE.check_content(CONTENT)
    for wrong in (
        replace(RELEASE, entries=3),
        replace(RELEASE, size=16),
        replace(RELEASE, carried=14),
        replace(RELEASE, parts={"apt": RELEASE.parts["apt"]}),
        replace(RELEASE, parts={**RELEASE.parts, "more": Part(0, 0, SHA)}),
        replace(RELEASE, parts={**RELEASE.parts, "apt": RELEASE.parts["apt"]._replace(sha256=SHA)}),
    ):
        with pytest.raises(Malformed):
            wrong.check_content(CONTENT)


def test_without_a_base_nothing_is_held() -> None:
    held = content([Entry("files/a", SHA, 5, "a/b", HELD)])
    full = replace(RELEASE, base=None, entries=1, size=5, carried=0, parts=held.parts())
    with pytest.raises(Malformed, match="names no base"):
        full.check_content(held)
    replace(full, base=RELEASE.base).check_content(held)


def test_times_are_written_in_utc_and_whole_seconds() -> None:
    from datetime import timezone

    there = timezone(timedelta(hours=5, minutes=30))
    assert moment(datetime(2026, 11, 23, 15, 30, 59, 999999, there)) == "2026-11-23T10:00:59Z"
