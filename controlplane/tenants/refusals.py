"""What a model refuses, in plain words: pydantic's errors become findings with line and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controlplane.tenants.errors import Finding
from controlplane.tenants.words import (
    ABSENT,
    NOUNS,
    Path,
    at,
    child,
    describe,
    dotted,
    label,
    listed,
    nearest,
    quoted,
    where,
)
from controlplane.tenants.yaml_tree import Odd, Tree

EXAMPLES: Mapping[str, str] = {
    "tenant": "ministry",
    "governance": '{owner: NAME, cost_centre: "1", classification: internal, valid_until: 2030-12-31}',
    "projects": "[prod]",
    "owner": "Directorate of Digital Services",
    "cost_centre": '"4711"',
    "classification": "internal",
    "valid_until": "2030-12-31",
    "quota": "{class: small}",
    "class": "small",
    "start": "10.0.0.10",
    "end": "10.0.0.99",
    "destination": "10.9.0.0/16",
    "next_hop": "10.0.0.254",
    "policy": "anti-affinity",
    "public_key": "ssh-ed25519 AAAA…",
    "project": "prod",
    "role": "member",
    "roles": "[member]",
}
"""What a missing key may look like."""

NAME_RULE = "lower-case letters, digits and hyphens, beginning with a letter, at most 63 characters"

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "date_type": "a date",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}


def findings(error: ValidationError, tree: Tree, model: type[BaseModel], most: int) -> list[Finding]:
    """The first `most` findings of `error` by line, one for each place."""
    by_path: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        by_path.setdefault(_path(detail, tree.value), []).append(detail)
    troubled = {trouble.path for trouble in tree.troubles if trouble.path}
    paths = [path for path in by_path if not any(path[:i] in troubled for i in range(1, len(path) + 1))]
    paths.sort(key=tree.place)
    return [_finding(path, by_path[path], tree, model) for path in paths[:most]]


def _path(detail: ErrorDetails, value: Any) -> Path:
    """Where an error stands, in the spec's keys: without the names of union members that pydantic adds."""
    path: list[str | int] = []
    loc = detail["loc"]
    for i, step in enumerate(loc):
        below = child(value, step)
        if below is ABSENT and not (detail["type"] == "missing" and i == len(loc) - 1):
            continue
        value = below
        path.append(step)
    return tuple(path)


def _finding(path: Path, details: Sequence[ErrorDetails], tree: Tree, model: type[BaseModel]) -> Finding:
    message, remedy = _words(path, details, tree, model)
    place = tree.place(path)
    return Finding(place.line, message, remedy, place.column, dotted(path))


def _words(
    path: Path, details: Sequence[ErrorDetails], tree: Tree, model: type[BaseModel]
) -> tuple[str, str]:
    """Message and remedy for all that is wrong at one place."""
    value = at(tree.value, path)
    name = label(tree.value, path)
    if path and isinstance(path[-1], int) and path[-2] in NOUNS and isinstance(value, str):
        name = f"item {path[-1] + 1} in {name}"
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    types = {detail["type"] for detail in details}
    detail = details[0]
    context = detail.get("ctx", {})
    if "missing" in types:
        return _missing(path, key, tree)
    if "extra_forbidden" in types:
        return _unknown(path, key, tree, model)
    if detail["loc"][-1:] == ("[key]",):
        value, name = key, f"the key {quoted(key)} in {where(tree.value, path)}"
    if value is None:
        owner = _model_at(model, path[:-1])
        needed = owner is not None and any(
            f.is_required() for n, f in owner.model_fields.items() if key in (n, f.alias)
        )
        return f"{name} is empty", f"Write a value after '{key}:'" + (
            "." if needed else ", or remove the line."
        )
    if key == "ports":
        return (
            f"{name} is {_choice(value)}, must be a port or a range of ports between 1 and 65535",
            "Write one port as 443, or a range as 8000-8100.",
        )
    for kind in types & _EXPECTED.keys():
        return _wrong_type(kind, value, name, key, tree.written.get(path, ""))
    match detail["type"]:
        case "enum" | "literal_error":
            return _wrong_choice(value, name, key, path, model)
        case "string_pattern_mismatch" | "string_too_long" | "string_too_short" | "too_short":
            return _wrong_text(detail, value, name, key, path)
        case "greater_than_equal" | "less_than_equal":
            return _out_of_range(value, name, path, model)
        case "value_error":
            said, _, remedy = str(context.get("error", "is not valid; correct it")).partition("; ")
            if not isinstance(value, str):
                return f"{name} is {describe(value)}, must be text", "Put it in quotes."
            return f"{name}, {quoted(value)}, {said}", f"{remedy[:1].upper()}{remedy[1:]}."
        case _:
            return f"{name} is {describe(value)}, which is not valid here", "Correct it, or remove the line."


