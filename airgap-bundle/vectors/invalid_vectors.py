"""Bundles that break one rule of the format, and are signed by enough of the right people all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vectors import curve
from vectors.forge import (
    CREATED,
    Forged,
    Line,
    Step,
    delta,
    entry,
    forge,
    held,
    key,
    key_id,
    new_people,
    packed,
    raw_key,
    root_keys,
    sha,
)
from vectors.frames import SKIPPABLE, frame
from vectors.valid_vectors import ROTATION
from vectors.vector import ONE, Vector, folder, refused

KEEP = ("anna", "boris")
"""Who signs root and targets in a bundle where nobody came or went."""


def edit(**fields: Any) -> Step:
    """A step that sets these fields."""
    return Step(edit=lambda value: value.update(fields))


def text(old: bytes, new: bytes) -> Step:
    """A step that replaces one text in what is then signed."""
    return Step(text=lambda part: replaced(part, old, new))


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with `old`, which must be there once, replaced by `new`."""
    assert data.count(old) == 1, (old, data)
    return data.replace(old, new)


def second_root(change: Callable[[dict[str, Any]], object], **step: Any) -> dict[str, Any]:
    """Hooks for a bundle whose root version 2 was changed and signed by the people of version 1."""
    return {"roots": (Step(), Step(edit=change, by=step.pop("by", KEEP), **step))}


def root_vector(name: str, about: str, change: Callable[[dict[str, Any]], object], **step: Any) -> Vector:
    """Root version 2 breaks a rule."""
    return refused(name, 2, about, folder(**second_root(change, **step)))


def with_key(raw: bytes) -> Callable[[dict[str, Any]], object]:
    """Give the timestamp role these 32 bytes as a key besides its own."""

    def change(value: dict[str, Any]) -> None:
        keyid, public = raw_key(raw)
        value["keys"][keyid] = public
        value["roles"]["timestamp"]["keyids"] = [*value["roles"]["timestamp"]["keyids"], keyid]

    return change


