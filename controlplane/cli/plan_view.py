"""A plan as a person wants to read it: by project, one line a resource, differences with have and want.

    ministry  31 to create

    Tenant
      create  domain ministry                 Anna Weber
      create  user anna                       anna@example.org
    Project prod
      create  network app
      create    subnet app-v4                 /26 from tenant-space
      update  security group web              changed outside the plane
                description: "x" -> "Front ends"

Takes the plan as the API gives it and returns lines; nothing is printed here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airgap_bundle.errors import printable

Change = Mapping[str, Any]
COLOURS = {"create": "32", "update": "33", "replace": "35", "delete": "31", "forget": "2"}
SUMMARY = {
    "create": "to create",
    "update": "to update",
    "replace": "to replace",
    "delete": "to delete",
    "forget": "to forget",
}
_IN_PROJECT = {
    "compute-quota": 1,
    "volume-quota": 1,
    "network-quota": 1,
    "network": 1,
    "subnet": 1,
    "router": 1,
    "interface": 1,
    "security-group": 1,
    "rule": 1,
    "share": 1,
    "server-group": 1,
    "project": 1,
}
_NESTED = {"subnet", "interface", "rule", "share", "membership", "keypair", "application-credential"}
WIDTH = 44
VALUE_WIDTH = 60


def plan_lines(plan: Mapping[str, Any], *, colour: bool = False, detail: bool = False) -> list[str]:
    """The plan's lines. `detail` shows every field of what is created."""
    lines = [_heading(plan)]
    for title, changes in _sections(plan["changes"]):
        lines += ["", f"  {title}"]
        for change in changes:
            lines += _change_lines(change, colour, detail)
    for address, ids in plan.get("duplicates", ()):
        lines += ["", f"  note: {address} exists more than once ({', '.join(ids)} besides the one in use)"]
    if plan["changes"]:
        lines += ["", f"  digest {plan['digest'][:12]}"]
    return [printable(line) if not colour else line for line in lines]


def summary(plan: Mapping[str, Any]) -> str:
    """`31 to create, 1 to delete`, or that nothing is to do."""
    counts = plan["counts"]
    return ", ".join(f"{counts[a]} {words}" for a, words in SUMMARY.items() if a in counts) or "nothing to do"


def _heading(plan: Mapping[str, Any]) -> str:
    return f"{plan['tenant']}: {summary(plan)}"


def _sections(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    by_title: dict[str, list[Change]] = {}
    for change in changes:
        kind, _, rest = change["address"].partition("/")
        title = f"Project {rest.split('/')[0]}" if kind in _IN_PROJECT else "Tenant"
        if kind.startswith(("flavor", "image", "volume-type")):
            title = "Flavors, images and volume types"
        by_title.setdefault(title, []).append(change)
    for title in sorted(by_title, key=lambda t: (t != "Tenant", not t.startswith("Project"), t)):
        yield title, sorted(by_title[title], key=_place)


def _place(change: Change) -> tuple[Any, ...]:
    """Children stand under their parent: a subnet below its network, a rule below its group."""
    kind, *rest = change["address"].split("/", 3)
    order = ["domain", "group", "membership", "user", "keypair", "application-credential", "assignment"]
    order += ["project", *_IN_PROJECT]
    family = {"subnet": "network", "share": "network", "interface": "router", "rule": "security-group"}
    family |= {"keypair": "user", "application-credential": "user", "membership": "group"}
    parent = family.get(kind, kind)
    rank = order.index(parent) if parent in order else len(order)
    return rank, rest[:2] if parent != "user" else rest[:1], kind != parent, change["address"]


def _change_lines(change: Change, colour: bool, detail: bool) -> Iterator[str]:
    action = change["action"]
    kind = change["address"].split("/", 1)[0]
    indent = "  " if kind in _NESTED else ""
    what = f"{indent}{describe(change['address'])}"
    fields = {d["field"]: d["want"] if action == "create" else d["have"] for d in change["differences"]}
    note = about(kind, fields) if action == "create" else change["cause"]
    word = f"{action:<8}"
    if colour:
        word = f"\x1b[{COLOURS[action]}m{word}\x1b[0m"
    body = printable(f"{what:<{WIDTH}}  {note}".rstrip())
    yield f"    {word}{body}"
    if action == "create" and change["cause"] != "new in the spec":
        yield f"              {indent}{printable(change['cause'])}"
    if action in ("update", "replace") or (detail and action == "create"):
        for d in change["differences"]:
            have, want = shown(d["have"]), shown(d["want"])
            told = want if action == "create" else f"{have} -> {want}"
            yield f"              {indent}{printable(d['field'])}: {told}"
    if change["loses"]:
        loss = f"loses {change['loses']}"
        yield f"              {indent}" + (f"\x1b[31m{loss}\x1b[0m" if colour else loss)


def describe(address: str) -> str:
    """An address in words: `subnet app/app-v4`, without the project that the section names."""
    kind, _, rest = address.partition("/")
    words = kind.replace("-", " ")
    if kind == "assignment":
        role, actor_kind, actor, *target = rest.split("/")
        return f"role {role} for {actor_kind} {actor} on {' '.join(target)}"
    if kind == "rule":
        return _rule(rest.split("/", 2)[2])
    if kind == "membership":
        return f"member {rest.partition('/')[2]}"
    if kind.endswith("-quota"):
        return f"quota {kind.removesuffix('-quota')}"
    if kind == "domain":
        return "domain"
    if kind == "share":
        _, network, project = rest.split("/", 2)
        return f"share {network} with {project}"
    if kind in _IN_PROJECT and kind != "project":
        rest = rest.partition("/")[2]
    return f"{words} {rest}"


def _rule(key: str) -> str:
    """A rule's key in words: `rule in tcp 5432 from group web`."""
    direction, ether, protocol, ports, remote = key.split(":", 4)
    way, preposition = ("in", "from") if direction == "ingress" else ("out", "to")
    what = protocol if ports == "any" else f"{protocol} {ports}"
    family = f" ({ether})" if remote == "any" else ""
    return f"rule {way} {what} {preposition} {remote.replace('group=', 'group ')}{family}"


def about(kind: str, fields: Mapping[str, Any]) -> str:
    """The few facts that tell a new resource apart."""
    get = fields.get
    if kind.endswith("-quota"):
        numbers = {name: value for name, value in fields.items() if name != "project"}
        return ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in list(numbers.items())[:3])
    if kind == "subnet":
        size = f"/{get('prefix_length')} " if get("prefix_length") else ""
        where = get("cidr") or f"{size}from {get('pool')}"
        return f"{where}{'' if get('gateway') == 'auto' else ', gateway ' + str(get('gateway'))}"
    if kind == "router":
        return f"to {get('external')}" if get("external") else "internal only"
    if kind == "flavor":
        return f"{get('vcpus')} vCPU, {get('ram_mib')} MiB, {get('disk_gib')} GiB"
    if kind == "application-credential":
        return f"{', '.join(get('roles') or ())} on {str(get('project')).removeprefix('project/')}"
    if kind == "server-group":
        return str(get("policy"))
    if kind == "keypair":
        return str(get("public_key")).split(" ", 1)[0]
    return str(get("email") or get("description") or "")


def shown(value: Any) -> str:
    """A value for a person: text in quotes, lists and numbers as JSON, nothing as `none`."""
    if value is None:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= VALUE_WIDTH else text[: VALUE_WIDTH - 3] + "...")
