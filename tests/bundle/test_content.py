"""The content manifest: only canonical lines, only paths that are one file everywhere, one meaning a digest.

Reading is quick because it asks rules of all lines at once. A slow reader, written apart and as plainly as
SPEC section 5 puts it, has to agree with it on everything.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airgap_bundle import content as contents
from airgap_bundle.canonical import LARGEST, Malformed, render
from airgap_bundle.content import DELTA, HELD, ZSTD, Blob, Content, Entry, content, line, parse, raw
from airgap_bundle.content_rules import why_not_a_path

TYPE = "application/octet-stream"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def of(path: str, size: int = 5) -> Entry:
    return raw(path, sha(path), size, TYPE)


def lines(*entries: Entry) -> bytes:
    return b"".join(map(line, entries))


# The plain reader ----------------------------------------------------------------------------------

WAYS: dict[str | None, set[str]] = {
    None: set(),
    "zstd": {"blob", "blob_size"},
    "delta": {"blob", "blob_size", "bases"},
    "held": set(),
}


def is_path(path: str) -> bool:
    segments = path.split("/")
    return (
        len(path.encode()) <= 1024
        and len(segments) >= 2
        and re.fullmatch("[a-z0-9-]+", segments[0]) is not None
        and unicodedata.is_normalized("NFC", path)
        and all(
            segment not in ("", ".", "..")
            and not segment.startswith(" ")
            and not segment.endswith((".", " "))
            and len(segment.encode()) <= 200
            and segment.isprintable()
            and not set(segment) & set('"*:<>?\\|')
            for segment in segments
        )
    )


def obeys_the_rules(data: bytes) -> bool:
    """SPEC section 5, one sentence after the other."""
    try:
        rows: list[dict[str, Any]] = [json.loads(row) for row in data.decode().splitlines()]
        if b"".join(render(row) + b"\n" for row in rows) != data:
            return False
        for row in rows:
            extra = WAYS[row.get("as")]
            wanted = {"path", "sha256", "size", "type"} | extra | ({"as"} if "as" in row else set())
            digests = [row["sha256"], *([row["blob"]] if "blob" in extra else []), *row.get("bases", [])]
            sizes = [row["size"], *([row["blob_size"]] if "blob" in extra else [])]
            ok = (
                set(row) == wanted
                and is_path(row["path"])
                and all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
                and all(type(size) is int and 0 <= size <= LARGEST for size in sizes)
                and re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", row["type"])
                and ("bases" not in row or 1 <= len(set(row["bases"])) == len(row["bases"]) <= 8)
                and row["sha256"] not in row.get("bases", [])
            )
            if not ok:
                return False
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    paths = [row["path"].encode() for row in rows]
    folded = [fold_plainly(row["path"]) for row in rows]
    folders = {
        "/".join(p.split("/")[:n]) for p in map(bytes.decode, paths) for n in range(1, p.count("/") + 1)
    }
    ways = {(row["sha256"], render({**row, "path": "", "type": ""})) for row in rows}
    blobs = {
        (row.get("blob", row["sha256"]), row.get("blob_size", row["size"]))
        for row in rows
        if row.get("as") != "held"
    }
    return (
        all(one < other for one, other in pairwise(paths))
        and len(set(folded)) == len(folded)
        and len({fold_plainly(folder) for folder in folders}) == len(folders)
        and not set(folded) & {fold_plainly(folder) for folder in folders}
        and len(ways) == len({digest for digest, _ in ways})
        and len(blobs) == len({blob for blob, _ in blobs})
    )


def fold_plainly(path: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def is_read(data: bytes) -> bool:
    try:
        parse(data)
    except Malformed:
        return False
    return True


# What is drawn: small alphabets, so that collisions happen -----------------------------------------

digest = st.sampled_from([sha(str(n)) for n in range(6)])
segment = st.text(st.sampled_from("aAbB.é e\u0301ﬁſß-"), min_size=1, max_size=3)
path = st.builds(
    lambda part, rest: "/".join([part, *rest]),
    st.sampled_from(["a", "a-b", "b", "A"]),
    st.lists(segment, max_size=3),
)
size = st.integers(0, 3) | st.sampled_from([LARGEST, LARGEST + 1])
entry = st.one_of(
    st.builds(lambda p, d, s: raw(p, d, s, TYPE), path, digest, size),
    st.builds(lambda p, d, s, b, n: Entry(p, d, s, TYPE, ZSTD, b, n), path, digest, size, digest, size),
    st.builds(lambda p, d, s: Entry(p, d, s, TYPE, HELD), path, digest, size),
    st.builds(
        lambda p, d, s, b, n, bases: Entry(p, d, s, TYPE, DELTA, b, n, tuple(bases)),
        path,
        digest,
        size,
        digest,
        size,
        st.lists(digest, min_size=1, max_size=3),
    ),
)


def written(entries: list[Entry]) -> bytes:
    """As a forger writes it: whatever the entries say."""
    with suppress(ValueError):
        return lines(*entries)
    rows = []
    for one in entries:
        row = {"path": one.path, "sha256": one.sha256, "size": one.size, "type": one.type}
        rows.append(json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    return "".join(row + "\n" for row in rows).encode()


@given(st.lists(entry, max_size=6), st.booleans())
def test_the_quick_reader_and_the_plain_one_agree(entries: list[Entry], in_order: bool) -> None:
    data = written(sorted(entries) if in_order else entries)
    assert is_read(data) == obeys_the_rules(data)


@given(st.lists(entry, min_size=1, max_size=4, unique_by=lambda one: one.path), st.data())
def test_they_agree_on_every_damaged_manifest(entries: list[Entry], data: st.DataObject) -> None:
    damaged = bytearray(written(sorted(entries)))
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'{}":,/. \n0')))
    assert is_read(bytes(damaged)) == obeys_the_rules(bytes(damaged))


@given(st.binary(max_size=80))
@example(b"")
@example(b"\n")
@example(lines(of("a/b"))[:-1])
@example(lines(of("a/b")) + b"\n")
@example(b"\xef\xbb\xbf" + lines(of("a/b")))
def test_only_canonical_bytes_are_read(data: bytes) -> None:
    with suppress(Malformed):
        assert parse(data).render() == data


@given(st.lists(st.builds(of, path), max_size=8, unique_by=lambda one: one.path))
def test_what_is_written_is_read_again(entries: list[Entry]) -> None:
    with suppress(Malformed):
        made = content(entries)
        assert parse(made.render()) == made
        assert list(made.entries) == sorted(entries, key=lambda one: one.path.encode())


@pytest.mark.parametrize("block", [1, 100, 300, 10_000])
def test_where_a_block_ends_makes_no_difference(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    zstd = Entry("b/z", sha("z"), 9, TYPE, ZSTD, sha("blob"), 4)
    entries = [*(of(f"a/{n:03}") for n in range(50)), zstd, of("b/zz"), of("b/ü")]
    expected = parse(lines(*entries))
    monkeypatch.setattr(contents, "BLOCK", block)
    assert parse(lines(*entries)) == expected
    with pytest.raises(Malformed, match="line 51 is not canonical"):
        parse(lines(*entries).replace(b'"zstd"', b'"zst"'))


# What must be refused, one by one ------------------------------------------------------------------

BAD_PATHS = {
    "no part": "file.txt",
    "an absolute path": "/files/a",
    "an empty segment": "files//a",
    "a slash at the end": "files/a/",
    "a dot": "files/./a",
    "two dots": "files/../a",
    "two dots at the end": "files/..",
    "a segment that ends in a dot": "files/a.",
    "a folder that ends in a dot": "files/a./b",
    "a segment that ends in a space": "files/a ",
    "a segment that begins with a space": "files/ a",
    "a part in upper case": "Files/a",
    "a part with a dot": "fi.les/a",
    "a backslash": "files\\a/b",
    "a drive": "c:/windows",
    "a stream": "files/a:b",
    "a star": "files/*",
    "a question mark": "files/a?",
    "a quote": 'files/"',
    "a pipe": "files/a|b",
    "less than": "files/<a",
    "a NUL": "files/a\0b",
    "a line end": "files/a\nb",
    "a terminal escape": "files/\x1b[31m",
    "DEL": "files/\x7f",
    "a C1 control": "files/\x9b31m",
    "a line separator": "files/\u2028",
    "right to left": "files/\u202egnp.exe",
    "no width": "files/a\u200bb",
    "a private use character": "files/\ue000",
    "a character that is none": "files/\ufffe",
    "a no-break space": "files/a\u00a0b",
    "not in form C": "files/e\u0301",
    "a segment of 201 bytes": "files/" + "a" * 201,
    "a segment of 201 bytes in fewer letters": "files/" + "ü" * 100 + "a",
    "1,025 bytes": "files/" + "/".join(["a" * 100] * 10) + "/" + "b" * 9,
}


@pytest.mark.parametrize("bad", BAD_PATHS.values(), ids=BAD_PATHS.keys())
def test_a_path_that_could_mean_something_else_is_refused(bad: str) -> None:
    assert why_not_a_path(bad)
    with pytest.raises((Malformed, ValueError)):
        content([of(bad)])
    forged = json.dumps({"path": bad, "sha256": sha("x"), "size": 1, "type": TYPE}, separators=(",", ":"))
    with pytest.raises(Malformed):
        parse(forged.encode() + b"\n")
    with pytest.raises(Malformed):
        parse(forged.encode().decode("unicode_escape", "ignore").encode("utf-8", "surrogatepass") + b"\n")


@pytest.mark.parametrize(
    "good",
    [
        "apt/pool/main/o/openssl/libssl3_3.0.17-1~deb12u1_amd64.deb",
        "files/.hidden",
        "files/...a",
        "files/Großes Haus/日本語.txt",
        "files/a b",
        "files/" + "a" * 200,
        "files/" + "/".join(["a" * 100] * 10) + "/" + "b" * 8,
        "0/-",
        "files/{as}",
        "files/~$=@,%+",
    ],
)
def test_an_ordinary_path_is_taken(good: str) -> None:
    assert why_not_a_path(good) is None
    assert [one.path for one in content([of(good)]).entries] == [good]


COLLISIONS = {
    "case": ("files/Readme", "files/readme", "are one on some"),
    "case beyond ASCII": ("files/Ä", "files/ä", "are one on some"),
    "sharp s": ("files/Straße", "files/STRASSE", "are one on some"),
    "a ligature": ("files/ﬁ", "files/fi", "are one on some"),
    "long s": ("files/ſ", "files/s", "are one on some"),
    "Kelvin": ("files/K", "files/k", "are one on some"),
    "width": ("files/ａ", "files/a", "are one on some"),
    "folders' case": ("files/A/x", "files/a/y", "are one on some"),
    "folders further up": ("files/A/b/c/x", "files/a/b/c/y", "are one on some"),
    "a file that is a folder": ("files/a", "files/a/b", "is also a folder"),
    "a file that is a folder in another case": ("files/A", "files/a/b", "is also a folder"),
}


@pytest.mark.parametrize(("one", "other", "why"), COLLISIONS.values(), ids=COLLISIONS.keys())
def test_two_paths_that_are_one_somewhere_are_refused(one: str, other: str, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        content([of(one), of(other), of("files/zzz/unrelated")])


def test_the_same_path_twice_is_refused() -> None:
    with pytest.raises(Malformed, match="sorted at 'files/a'"):
        parse(lines(of("files/a"), of("files/a")))


def test_lines_out_of_order_are_refused() -> None:
    with pytest.raises(Malformed, match="sorted at 'files/b'"):
        parse(lines(of("files/b"), of("files/a")))


def test_the_order_is_that_of_bytes_and_not_of_folders() -> None:
    paths = ["a-b/x", "a/x", "a/x-y", "a/x/y".replace("x/", "z/"), "a/é", "a/𝒂"]
    assert [one.path for one in content(map(of, paths)).entries] == sorted(paths, key=str.encode)


CONTENT, BLOB, OTHER = sha("content"), sha("blob"), sha("other")
TWO_MEANINGS = {
    "two sizes": (raw("a/1", CONTENT, 1, TYPE), raw("a/2", CONTENT, 2, TYPE), "another size"),
    "two ways": (raw("a/1", CONTENT, 1, TYPE), Entry("a/2", CONTENT, 1, TYPE, HELD), "way to travel"),
    "two blobs": (
        Entry("a/1", CONTENT, 1, TYPE, ZSTD, BLOB, 1),
        Entry("a/2", CONTENT, 1, TYPE, ZSTD, OTHER, 1),
        "way to travel",
    ),
    "two bases": (
        Entry("a/1", CONTENT, 1, TYPE, DELTA, BLOB, 1, (OTHER,)),
        Entry("a/2", CONTENT, 1, TYPE, DELTA, BLOB, 1, (sha("third"),)),
        "way to travel",
    ),
    "a blob of two sizes": (
        Entry("a/1", CONTENT, 1, TYPE, ZSTD, BLOB, 1),
        Entry("a/2", OTHER, 1, TYPE, ZSTD, BLOB, 2),
        "two sizes",
    ),
    "a blob that is also a content of another size": (
        Entry("a/1", CONTENT, 1, TYPE, ZSTD, BLOB, 1),
        raw("a/2", BLOB, 2, TYPE),
        "two sizes",
    ),
}


@pytest.mark.parametrize(("one", "other", "why"), TWO_MEANINGS.values(), ids=TWO_MEANINGS.keys())
def test_a_digest_with_two_meanings_is_refused(one: Entry, other: Entry, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        parse(lines(one, other))


def test_the_same_content_under_two_paths_is_one_blob() -> None:
    made = content([raw("a/1", CONTENT, 7, TYPE), raw("b/2", CONTENT, 7, "text/plain"), of("b/3")])
    assert made.blobs == {CONTENT: Blob(CONTENT, 7), sha("b/3"): Blob(sha("b/3"), 5)}
    assert (made.size, made.carried) == (19, 12)


def test_a_delta_against_itself_or_against_one_base_twice_is_refused() -> None:
    for bases in ((CONTENT,), (OTHER, OTHER)):
        with pytest.raises(Malformed):
            parse(lines(Entry("a/1", CONTENT, 1, TYPE, DELTA, BLOB, 1, bases)))


@pytest.mark.parametrize(
    "forged",
    [
        b'{"as":"raw","path":"a/b","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"as":"zstd","path":"a/b","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"as":"held","blob":"%s","blob_size":1,"path":"a/b","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"blob":"%s","blob_size":1,"path":"a/b","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"as":"delta","blob":"%s","blob_size":1,"path":"a/b","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":9007199254740992,"type":"a/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":01,"type":"a/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":-1,"type":"a/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":1.0,"type":"a/b"}\n',
        b'{"path":"a/b","path":"a/c","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"path":"a\\u002fb","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":1,"type":"A/b"}\n',
        b'{"path":"a/b","sha256":"%s","size":1,"type":"a/b","x":1}\n',
        b'{"path":"a/b","sha256":"%s","size":1,"type":"a/b"}\r\n',
        b'{"path":"a/\xc0\xaf","sha256":"%s","size":1,"type":"a/b"}\n',
        b'{"path":"a/\xed\xa0\x80","sha256":"%s","size":1,"type":"a/b"}\n',
    ],
)
def test_a_line_that_we_would_not_write_is_refused(forged: bytes) -> None:
    with pytest.raises(Malformed):
        parse(forged.replace(b"%s", sha("x").encode()))


# Parts ---------------------------------------------------------------------------------------------


def test_a_part_has_the_same_digest_however_it_travels() -> None:
    full = content([of("a/1", 10), of("a/2", 20), of("b/1", 30)])
    ways = content(
        [
            Entry("a/1", sha("a/1"), 10, TYPE, ZSTD, BLOB, 4),
            Entry("a/2", sha("a/2"), 20, TYPE, HELD),
            Entry("b/1", sha("b/1"), 30, TYPE, DELTA, OTHER, 7, (CONTENT, BLOB)),
        ]
    )
    assert full.parts() == ways.parts()
    identity = b"".join(contents.identity_line(one) for one in full.entries[:2])
    assert full.parts()["a"] == (2, 30, hashlib.sha256(identity).hexdigest())
    assert not full.needs_base
    assert ways.needs_base


@given(st.lists(st.builds(of, path), max_size=8, unique_by=lambda one: one.path))
def test_parts_are_the_sums_of_their_entries(entries: list[Entry]) -> None:
    with suppress(Malformed):
        made = content(entries)
        for name, part in made.parts().items():
            mine = [one for one in made.entries if one.path.split("/")[0] == name]
            text = b"".join(contents.identity_line(one) for one in mine)
            assert part == (len(mine), sum(one.size for one in mine), hashlib.sha256(text).hexdigest())
        assert set(made.parts()) == {one.path.split("/")[0] for one in entries}


def test_an_empty_manifest_is_a_manifest() -> None:
    empty: Content = parse(b"")
    assert (empty.entries, empty.parts(), empty.size, empty.carried, empty.blobs) == ((), {}, 0, 0, {})
