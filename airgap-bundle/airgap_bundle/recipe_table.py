"""The table of a recipe's keys: what may stand where, what it means, what it is when absent."""

from __future__ import annotations

from airgap_bundle.content_rules import why_not_a_path
from airgap_bundle.recipe_parts import (
    Allowed,
    Ansible,
    Base,
    Debian,
    Disk,
    File,
    Image,
    Python,
    Vulnerabilities,
)
from airgap_bundle.recipe_shapes import Choice, Days, Field, ListOf, Record, Short, Text, Truth


def _pathlike(text: str) -> tuple[str, str] | None:
    if not text:
        return "is empty", "Name a file, such as firmware/nic.bin."
    if "\\" in text:
        return "has a backslash", "Write folders with '/'."
    return None


def _below(text: str) -> tuple[str, str] | None:
    why = why_not_a_path(f"files/{text}")
    return (why, "Write a path such as firmware/nic.bin.") if why else None


def _requirement(text: str) -> tuple[str, str] | None:
    if text.startswith("-"):
        return (
            "is an option for pip",
            "Name a package, such as textual==6.6.0; pip's own configuration holds options.",
        )
    if "@" in text.partition(";")[0]:
        return (
            "names a package by an address or a path",
            "Name a version: textual==6.6.0. Local wheels go to 'wheels'.",
        )
    return None


def _image(text: str) -> tuple[str, str] | None:
    name = text.partition("@")[0]
    if name != name.lower().partition(":")[0] + name[len(name.partition(":")[0]) :]:
        return "has capital letters, which image names do not have", "Write the name in small letters."
    return None


_SHA = Text("[0-9a-f]{64}", "a SHA-256 in 64 small hexadecimal digits", "what `sha256sum FILE` prints")
_PATH = Text("[^\\\\]+", "a path", "firmware/nic.bin", _pathlike)
_BELOW = Text("[^/].*", "a path below its part", "firmware/nic.bin", _below)
_TYPE = Text("[a-z0-9.+-]+/[a-z0-9.+-]+", "a media type", "application/pdf")
_PACKAGE = Text(
    r"[a-z0-9][a-z0-9+.-]+(?:=(?:[0-9]+:)?[0-9][A-Za-z0-9.+~-]*)?",
    "a package name, or name=version",
    "openssl=3.0.17-1~deb12u2",
)
_NAMES = Text(r"[a-z0-9][a-z0-9+.-]+", "a package name", "libc6")
_SUITE = Text(r"[a-z][a-z0-9.-]*", "a suite as in the machine's APT sources", "bookworm-security")
_WORD = Text(r"[a-z][a-z0-9-]*", "one word", "main")
_REQUIREMENT = Text(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[A-Za-z0-9._, -]*\])?\s*(?:[~=!<>]=?=?[^;@]*)?(?:;.*)?",
    "a requirement",
    "textual==6.6.0",
    _requirement,
)
_IMAGE = Text(
    r"(?:[a-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?:@sha256:[0-9a-f]{64})?",
    "name[:tag]@sha256:digest",
    "library/debian:12@sha256: and 64 digits",
    _image,
)
_HOST = Text(
    r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?:/[0-9]{1,3})?", "a host name, a domain or a network", "registry.zone"
)


def _file(text: str) -> File:
    return File(text)


_FILE = Short(
    _PATH,
    _file,
    Record(
        lambda **v: File(name=v.pop("as"), **v),
        {
            "path": Field(_PATH, "a file or a glob, relative to the recipe"),
            "sha256": Field(_SHA, "its digest, checked when the recipe is locked", None),
            "as": Field(_BELOW, "the file's path below its part; its own name by default", None),
            "under": Field(_BELOW, "a folder below its part", None),
            "type": Field(_TYPE, "its media type; by its name by default", None),
        },
    ),
)
_FILES = ListOf(_FILE, "file")