def _missing(path: Path, key: str, tree: Tree) -> tuple[str, str]:
    inside = where(tree.value, path)
    if not path[:-1]:
        inside = "the tenant"
    if key == "name":
        return f"{inside} has no 'name'", "Add a line such as 'name: app'."
    example = EXAMPLES.get(key, "")
    if path == ("projects",):
        example = "[{name: prod, quota: {class: small}}]"
    return f"{inside} has no '{key}'", f"Add a line such as '{key}: {example}".rstrip() + "'."


def _unknown(path: Path, key: str, tree: Tree, model: type[BaseModel]) -> tuple[str, str]:
    inside = where(tree.value, path)
    owner = _model_at(model, path[:-1])
    known = _keys(owner) if owner else []
    message = f"unknown key {quoted(key)} in {inside}"
    if close := nearest(key, known):
        return message, f"Did you mean '{close}'?"
    homes = sorted({noun for noun, keys in _all_keys(model).items() if key in keys})
    if homes:
        return message, f"Move it: '{key}' belongs to a {listed(homes, 'or')}."
    return message, f"Remove it; the keys here are {listed(known)}."


def _wrong_type(kind: str, value: Any, name: str, key: str, written: str) -> tuple[str, str]:
    expected = _EXPECTED[kind]
    message = f"{name} is {describe(value)}, must be {expected}"
    if isinstance(value, list | dict):
        return message, {
            "text": f"Write one text after '{key}:'.",
            "a list": f"Write each item below '{key}:' on a line that begins with '- '.",
            "a mapping": f"Write 'name: value' lines below '{key}:', without '- '.",
        }.get(expected, f"Write {expected} after '{key}:'.")
    match kind:
        case "string_type":
            if isinstance(value, bool) or (isinstance(value, Odd) and value.why == "yes-no"):
                message = f"{name} is {quoted(written)} without quotes, which YAML takes for true or false"
            elif isinstance(value, Odd):
                message = (
                    f"{name} is {quoted(written)} without quotes, which YAML takes for {_TAKEN[value.why]}"
                )
            elif isinstance(value, int):
                message = f"{name} is the number {quoted(written)}, must be text"
            return message, f'Put it in quotes: "{_short(written)}".'
        case "int_type":
            if isinstance(value, Odd) and value.why == "huge":
                return f"{name} is {quoted(written)}, which is far too large", "Write a smaller number."
            if isinstance(value, Odd) and value.why in ("octal", "number", "sixties", "fraction"):
                return (
                    f"{name} is {quoted(written)}, must be a whole number in plain digits",
                    "Write it with the digits 0 to 9 only and no leading zero.",
                )
            if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
                return (
                    f"{name} is {describe(value)}, must be a whole number",
                    f"Remove the quotes: {int(value)}.",
                )
            return message, "Write only digits, without unit or quotes."
        case "bool_type":
            return (
                f"{name} is {describe(value)}, must be true or false",
                "Write true or false, without quotes.",
            )
        case "date_type":
            return f"{name} is {describe(value)}, must be a date", "Write it as 2030-12-31."
        case "list_type":
            return message, f"Write it as a list: [{_short(written)}]."
        case _ if name.startswith("item ") and isinstance(value, str):
            return message, f"Write it as '- name: {_short(value)}'."
        case _:
            return message, f"Write 'name: value' lines below '{key}:', indented."


_TAKEN = {
    "octal": "an octal number",
    "number": "a number",
    "huge": "a number",
    "sixties": "a number in base sixty",
    "fraction": "a fraction",
    "time": "a time",
    "alias": "an alias",
}


def _short(written: str) -> str:
    return quoted(written)[1:-1]


def _choice(value: Any) -> str:
    return quoted(value) if isinstance(value, str) and value else describe(value)