def key_field(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Change the timestamp's key in the root."""

    def change(value: dict[str, Any]) -> None:
        value["keys"][key_id("timestamp")] = {**value["keys"][key_id("timestamp")], **fields}

    return change


def role(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Change the role targets in the root."""
    return lambda value: value["roles"]["targets"].update(fields)


def alias(value: dict[str, Any]) -> None:
    """Anna's key under a second ID, so that she could count twice."""
    twice = {**root_keys(["anna"])[key_id("anna")], "x-alias": "other"}
    value["keys"]["0" * 64] = twice
    value["roles"]["targets"]["keyids"] = [*value["roles"]["targets"]["keyids"], "0" * 64]


def under_proto(value: dict[str, Any]) -> None:
    """Put the version where a careless JavaScript would find it."""
    value["__proto__"] = {"version": value.pop("version")}


def named(**fields: Any) -> Step:
    """Change what timestamp or snapshot says of the one file that it names."""

    def change(value: dict[str, Any]) -> None:
        [name] = value["meta"]
        value["meta"][name] = {**value["meta"][name], **fields}
        for field in [field for field, to in fields.items() if to is None]:
            del value["meta"][name][field]

    return Step(edit=change)


def target(name: str, **fields: Any) -> Step:
    """Change what targets say of a file; without fields it is taken away."""

    def change(value: dict[str, Any]) -> None:
        if not fields:
            del value["targets"][name]
            return
        value["targets"][name] = {**value["targets"].get(name, {}), **fields}

    return Step(edit=change)


def without(name: str, **hooks: Any) -> Callable[[Path], Forged]:
    """A container in which this metadata file was left out."""

    def write(out: Path) -> Forged:
        made = forge(ONE, **hooks)
        made.files = {other: data for other, data in made.files.items() if not other.endswith(name)}
        made.container(out)
        return made

    return write


def with_file(name: str, data: bytes) -> Callable[[Path], Forged]:
    """A container with a metadata file more, in its proper place."""

    def write(out: Path) -> Forged:
        made = forge(ONE)
        made.files[name] = data
        made.container(out)
        return made

    return write


def release_vector(
    name: str, about: str, check: int = 6, lines: Sequence[Line] = ONE, **fields: Any
) -> Vector:
    """The release says something that it may not."""
    return refused(name, check, about, folder(lines, release=lambda value: value.update(fields)))


def content_vector(name: str, about: str, lines: Sequence[Line] = ONE, **hooks: Any) -> Vector:
    """The list of contents breaks a rule."""
    return refused(name, 7, about, folder(lines, **hooks))


def path_vector(name: str, about: str, *paths: str) -> Vector:
    """A path, or several together, break a rule."""
    return content_vector(name, about, [entry(path, b"data %d" % n) for n, path in enumerate(paths)])


def frame_vector(name: str, about: str, blob: bytes, data: bytes = b"six ty") -> Vector:
    """What travels as zstd is not a frame of that content as it must be."""
    return refused(name, 12, about, folder([packed("z/text.txt", data, blob)]))


def lines_changed(change: Callable[[list[bytes]], list[bytes]]) -> dict[str, Any]:
    """Hooks that change the lines of content.ndjson."""
    return {"content": lambda data: b"".join(change(data.splitlines(keepends=True)))}


TWO = (entry("files/a.txt", b"a"), entry("files/b.txt", b"b"))
A, B = sha(b"a"), sha(b"b")
DELTA = (delta("files/a.raw", b"rebuilt", b"delta", [A, B]),)

ROOTS = [
    refused(
        "root-hole",
        2,
        "2.root.json was left out, and 3.root.json is there",
        without("2.root.json", roots=ROTATION),
    ),
    refused("root-first-missing", 2, "1.root.json was left out", without("/1.root.json", roots=ROTATION)),
    refused(
        "root-of-others",
        2,
        "the whole chain is of other people than those who are trusted",
        folder(people=("mallory", "marvin", "mike")),
        root=lambda made: forge(ONE).root,
    ),
    refused(
        "root-older-than-trusted",
        2,
        "version 3 is trusted, and the chain ends at version 1",
        folder(),
        root=lambda made: forge(ONE, roots=ROTATION).roots[-1],
    ),
    refused(
        "root-not-by-previous",
        2,
        "version 2 is signed by its own people, and by one of version 1",
        folder(
            roots=(Step(), Step(edit=new_people("anna", "dora", "emil"), by=("anna", "dora", "emil")[0:3]))
        ),
    ),
    refused(
        "root-not-by-own",
        2,
        "version 2 is signed by the people of version 1 only",
        folder(roots=(Step(), Step(edit=new_people("clara", "dora", "emil"), by=("anna", "boris", "clara")))),
    ),
    root_vector("root-version-wrong", "2.root.json says that it is version 3", lambda v: v.update(version=3)),
    root_vector(
        "root-not-consistent", "consistent_snapshot is false", lambda v: v.update(consistent_snapshot=False)
    ),
    root_vector(
        "root-key-id-wrong",
        "a key's ID is not the digest of the key",
        lambda v: v["keys"].update({"0" * 64: raw_key(b"\7" * 32)[1]}),
    ),
    root_vector("root-key-alias", "one key has two IDs, to count twice", alias),
    root_vector(
        "root-key-small-order",
        "a key is a point of small order, for which forged signatures verify",
        with_key(curve.OF_ORDER_8),
    ),
    root_vector("root-key-neutral", "a key is the neutral point", with_key(curve.NEUTRAL)),
    root_vector(
        "root-key-mixed-order", "a key has a part of small order", with_key(curve.mixed("timestamp"))
    ),
    root_vector("root-key-unreduced", "a key's coordinate is not reduced", with_key(curve.UNREDUCED)),
    root_vector(
        "root-key-rsa",
        "a key is of another type than Ed25519",
        key_field(keytype="rsa", scheme="rsassa-pss-sha256"),
    ),
    root_vector("root-key-scheme", "a key is for another scheme", key_field(scheme="ed25519ph")),
    root_vector(
        "root-key-upper-case",
        "a key is in upper-case digits",
        key_field(keyval={"public": key("timestamp").public.raw.hex().upper()}),
    ),
    root_vector(
        "root-key-more",
        "a key has another value besides `public`",
        key_field(keyval={"public": key("timestamp").public.raw.hex(), "private": ""}),
    ),
    root_vector("root-owner-two-lines", "an owner is two lines", key_field(**{"x-owner": "anna\u2028root"})),
    root_vector("root-threshold-zero", "a threshold is zero", role(threshold=0)),
    root_vector("root-threshold-unreachable", "a threshold is above the number of keys", role(threshold=4)),
    root_vector("root-threshold-text", "a threshold is a text", role(threshold="2")),
    root_vector(
        "root-role-key-twice",
        "a role names a key twice",
        role(keyids=[key_id("anna"), key_id("boris"), key_id("anna")]),
    ),
    root_vector(
        "root-role-key-unknown",
        "a role names a key that is not there",
        role(keyids=[key_id("anna"), key_id("boris"), "0" * 64]),
    ),
    root_vector(
        "root-role-more",
        "there is a fifth role",
        lambda v: v["roles"].update({"mirrors": v["roles"]["root"]}),
    ),
    root_vector("root-role-less", "there is no role for snapshot", lambda v: v["roles"].pop("snapshot")),
    root_vector(
        "root-foreign-signature", "a stranger signed version 2 as well", lambda v: None, by=(*KEEP, "mallory")
    ),
    refused(
        "root-expired", 3, "the newest root expired", folder(roots=(edit(expires="2026-11-30T00:00:00Z"),))
    ),
]

METADATA = [
    refused(
        "timestamp-expired", 3, "timestamp expired", folder(timestamp=edit(expires="2026-12-01T00:00:00Z"))
    ),
    refused("snapshot-expired", 4, "snapshot expired", folder(snapshot=edit(expires="2026-11-30T00:00:00Z"))),
    refused("targets-expired", 5, "targets expired", folder(targets=edit(expires="2026-11-30T00:00:00Z"))),
    refused("timestamp-missing", 3, "timestamp was left out", without("timestamp.json")),
    refused("snapshot-missing", 4, "snapshot was left out", without("snapshot.json")),
    refused("targets-missing", 5, "targets was left out", without("7.targets.json")),
    refused(
        "timestamp-spaces",
        3,
        "a space that JSON allows and the form does not",
        folder(timestamp=text(b'"version":7}', b'"version": 7}')),
    ),
    refused(
        "timestamp-line-end",
        3,
        "a line end behind the file",
        folder(timestamp=Step(file=lambda data: data + b"\n")),
    ),
    refused(
        "timestamp-order",
        3,
        "keys in another order",
        folder(
            timestamp=text(b'"spec_version":"1.0.31","version":7', b'"version":7,"spec_version":"1.0.31"')
        ),
    ),
    refused(
        "timestamp-key-twice",
        3,
        "a key twice, of which parsers take the first or the last",
        folder(timestamp=text(b'"version":7}', b'"version":7,"version":7}')),
    ),
    refused(
        "timestamp-float",
        3,
        "a version with a fraction",
        folder(timestamp=text(b',"version":7}', b',"version":7.0}')),
    ),
    refused(
        "timestamp-exponent",
        3,
        "a version with an exponent",
        folder(timestamp=text(b',"version":7}', b',"version":7e0}')),
    ),
    refused("timestamp-version-true", 3, "a version that is true", folder(timestamp=edit(version=True))),
    refused("timestamp-version-zero", 3, "a version that is zero", folder(timestamp=edit(version=0))),
    refused(
        "timestamp-huge-number",
        3,
        "a number beyond 2^53 - 1",
        folder(timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":9007199254740993')),
    ),
    refused(
        "timestamp-minus-zero",
        3,
        "a number that is -0",
        folder(timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":-0')),
    ),
    refused(
        "timestamp-lone-surrogate",
        3,
        "half of a surrogate pair",
        folder(timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":"\\ud800"')),
    ),
    refused(
        "timestamp-not-utf-8",
        3,
        "a byte that is not UTF-8",
        folder(timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":"\xff"')),
    ),
    refused(
        "timestamp-mark",
        3,
        "a byte order mark",
        folder(timestamp=Step(file=lambda data: b"\xef\xbb\xbf" + data)),
    ),
    refused(
        "timestamp-backslash",
        3,
        "an escape, which makes TUF's canonical form another one than ours",
        folder(timestamp=edit(note="a \\ b")),
    ),
    refused(
        "timestamp-deep",
        3,
        "nesting deeper than 16",
        folder(timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":' + b"[" * 16 + b"]" * 16)),
    ),
    refused(
        "timestamp-deeper",
        3,
        "nesting a thousand deep",
        folder(
            timestamp=text(b'"_type":"timestamp"', b'"_type":"timestamp","a":' + b"[" * 1000 + b"]" * 1000)
        ),
    ),
    refused(
        "timestamp-odd-key",
        3,
        "a key in other letters than keys have",
        folder(timestamp=text(b'"_type":"timestamp"', '"_type":"timestamp","clé":1'.encode())),
    ),
    refused(
        "timestamp-proto",
        3,
        "a wrong version, and the right one under `__proto__`",
        folder(timestamp=Step(edit=under_proto)),
    ),
    refused(
        "timestamp-more-beside",
        3,
        "a field beside `signatures` and `signed`",
        folder(timestamp=Step(file=lambda data: data[:-1] + b',"x":1}')),
    ),
    refused("timestamp-type", 3, "the type is snapshot", folder(timestamp=edit(_type="snapshot"))),
    refused(
        "timestamp-spec-version",
        3,
        "a specification of TUF that is not 1.x",
        folder(timestamp=edit(spec_version="2.0.0")),
    ),
    refused("timestamp-date", 3, "30 February", folder(timestamp=edit(expires="2028-02-30T00:00:00Z"))),
    refused(
        "timestamp-date-form",
        3,
        "a date with another time zone",
        folder(timestamp=edit(expires="2028-02-01T00:00:00+00:00")),
    ),
    refused(
        "timestamp-names-two",
        3,
        "it names a second file",
        folder(timestamp=Step(edit=lambda v: v["meta"].update({"mirrors.json": {"version": 1}}))),
    ),
    refused(
        "timestamp-no-digest",
        3,
        "it names snapshot by version only",
        folder(timestamp=named(**{"x-signed-sha256": None})),
    ),
    refused(
        "timestamp-length-only",
        3,
        "it names snapshot by version and length only",
        folder(timestamp=named(**{"x-signed-sha256": None, "length": 500})),
    ),
    refused(
        "timestamp-other-digest",
        3,
        "it names snapshot by a digest of another kind as well",
        folder(timestamp=named(length=500, hashes={"md5": "0" * 32, "sha256": "0" * 64})),
    ),
    refused(
        "timestamp-version-apart",
        3,
        "it names a snapshot of another version than its own",
        folder(timestamp=named(version=8)),
    ),
    refused(
        "timestamp-newer",
        3,
        "it is version 8 of a bundle of sequence 7",
        folder(timestamp=edit(version=8)),
    ),
    refused(
        "timestamp-two-signatures",
        3,
        "one key signed twice",
        folder(
            timestamp=Step(
                file=lambda data: replaced(
                    data, b'],"signed"', b"," + data[data.index(b"[") + 1 : data.index(b"]")] + b'],"signed"'
                )
            )
        ),
    ),
    refused(
        "timestamp-foreign-signature",
        3,
        "a stranger signed as well",
        folder(timestamp=Step(by=("timestamp", "mallory"))),
    ),
    refused(
        "timestamp-signature-field",
        3,
        "a signature has a third field",
        folder(timestamp=Step(file=lambda data: replaced(data, b'"keyid":', b'"by":"x","keyid":'))),
    ),
    refused(
        "snapshot-digest",
        4,
        "its signed part is not the one that timestamp names",
        folder(timestamp=named(**{"x-signed-sha256": "0" * 64})),
    ),
    refused(
        "snapshot-length",
        4,
        "its length is not the one that timestamp names",
        folder(timestamp=named(length=1, hashes={"sha256": "0" * 64})),
    ),
    refused(
        "snapshot-version-apart",
        4,
        "it names targets of another version than its own",
        folder(snapshot=named(version=6)),
    ),
    refused(
        "snapshot-newer",
        4,
        "it is version 8 under a timestamp of version 7",
        folder(snapshot=edit(version=8)),
    ),
    refused(
        "targets-digest",
        5,
        "its signed part is not the one that snapshot names",
        folder(snapshot=named(**{"x-signed-sha256": "0" * 64})),
    ),
    refused(
        "targets-whole-digest",
        5,
        "its file's digest is not the one that snapshot names, though its signed part is",
        folder(snapshot=named(length=1, hashes={"sha256": "0" * 64})),
    ),
    refused(
        "targets-delegations",
        5,
        "delegations, even if there are none",
        folder(targets=edit(delegations={"keys": {}, "roles": []})),
    ),
    refused(
        "targets-other-name",
        5,
        "a target that no bundle has",
        folder(targets=target("install.sh", length=1, hashes={"sha256": "0" * 64})),
    ),
    refused(
        "targets-traversal",
        5,
        "a target that climbs out of its folder",
        folder(
            targets=text(
                b'"targets":{',
                b'"targets":{"../../release.json":{"hashes":{"sha256":"%s"},"length":1},' % (b"0" * 64),
            )
        ),
    ),
    refused(
        "targets-blake2",
        5,
        "a digest that is not SHA-256",
        folder(targets=target("release.json", length=1, hashes={"blake2b-256": "0" * 64})),
    ),
    refused(
        "targets-two-digests",
        5,
        "a second digest besides SHA-256",
        folder(targets=target("release.json", length=1, hashes={"sha256": "0" * 64, "sha512": "0" * 128})),
    ),
    refused(
        "targets-no-content",
        5,
        "content.ndjson is not among the targets",
        folder(targets=target("content.ndjson")),
    ),
    refused(
        "targets-too-long",
        5,
        "a release.json of more than a million bytes",
        folder(targets=target("release.json", length=1_000_001)),
    ),
    refused(
        "targets-stray",
        5,
        "an attestation that targets do not name",
        with_file(f"targets/{sha(b'{}')}.attestation-stray.json", b"{}"),
    ),
    refused(
        "targets-promised",
        5,
        "an attestation that targets name is not there",
        folder(targets=target("attestation-gone.json", length=2, hashes={"sha256": sha(b"{}")})),
    ),
]

RELEASES = [
    refused(
        "release-digest",
        5,
        "a release of another digest than targets name",
        folder(targets=target("release.json", hashes={"sha256": "0" * 64})),
    ),
    refused(
        "release-length",
        6,
        "a release of another length than targets say",
        folder(targets=target("release.json", length=10)),
    ),
    refused(
        "release-spaces",
        6,
        "it is not canonical",
        folder(release_bytes=lambda data: replaced(data, b'"sequence":7', b'"sequence": 7')),
    ),
    refused("release-line-end", 6, "a line end behind it", folder(release_bytes=lambda data: data + b"\n")),
    refused(
        "release-escape",
        6,
        "an escape that was not needed",
        folder(release_bytes=lambda data: replaced(data, b"A test", b"\\u0041 test")),
    ),
    refused(
        "release-slash",
        6,
        "an escaped slash",
        folder(
            release_bytes=lambda data: replaced(
                data, b"airgap-bundle/release/1", b"airgap-bundle\\/release/1"
            )
        ),
    ),
    release_vector("release-sequence", "its sequence is not the metadata's version", sequence=8),
    release_vector(
        "release-minimum-root", "it asks for a root version that the chain does not reach", minimum_root=2
    ),
    release_vector("release-more", "a field that this version does not know", more=1),
    release_vector("release-format", "another format", format="airgap-bundle/release/2"),
    release_vector("release-name", "a name of another form", bundle="Zone_Updates"),
    release_vector("release-title-control", "a title with a control character", title="clear \x1b[2J screen"),
    release_vector(
        "release-title-override", "a title that turns the direction of writing", title="safe \u202ecod.exe"
    ),
    release_vector("release-title-long", "a title of 201 characters", title="x" * 201),
    release_vector("release-date", "30 February", next_expected="2027-02-30T00:00:00Z"),
    release_vector("release-next-before", "the next is due before this one was made", next_expected=CREATED),
    release_vector(
        "release-after-expiry",
        "it was made after its metadata expired",
        created="2028-01-01T00:00:00Z",
        next_expected="2028-02-01T00:00:00Z",
    ),
    release_vector("release-previous-null", "a sequence above 1 that follows nothing", previous=None),
    refused(
        "release-first-follows",
        6,
        "sequence 1 that follows something",
        folder(sequence=1, release=lambda value: value.update(previous=sha(b"x"))),
    ),
    release_vector("release-base-itself", "it stands on itself", base={"receipt": sha(b"x"), "sequence": 7}),
    release_vector("release-minimum-root-zero", "a minimum root of zero", minimum_root=0),
    release_vector(
        "release-entries",
        "it counts an entry too many",
        7,
        content={"bytes": 13, "carried": 13, "entries": 2},
    ),
    release_vector(
        "release-bytes", "its sum of sizes is wrong", 7, content={"bytes": 14, "carried": 13, "entries": 1}
    ),
    release_vector(
        "release-carried",
        "its sum of what is carried is wrong",
        7,
        content={"bytes": 13, "carried": 12, "entries": 1},
    ),
    release_vector(
        "release-part-digest",
        "a part's digest is wrong",
        7,
        parts={"files": {"bytes": 13, "entries": 1, "sha256": "0" * 64}},
    ),
    release_vector("release-part-more", "a part that has no entries", 7, parts={}),
]

CONTENTS = [
    content_vector(
        "content-spaces",
        "a line that is not canonical",
        content=lambda data: replaced(data, b'"size":13', b'"size": 13'),
    ),
    content_vector(
        "content-order-of-keys",
        "keys in another order",
        content=lambda data: replaced(
            data, b'"size":13,"type":"text/plain"', b'"type":"text/plain","size":13'
        ),
    ),
    content_vector("content-no-line-end", "the last line has no end", content=lambda data: data[:-1]),
    content_vector("content-empty-line", "an empty line at the end", content=lambda data: data + b"\n"),
    content_vector(
        "content-carriage-return",
        "lines that end in CR LF",
        content=lambda data: data.replace(b"\n", b"\r\n"),
    ),
    content_vector("content-mark", "a byte order mark", content=lambda data: b"\xef\xbb\xbf" + data),
    content_vector(
        "content-not-utf-8",
        "a byte that is not UTF-8",
        content=lambda data: replaced(data, b"hello", b"hell\xff"),
    ),
    content_vector(
        "content-surrogate",
        "half of a surrogate pair, written as three bytes",
        content=lambda data: replaced(data, b"hello", b"hell\xed\xa0\x80"),
    ),
    content_vector(
        "content-escape", "an escape in a path", content=lambda data: replaced(data, b"hello", b"\\u0068ello")
    ),
    content_vector(
        "content-as-raw",
        "`as` that says what its absence says",
        content=lambda data: replaced(data, b'{"path"', b'{"as":"raw","path"'),
    ),
    content_vector(
        "content-as-unknown",
        "another way to travel",
        content=lambda data: replaced(data, b'{"path"', b'{"as":"magic","path"'),
    ),
    content_vector(
        "content-more",
        "a field that lines do not have",
        content=lambda data: replaced(data, b'{"path"', b'{"mode":493,"path"'),
    ),
    content_vector(
        "content-size-float",
        "a size with a fraction",
        content=lambda data: replaced(data, b'"size":13', b'"size":13.0'),
    ),
    content_vector(
        "content-size-zero",
        "a size with a leading zero",
        content=lambda data: replaced(data, b'"size":13', b'"size":013'),
    ),
    content_vector(
        "content-size-huge",
        "a size of 2^53",
        content=lambda data: replaced(data, b'"size":13', b'"size":9007199254740992'),
    ),
    content_vector(
        "content-digest-upper-case",
        "a digest in upper-case digits",
        content=lambda data: replaced(
            data, sha(b"Hello, zone!\n").encode(), sha(b"Hello, zone!\n").upper().encode()
        ),
    ),
    content_vector(
        "content-type",
        "a type in upper-case letters",
        content=lambda data: replaced(data, b"text/plain", b"Text/Plain"),
    ),
    content_vector(
        "content-unsorted", "two lines in the wrong order", TWO, **lines_changed(lambda lines: lines[::-1])
    ),
    content_vector(
        "content-repeated", "a line twice", TWO, **lines_changed(lambda lines: [lines[0], *lines])
    ),
    content_vector(
        "content-two-sizes",
        "one content with two sizes",
        (TWO[0], Line({**TWO[0].value, "path": "files/b.txt", "size": 2}, b"a")),
    ),
    content_vector(
        "content-two-ways",
        "one content that travels in two ways",
        (entry("files/a.txt", b"a"), packed("files/b.txt", b"a", frame(b"a"))),
    ),
    content_vector(
        "content-two-blob-sizes",
        "one blob with two sizes",
        (packed("files/a.txt", b"a", b"f"), packed("files/b.txt", b"b", b"f", blob_size=2)),
    ),
    content_vector(
        "content-held-blob",
        "what is held names a blob",
        (held("files/a.txt", b"a"),),
        content=lambda data: replaced(
            data, b'"as":"held"', b'"as":"held","blob":"' + A.encode() + b'","blob_size":1'
        ),
    ),
    content_vector(
        "content-held-no-base",
        "held, and the release names no base",
        (held("files/a.txt", b"a"),),
        release=lambda value: value.update(base=None),
    ),
    content_vector(
        "content-delta-no-base",
        "a delta, and the release names no base",
        DELTA,
        release=lambda value: value.update(base=None),
    ),
    content_vector(
        "content-delta-of-nothing", "a delta without bases", (delta("files/a.raw", b"rebuilt", b"delta", []),)
    ),
    content_vector(
        "content-delta-nine",
        "a delta against nine bases",
        (delta("files/a.raw", b"rebuilt", b"delta", [sha(b"%d" % n) for n in range(9)]),),
    ),
    content_vector(
        "content-delta-twice",
        "a delta that names a base twice",
        (delta("files/a.raw", b"rebuilt", b"delta", [A, A]),),
    ),
    content_vector(
        "content-delta-itself",
        "a delta against itself",
        (delta("files/a.raw", b"rebuilt", b"delta", [sha(b"rebuilt")]),),
    ),
    content_vector(
        "content-zstd-no-blob", "zstd without a blob", (Line({**TWO[0].value, "as": "zstd"}, None),)
    ),
]

PATHS = [
    path_vector("path-up", "a path that climbs out of its part", "files/../../etc/passwd"),
    path_vector("path-here", "a segment that is a dot", "files/./a"),
    path_vector("path-absolute", "a path that begins at the root", "/etc/passwd"),
    path_vector("path-double-slash", "an empty segment", "files//a"),
    path_vector("path-slash-at-end", "a path that ends in a slash", "files/a/"),
    path_vector("path-no-part", "a path of one segment", "passwd"),
    path_vector("path-part-upper-case", "a part in upper-case letters", "Files/a"),
    path_vector("path-part-underscore", "a part with another character", "my_files/a"),
    path_vector("path-backslash", "a backslash, which some systems take for a slash", "files/..\\..\\a"),
    path_vector("path-drive", "a colon, which some systems take for a drive or a stream", "files/c:a"),
    path_vector("path-wildcard", "an asterisk", "files/*"),
    path_vector("path-control", "a control character", "files/a\x07b"),
    path_vector("path-delete", "a DEL", "files/a\x7fb"),
    path_vector("path-line-separator", "a line separator", "files/a\u2028b"),
    path_vector("path-no-break-space", "a space that looks like another", "files/a\u00a0b"),
    path_vector("path-zero-width", "a character that nobody sees", "files/a\u200bb"),
    path_vector("path-override", "a character that turns the direction of writing", "files/\u202efdp.exe"),
    path_vector("path-private", "a character of private use", "files/\ue000"),
    path_vector("path-unassigned", "a character that Unicode 14 does not have", "files/\U0001fae8"),
    path_vector("path-decomposed", "a letter and its accent apart", "files/e\u0301"),
    path_vector("path-dot-at-end", "a segment that ends in a dot, which some systems drop", "files/a."),
    path_vector("path-space-at-end", "a segment that ends in a space", "files/a "),
    path_vector("path-space-first", "a segment that begins with a space", "files/ a"),
    path_vector("path-segment-long", "a segment of 201 bytes", "files/" + "é" * 100 + "x"),
    path_vector("path-long", "a path of 1,025 bytes", "a/" + "/".join(["x" * 200] * 5) + "/" + "y" * 18),
    path_vector("path-case", "two paths that differ in case", "files/Readme", "files/README"),
    path_vector(
        "path-case-of-sharp-s",
        "two paths that are one after full case folding",
        "files/STRASSE",
        "files/straße",
    ),
    path_vector("path-case-of-sigma", "a final sigma and a plain one", "files/ΟΔΟΣ", "files/οδος"),
    path_vector("path-ligature", "a ligature and its letters", "files/ﬁle", "files/file"),
    path_vector("path-width", "a full-width letter and a plain one", "files/ａ", "files/A"),
    path_vector("path-case-of-mu", "a capital and a small mu", "files/\u039c", "files/μ"),
    path_vector("path-folder-case", "two folders that differ in case", "files/Docs/a", "files/docs/b"),
    path_vector("path-folder-and-file", "a path that is another one's folder", "files/a", "files/a/b"),
    path_vector(
        "path-folder-and-file-case",
        "a path that is another one's folder but for case",
        "files/A",
        "files/a/b",
    ),
]

FRAMES = [
    frame_vector("zstd-other-content", "a good frame of another content", frame(b"ninety")),
    frame_vector("zstd-two-frames", "two frames behind each other", frame(b"six", said=6) + frame(b" ty")),
    frame_vector("zstd-second-frame", "a second frame behind it", frame(b"six ty") + frame(b"")),
    frame_vector("zstd-trailing", "a byte behind it", frame(b"six ty") + b"\0"),
    frame_vector(
        "zstd-skippable", "a skippable frame before it", SKIPPABLE + b"\x01\0\0\0x" + frame(b"six ty")
    ),
    frame_vector(
        "zstd-skippable-behind", "a skippable frame behind it", frame(b"six ty") + SKIPPABLE + b"\x01\0\0\0x"
    ),
    frame_vector(
        "zstd-no-size", "it does not say its content's size", frame(b"six ty", has_size=False, window=0)
    ),
    frame_vector("zstd-size", "it says another size than the signed one", frame(b"six ty", said=7)),
    frame_vector(
        "zstd-larger", "it is larger than it says, and than was signed", frame(b"six ty, and more", said=6)
    ),
    frame_vector("zstd-window", "a window of 16 MiB", frame(b"six ty", window=14 << 3)),
    frame_vector("zstd-dictionary", "it wants a dictionary", frame(b"six ty", dictionary=b"\x07")),
    frame_vector("zstd-checksum", "its own checksum is wrong", frame(b"six ty", checksum=b"\0\0\0\0")),
    frame_vector("zstd-cut", "it ends too early", frame(b"six ty")[:-1]),
    frame_vector("zstd-block-kind", "a block of an unknown kind", frame(b"six ty", kind=3)),
    frame_vector("zstd-not", "something else", b"six ty"),
    frame_vector("zstd-nothing", "an empty blob", b""),
]

VECTORS: list[Vector] = [*ROOTS, *METADATA, *RELEASES, *CONTENTS, *PATHS, *FRAMES]
