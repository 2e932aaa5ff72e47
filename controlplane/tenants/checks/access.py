"""People: assignments that say one thing, keys that can be used, credentials that Keystone will grant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date

from controlplane.tenants.checks.keylines import keypair_problem, manager_key_problem
from controlplane.tenants.errors import Finding
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Assignment, Tenant, User
from controlplane.tenants.words import Path, listed, quoted

IMPLIED = {"manager": ("manager", "member", "reader"), "member": ("member", "reader"), "reader": ("reader",)}
"""What holding a role gives: Keystone's bootstrap makes manager imply member, and member imply reader."""

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def check(spec: ReadSpec, today: date) -> Iterator[Finding]:
    """What is wrong with dates, users, their credentials and the assignments of roles."""
    valid_until = spec.tenant.governance.valid_until
    if valid_until <= today:
        yield spec.finding(
            ("governance", "valid_until"),
            f"valid_until of governance is {valid_until}, which is not after today, {today}",
            "Write the day on which the tenant ends.",
        )
    yield from _assignments(spec)
    rights = rights_of(spec.tenant)
    for i, user in enumerate(spec.tenant.users):
        yield from _user(spec, ("users", i), user)
        yield from _credentials(spec, ("users", i), user, rights, today)


# --- assignments ------------------------------------------------------------------------------------------


def _assignments(spec: ReadSpec) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], int] = {
        ("manager", user.name, None, None): spec.line(("users", i, "tenant_manager"))
        for i, user in enumerate(spec.tenant.users)
        if user.tenant_manager
    }
    for i, given in enumerate(spec.tenant.assignments):
        path: Path = ("assignments", i)
        what = spec.label(path)
        yield from _one_of(spec, path, given, "user", "group")
        yield from _one_of(spec, path, given, "project", "domain")
        key = (given.role, given.user, given.group, given.project)
        line = spec.line(path)
        first = seen.setdefault(key, line)
        if first != line and None not in (given.user or given.group, given.project or given.domain):
            yield spec.finding(
                path, f"{what} gives what line {first} gives already", "Remove one of the two."
            )


def _one_of(spec: ReadSpec, path: Path, given: Assignment, one: str, other: str) -> Iterator[Finding]:
    what = spec.label(path)
    there = [key for key in (one, other) if getattr(given, key) is not None]
    if not there:
        example = "true" if other == "domain" else "NAME"
        yield spec.finding(
            path, f"{what} has neither '{one}' nor '{other}'", f"Add '{one}: NAME' or '{other}: {example}'."
        )
    elif len(there) == 2:
        yield spec.finding(
            (*path, other),
            f"{what} has both '{one}' and '{other}'",
            "Keep one of the two, or make it two assignments.",
        )


# --- users ------------------------------------------------------------------------------------------------


def _user(spec: ReadSpec, path: Path, user: User) -> Iterator[Finding]:
    if user.tenant_manager and user.public_key is None:
        yield spec.finding(
            (*path, "tenant_manager"),
            f"user {user.name} is a tenant manager but has no 'public_key' to seal the hand-over to",
            "Add 'public_key: ssh-ed25519 …', the line of the manager's own .pub file.",
        )
    if user.public_key is not None and (problem := manager_key_problem(user.public_key)):
        yield spec.finding((*path, "public_key"), f"public_key of user {user.name} {problem[0]}", problem[1])
    if user.email is not None and not _EMAIL.fullmatch(user.email):
        yield spec.finding(
            (*path, "email"),
            f"email {quoted(user.email)} of user {user.name} is not an address",
            "Write it as name@example.org.",
        )
    for j, pair in enumerate(user.keypairs):
        if problem := keypair_problem(pair.public_key):
            yield spec.finding(
                (*path, "keypairs", j, "public_key"),
                f"public_key of keypair {pair.name} of user {user.name} {problem[0]}",
                problem[1],
            )


def _credentials(spec: ReadSpec, path: Path, user: User, rights: Rights, today: date) -> Iterator[Finding]:
    valid_until = spec.tenant.governance.valid_until
    projects = {project.name for project in spec.tenant.projects}
    for j, credential in enumerate(user.application_credentials):
        here = (*path, "application_credentials", j)
        what = spec.label(here)
        held = roles_of(user, credential.project, rights)
        for k, role in enumerate(credential.roles):
            if role not in held and credential.project in projects:
                has = f"only {listed(sorted(held))}" if held else "no role"
                yield spec.finding(
                    (*here, "roles", k),
                    f"{what} has the role {role}, but {user.name} has {has} on project {credential.project}",
                    f"Assign {role} on the project to the user or to a group of theirs, or take it out here.",
                )
        if credential.expires is None:
            continue
        if credential.expires <= today:
            yield spec.finding(
                (*here, "expires"),
                f"{what} expires on {credential.expires}, which is not after today, {today}",
                "Write a later day, or remove 'expires'.",
            )
        elif credential.expires > valid_until:
            yield spec.finding(
                (*here, "expires"),
                f"{what} expires on {credential.expires}, after the tenant itself ends on {valid_until}",
                f"Write {valid_until} or a day before it.",
            )


Rights = Mapping[tuple[str, str, str], set[str]]
"""Roles by `user` or `group`, its name, and the project."""


def rights_of(tenant: Tenant) -> Rights:
    """What the assignments on projects give, with implied roles; the domain's do not count there."""
    rights: dict[tuple[str, str, str], set[str]] = {}
    for given in tenant.assignments:
        for kind, name in (("user", given.user), ("group", given.group)):
            if name is not None and given.project is not None:
                rights.setdefault((kind, name, given.project), set()).update(IMPLIED[given.role])
    return rights


def roles_of(user: User, project: str, rights: Rights) -> set[str]:
    """The roles that `user` has on `project`, directly or by a group."""
    holders = [("user", user.name), *(("group", group) for group in user.groups)]
    return set().union(*(rights.get((*holder, project), set()) for holder in holders))