def _wrong_choice(value: Any, name: str, key: str, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    choices = _choices(model, path)
    if choices == [True]:
        return f"{name} is {describe(value)}, must be true", f"Write '{key}: true', or remove the line."
    shown = listed(choices, "or")
    message = f"{name} is {_choice(value)}, must be {shown}"
    if value == "admin" and "manager" in choices:
        return message, "Write manager: the admin role rules the whole site and is never given to a tenant."
    close = nearest(str(value), [str(choice) for choice in choices])
    return message, f"Did you mean '{close}'?" if close else "Write one of these."


def _wrong_text(detail: ErrorDetails, value: Any, name: str, key: str, path: Path) -> tuple[str, str]:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "string_too_long":
            return (
                f"{name} has {len(value)} characters, at most {context['max_length']} are allowed",
                "Shorten it.",
            )
        case "string_too_short":
            return f"{name} is an empty text", "Write something between the quotes, or remove the line."
        case "too_short":
            return f"{name} is an empty list", "List at least one."
    if "/" in str(context.get("pattern", "")):
        return (
            f"{name} has {quoted(value)}, must be a network and one of its subnets",
            "Write it as network/subnet, such as app/web.",
        )
    better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].strip("-")
    better = better if better[:1].isalpha() else f"n-{better}".rstrip("-")
    if path == ("tenant",):
        name = f"the tenant's name {quoted(value)}"
    elif key == "name" and len(path) > 2:
        name = f"the name {quoted(value)} of a {NOUNS.get(str(path[-3]), 'thing')}"
    elif _short(value) not in name:
        name = f"{name}, {quoted(value)},"
    return f"{name} must be {NAME_RULE}", f"Write it as '{better}'."


def _out_of_range(value: Any, name: str, path: Path, model: type[BaseModel]) -> tuple[str, str]:
    low, high = _bounds(model, path)
    said = f"{name} is {describe(value).removeprefix('the number ')}, must be between {low} and {high}"
    return said, "Write a number in that range."


# --- what the models say of a place ---------------------------------------------------------------------


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _members(annotation: Any) -> Iterator[Any]:
    """An annotation without `Annotated`, and each member of a union."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _annotation_at(model: type[BaseModel], path: Path) -> tuple[Any, Sequence[Any]]:
    """The annotation of the field at `path` with the metadata that pydantic split from it."""
    here: Any = model
    metadata: Sequence[Any] = ()
    for step in path:
        members = list(_members(here))
        if isinstance(step, int):
            lists = [m for m in members if get_origin(m) is list]
            here, metadata = (get_args(lists[0])[0], ()) if lists else (None, ())
            continue
        owner = next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), None)
        info = None
        if owner is not None:
            info = next((f for n, f in owner.model_fields.items() if (f.alias or n) == step), None)
        if info is None:
            mappings = [m for m in members if get_origin(m) is dict]
            here, metadata = (get_args(mappings[0])[1], ()) if mappings else (None, ())
        else:
            here, metadata = info.annotation, info.metadata
    return here, metadata


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    annotation, _ = _annotation_at(model, path)
    return next((m for m in _members(annotation) if isinstance(m, type) and issubclass(m, BaseModel)), None)


def _choices(model: type[BaseModel], path: Path) -> list[Any]:
    annotation, _ = _annotation_at(model, path)
    for member in _members(annotation):
        if get_origin(member) is Literal:
            return list(get_args(member))
        if (
            isinstance(member, type)
            and not issubclass(member, BaseModel | date)
            and hasattr(member, "__members__")
        ):
            return [str(choice) for choice in member.__members__.values()]
    return []


def _bounds(model: type[BaseModel], path: Path) -> tuple[Any, Any]:
    annotation, metadata = _annotation_at(model, path)
    found: dict[str, Any] = {}

    def gather(items: Sequence[Any]) -> None:
        for item in items:
            for name in ("ge", "le"):
                if getattr(item, name, None) is not None:
                    found[name] = getattr(item, name)
            gather(getattr(item, "metadata", ()))

    def walk(part: Any) -> None:
        if get_origin(part) is Annotated:
            gather(get_args(part)[1:])
        for inner in get_args(part):
            walk(inner)

    gather(metadata)
    walk(annotation)
    return found.get("ge", "-"), found.get("le", "-")


def _all_keys(model: type[BaseModel]) -> dict[str, list[str]]:
    """Every model below `model` by the words people use, with its keys."""
    found: dict[str, list[str]] = {}
    todo = [model]
    while todo:
        owner = todo.pop()
        noun = re.sub(r"(?<!^)(?=[A-Z])", " ", owner.__name__).lower()
        if noun in found:
            continue
        found[noun] = _keys(owner)
        for info in owner.model_fields.values():
            for member in _members(info.annotation):
                inner = [member, *(m for a in get_args(member) for m in _members(a))]
                todo += [m for m in inner if isinstance(m, type) and issubclass(m, BaseModel)]
    return found