_BASE = Record(
    Base,
    {
        "priorities": Field(
            ListOf(Choice(("required", "important", "standard")), "priority"),
            "packages of these priorities in the first suite, with what they depend on",
            (),
        ),
        "packages": Field(
            ListOf(_NAMES, "package"), "these packages of the first suite, with what they depend on", ()
        ),
        "installed": Field(_PATH, "a host's dpkg status file, or the output of dpkg-query -W", None),
    },
    ("priorities", "packages", "installed"),
)
_DEBIAN = Record(
    Debian,
    {
        "suites": Field(
            ListOf(_SUITE, "suite"), "as the machine's APT sources name them, the stable one first"
        ),
        "components": Field(ListOf(_WORD, "component"), "of the suites", ("main",)),
        "architectures": Field(
            ListOf(Text(r"[a-z0-9-]+", "an architecture of Debian", "amd64"), "architecture"),
            "of the hosts",
            ("amd64",),
        ),
        "packages": Field(ListOf(_PACKAGE, "package"), "name, or name=version", ()),
        "upgrade": Field(
            Truth(), "take everything of the base that the suites have a newer version of", False
        ),
        "dependencies": Field(Truth(), "take what the packages depend on and the base does not have", True),
        "recommends": Field(Truth(), "take what they recommend, too", False),
        "keyring": Field(
            Text(r"[A-Za-z0-9._/+-]+", "a keyring's file", "debian-archive-keyring.gpg"),
            "who signs the suites: a file in /usr/share/keyrings, or a path with a slash",
            "debian-archive-keyring.gpg",
        ),
        "base": Field(_BASE, "what hosts are assumed to have already", None),
    },
    ("packages", "upgrade"),
)
_PYTHON = Record(
    Python,
    {
        "version": Field(
            Text(r"3\.[0-9]{1,2}", "a version of Python, in quotes", '"3.11"'), "of the hosts' Python"
        ),
        "machine": Field(Choice(("x86_64", "aarch64")), "of the hosts", "x86_64"),
        "glibc": Field(
            Text(r"2\.[0-9]{1,2}", "a version of glibc, in quotes", '"2.36"'), "of the hosts", "2.36"
        ),
        "requirements": Field(ListOf(_REQUIREMENT, "requirement"), "as in a requirements file", ()),
        "requirements_file": Field(_PATH, "a requirements file, best with hashes", None),
        "dependencies": Field(Truth(), "take what they depend on, too", True),
        "wheels": Field(ListOf(_PATH, "wheel"), "paths or globs of wheels that were built here", ()),
    },
    ("requirements", "requirements_file", "wheels"),
)
_IMAGES = Record(
    lambda **v: Image(folder=v.pop("as"), **v),
    {
        "image": Field(_IMAGE, "name[:tag]@sha256:digest"),
        "layout": Field(_PATH, "the OCI layout folder that holds it; without it, a registry does", None),
        "as": Field(
            Text(r"[a-z0-9][a-z0-9._-]*", "one folder's name", "debian-base"),
            "its folder below oci/; the last part of its name by default",
            None,
        ),
    },
)
_DISK = Record(
    lambda **v: Disk(name=v.pop("as"), **v),
    {
        "path": Field(_PATH, "a qcow2 or raw file"),
        "as": Field(_BELOW, "its path below images/, the same in every release, so that deltas work"),
        "sha256": Field(_SHA, "the file's digest, checked when the recipe is locked", None),
        "type": Field(_TYPE, "its media type", "application/octet-stream"),
    },
)

FIELDS = {
    "bundle": Field(
        Text(r"[a-z0-9][a-z0-9-]{0,62}", "a name of small letters, digits and '-'", "zone-updates"),
        "the name of this stream of bundles",
    ),
    "title": Field(Text(r".{1,200}", "one line", "November security updates"), "one line for people"),
    "next_expected": Field(Days(), "when the next bundle is due after this one, such as 30 days"),
    "inside": Field(
        ListOf(_HOST, "host"), "hosts, domains and networks of the zone, which content may name", ()
    ),
    "allow": Field(
        ListOf(
            Record(
                Allowed,
                {
                    "path": Field(_PATH, "path in the bundle; * and ? match"),
                    "value": Field(
                        Text(r".{1,500}", "what the finding names", "a host"), "what the finding names"
                    ),
                    "because": Field(
                        Text(r".{10,500}", "a reason in some words", "it is ..."), "why it is right"
                    ),
                },
            ),
            "exception",
        ),
        "what the airtight check would report, and why it is right",
        (),
    ),
    "debian": Field(ListOf(_DEBIAN, "release"), "packages of Debian, one item a release", ()),
    "python": Field(ListOf(_PYTHON, "target"), "wheels, one item a kind of host", ()),
    "images": Field(ListOf(_IMAGES, "image"), "OCI images", ()),
    "files": Field(_FILES, "any files", ()),
    "disk_images": Field(ListOf(_DISK, "disk image"), "images of disks", ()),
    "ansible": Field(
        Record(
            Ansible,
            {
                "collections": Field(_FILES, "tarballs or folders of collections", ()),
                "playbooks": Field(_FILES, "playbooks, files or folders", ()),
            },
            ("collections", "playbooks"),
        ),
        "Ansible content",
        None,
    ),
    "documents": Field(_FILES, "documents for people", ()),
    "vulnerabilities": Field(
        ListOf(
            Record(
                Vulnerabilities,
                {
                    "path": Field(_PATH, "a local file"),
                    "kind": Field(Choice(("osv", "debian-tracker")), "what the file is"),
                    "sha256": Field(_SHA, "its digest, checked when the recipe is locked", None),
                },
            ),
            "file",
        ),
        "vulnerability data: OSV (JSON or zip) and the tracker of Debian",
        (),
    ),
}
CONTENT = ("debian", "python", "images", "files", "disk_images", "ansible", "documents", "vulnerabilities")
SHAPE = Record(dict, FIELDS, CONTENT)
