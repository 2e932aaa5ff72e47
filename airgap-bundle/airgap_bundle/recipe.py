"""A recipe: what goes into a bundle, by names, versions and digests; never where it is fetched from.

    bundle: zone-updates
    title: November security updates
    next_expected: 30 days
    debian:
      - suites: [bookworm, bookworm-security]
        packages: [openssl]
        base: {priorities: [required]}

The YAML is read strictly (`recipe_yaml`); a table of shapes (`recipe_table`) says what may stand where, and
the same table writes `recipe.schema.json` for editors: `python -m airgap_bundle.recipe`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airgap_bundle.recipe_parts import Debian, File, Recipe
from airgap_bundle.recipe_shapes import TOP, Reporter
from airgap_bundle.recipe_table import SHAPE
from airgap_bundle.recipe_yaml import LARGEST, Node, read_tree
from airgap_bundle.sources.errors import RecipeInvalid, Wrong, not_there


def read(path: Path) -> Recipe:
    """Read the recipe in the file `path`. Raises RecipeInvalid, NotThere."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        not_there(path, f"cannot be read ({error.strerror})", "Name the recipe's file.")
    return parse(data, path.name, path.absolute().parent)


def parse(data: bytes, file: str, folder: Path) -> Recipe:
    """The recipe in YAML `data`; `file` is its name for messages, paths in it are relative to `folder`.

    Raises RecipeInvalid with everything that is wrong, up to 50 findings, by line.
    """
    tree = read_tree(data, file)
    reporter = Reporter()
    parts = SHAPE.read(tree, TOP, reporter)
    found = list(_addresses(tree))
    told = {(wrong.line, wrong.column) for wrong in found}
    found += [wrong for wrong in reporter.found if (wrong.line, wrong.column) not in told]
    if not found:
        found = list(_contradictions(tree, parts))
    if found:
        raise RecipeInvalid(file, found[:50])
    return Recipe(**parts, folder=folder)


# --- what no single shape can see -------------------------------------------------------------------------

_ADDRESS = re.compile(
    r"[a-zA-Z][a-zA-Z0-9+.-]*://|^(?:git|ssh|hg|svn|bzr)\+|^(?:docker|oci|dir|containers-storage):"
)


def _addresses(tree: Node) -> Iterator[Wrong]:
    assert isinstance(tree.value, dict)
    for key, node in tree.value.items():
        if key not in ("allow", "title"):
            yield from _addresses_below(node)


def _addresses_below(node: Node) -> Iterator[Wrong]:
    if isinstance(node.value, str):
        if _ADDRESS.search(node.value):
            yield Wrong(
                node.line,
                f"'{node.value[:60]}' is an address, and a recipe names packages and digests only",
                "Name what you want; the machine's own apt, pip and registry configuration says where it is.",
                node.column,
            )
        return
    for below in node.value if isinstance(node.value, list) else node.value.values():
        yield from _addresses_below(below)


def _contradictions(tree: Node, parts: dict[str, Any]) -> Iterator[Wrong]:
    for i, debian in enumerate(parts["debian"]):
        yield from _about_debian(_at(tree, "debian", i), debian)
    places: dict[str, tuple[str, int]] = {}
    for i, image in enumerate(parts["images"]):
        node = _at(tree, "images", i, "image")
        if image.layout is None and image.digest is None:
            yield _wrong(
                node,
                f"image {image.image} has no digest",
                f"Add @sha256: and the digest that `skopeo inspect docker://{image.image}` shows.",
            )
        name, line = places.setdefault(image.place, (image.name, node.line))
        if name != image.name:
            yield _wrong(
                node,
                f"image {image.name} has the folder of the image on line {line}",
                "Give one of them an 'as'.",
            )
    files: list[tuple[tuple[File, ...], tuple[str, ...]]] = [
        (parts["files"], ("files",)),
        (parts["documents"], ("documents",)),
    ]
    if parts["ansible"]:
        files += [
            (parts["ansible"].collections, ("ansible", "collections")),
            (parts["ansible"].playbooks, ("ansible", "playbooks")),
        ]
    for listed, where in files:
        for i, file in enumerate(listed):
            yield from _about_file(_at(tree, *where, i), file)


def _about_debian(node: Node, debian: Debian) -> Iterator[Wrong]:
    if debian.upgrade and debian.base is None:
        yield _wrong(
            _at(node, "upgrade"), "upgrade has no base to upgrade", "Say what hosts have: add 'base'."
        )
    if debian.upgrade and not debian.dependencies:
        yield _wrong(
            _at(node, "dependencies"), "an upgrade without dependencies would not install", "Remove one."
        )
    if not debian.packages and not debian.upgrade:
        yield _wrong(node, "this release names no packages and upgrades nothing", "Add 'packages'.")
    if debian.base and debian.base.installed and (debian.base.packages or debian.base.priorities):
        yield _wrong(
            _at(node, "base", "installed"),
            "base has a host's list and other packages, too",
            "Keep 'installed' alone: it says all that the host has.",
        )
    names = [package.partition("=")[0] for package in debian.packages]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield _wrong(
                _at(node, "packages", i),
                f"package {name} stands there twice",
                "Keep one, with or without a version.",
            )


def _about_file(node: Node, file: File) -> Iterator[Wrong]:
    several = bool(re.search(r"[*?\[]", file.path))
    if several and file.sha256:
        yield _wrong(
            _at(node, "sha256"), "a glob has one sha256", "Name each file by itself, or leave it out."
        )
    if several and file.name:
        yield _wrong(
            _at(node, "as"), "a glob has one name in 'as'", "Use 'under' to put its files into a folder."
        )
    if file.name and file.under:
        yield _wrong(_at(node, "under"), "a file has both 'as' and 'under'", "Write the folder into 'as'.")


def _at(node: Node, *path: str | int) -> Node:
    """The node below `node`; what is not there is at what should contain it."""
    for step in path:
        if isinstance(step, int) and isinstance(node.value, list):
            node = node.value[step]
        elif isinstance(step, str) and isinstance(node.value, dict):
            node = node.value.get(step, node)
    return node


def _wrong(node: Node, message: str, remedy: str) -> Wrong:
    return Wrong(node.line, message, remedy, node.column)


def schema() -> dict[str, Any]:
    """The JSON schema of recipes, for editors; a recipe that it accepts can still contradict itself."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of airgap-bundle",
        **SHAPE.schema(),
    }


SCHEMA_FILE = Path(__file__).with_name("recipe.schema.json")


def schema_text() -> str:
    """What `recipe.schema.json` holds."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if SCHEMA_FILE.read_text() == schema_text() else "recipe.schema.json is old: make docs")
    SCHEMA_FILE.write_text(schema_text())
