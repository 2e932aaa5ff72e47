"""Names: unique where OpenStack or an address needs it, known where they are referred to, never too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from controlplane.tenants.errors import Finding
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.resources import mark
from controlplane.tenants.spec import Flavor, SharedImage, VolumeType
from controlplane.tenants.words import Path, choose, count, label, quoted

LONGEST_DESCRIPTION = 255
"""Characters that Neutron and Cinder keep of a description, the plane's mark included."""
RESERVED_TENANTS = ("admin", "default", "service")
"""Domains that every OpenStack has or that installers make."""

_MADE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRA_SPEC = re.compile(r"[A-Za-z0-9_.:-]+")


def check(spec: ReadSpec) -> Iterator[Finding]:
    """Names that clash, that mean nothing, or that OpenStack or the plane cannot take."""
    tenant = spec.tenant
    if tenant.tenant in RESERVED_TENANTS:
        yield spec.finding(
            ("tenant",),
            f"the tenant's name {quoted(tenant.tenant)} is one that OpenStack keeps for itself",
            "Choose another name.",
        )
    yield from _unique(spec)
    yield from _known(spec)
    yield from _facilities(spec)
    yield from _descriptions(spec)


# --- unique ---------------------------------------------------------------------------------------------


def _unique(spec: ReadSpec) -> Iterator[Finding]:
    tenant = spec.tenant
    yield from duplicates(spec, ("projects",), [p.name for p in tenant.projects])
    yield from duplicates(spec, ("groups",), [g.name for g in tenant.groups])
    yield from duplicates(spec, ("users",), [u.name for u in tenant.users])
    for i, project in enumerate(tenant.projects):
        here: Path = ("projects", i)
        yield from duplicates(spec, (*here, "networks"), [n.name for n in project.networks])
        yield from duplicates(spec, (*here, "routers"), [r.name for r in project.routers])
        yield from duplicates(spec, (*here, "security_groups"), [g.name for g in project.security_groups])
        yield from duplicates(spec, (*here, "server_groups"), [g.name for g in project.server_groups])
        for j, network in enumerate(project.networks):
            there = (*here, "networks", j)
            yield from duplicates(spec, (*there, "subnets"), [s.name for s in network.subnets])
            yield from repeats(spec, (*there, "share_with"), network.share_with)
        for j, router in enumerate(project.routers):
            yield from repeats(spec, (*here, "routers", j, "interfaces"), router.interfaces)
    for i, user in enumerate(tenant.users):
        yield from repeats(spec, ("users", i, "groups"), user.groups)
        yield from duplicates(spec, ("users", i, "keypairs"), [k.name for k in user.keypairs])
        credentials = [c.name for c in user.application_credentials]
        yield from duplicates(spec, ("users", i, "application_credentials"), credentials)
        for j, credential in enumerate(user.application_credentials):
            yield from repeats(spec, ("users", i, "application_credentials", j, "roles"), credential.roles)
    for field, things in _shared_things(spec):
        yield from duplicates(spec, (field,), [thing.name for thing in things])
        for i, thing in enumerate(things):
            yield from repeats(spec, (field, i, "projects"), thing.projects)


def duplicates(spec: ReadSpec, path: Path, names: Sequence[str]) -> Iterator[Finding]:
    """A finding for every item of the list at `path` whose name an earlier one has."""
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        earlier = first.setdefault(name, i)
        if earlier != i:
            yield spec.finding(
                (*path, i, "name"),
                f"{spec.label((*path, i))} stands twice, first on line {spec.line((*path, earlier, 'name'))}",
                "Rename or remove one of the two.",
            )


def repeats(spec: ReadSpec, path: Path, values: Iterable[str]) -> Iterator[Finding]:
    """A finding for every value of the list at `path` that stands there already."""
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            yield spec.finding(
                (*path, i), f"{spec.label(path)} has {quoted(value)} twice", "Remove one of the two."
            )
        seen.add(value)


# --- known ----------------------------------------------------------------------------------------------


def _known(spec: ReadSpec) -> Iterator[Finding]:
    tenant = spec.tenant
    projects = {p.name for p in tenant.projects}
    users = {u.name for u in tenant.users}
    groups = {g.name for g in tenant.groups}
    for i, project in enumerate(tenant.projects):
        for j, network in enumerate(project.networks):
            for k, other in enumerate(network.share_with):
                path: Path = ("projects", i, "networks", j, "share_with", k)
                if other == project.name:
                    yield spec.finding(
                        path,
                        f"network {network.name} is shared with its own project {other}",
                        "Remove it: a project may always use its own networks.",
                    )
                else:
                    yield from unknown(spec, path, other, projects - {project.name}, "project")
    for i, user in enumerate(tenant.users):
        for j, name in enumerate(user.groups):
            yield from unknown(spec, ("users", i, "groups", j), name, groups, "group")
        for j, credential in enumerate(user.application_credentials):
            path = ("users", i, "application_credentials", j, "project")
            yield from unknown(spec, path, credential.project, projects, "project")
    for i, given in enumerate(tenant.assignments):
        for key, who, known in (
            ("user", given.user, users),
            ("group", given.group, groups),
            ("project", given.project, projects),
        ):
            if who is not None:
                yield from unknown(spec, ("assignments", i, key), who, known, key)
    for field, things in _shared_things(spec):
        for i, thing in enumerate(things):
            for j, name in enumerate(thing.projects):
                yield from unknown(spec, (field, i, "projects", j), name, projects, "project")


def unknown(
    spec: ReadSpec, path: Path, name: str, known: Iterable[str], noun: str, owner: str = "this tenant"
) -> Iterator[Finding]:
    """A finding when `name`, which stands at `path`, is none of `known`."""
    known = set(known)
    if name not in known:
        what = spec.label(path[:-1] if isinstance(path[-1], int) else path)
        yield spec.finding(
            path,
            f"{what} names the {noun} {quoted(name)}, which {owner} does not have",
            choose(name, known, f"{noun}s"),
        )


# --- flavors, images, volume types ------------------------------------------------------------------------

Shared = Flavor | SharedImage | VolumeType


def _shared_things(spec: ReadSpec) -> list[tuple[str, Sequence[Shared]]]:
    tenant = spec.tenant
    return [("flavors", tenant.flavors), ("images", tenant.images), ("volume_types", tenant.volume_types)]


def _facilities(spec: ReadSpec) -> Iterator[Finding]:
    for field, things in _shared_things(spec):
        for i, thing in enumerate(things):
            made = not isinstance(thing, SharedImage) and not thing.existing
            if made and not _MADE_NAME.fullmatch(thing.name):
                yield spec.finding(
                    (field, i, "name"),
                    f"{spec.label((field, i))} has characters in its name that the plane cannot give",
                    "Use letters, digits, dots, hyphens and underscores, without spaces.",
                )
            elif "/" in thing.name:
                yield spec.finding(
                    (field, i, "name"),
                    f"{spec.label((field, i))} has a slash in its name, which the plane keeps for addresses",
                    "Ask the site's operator for one without a slash in its name.",
                )
            if not isinstance(thing, SharedImage):
                yield from _extra_specs(spec, (field, i, "extra_specs"), thing.extra_specs)
    yield from _sizes(spec)


def _extra_specs(spec: ReadSpec, path: Path, extra_specs: Iterable[str]) -> Iterator[Finding]:
    for key in extra_specs:
        if not _EXTRA_SPEC.fullmatch(key):
            yield spec.finding(
                (*path, key),
                f"the key {quoted(key)} in {spec.label(path)} has characters that OpenStack refuses",
                "Use letters, digits, dots, colons, hyphens and underscores.",
            )


def _sizes(spec: ReadSpec) -> Iterator[Finding]:
    """What the plane makes has a size; what exists already cannot be given one."""
    for i, flavor in enumerate(spec.tenant.flavors):
        for key, example in (("vcpus", 2), ("ram_mib", 4096), ("disk_gib", 20)):
            given = getattr(flavor, key) is not None
            if flavor.existing and given:
                yield _fixed(spec, ("flavors", i), key)
            elif not flavor.existing and not given:
                yield spec.finding(
                    ("flavors", i),
                    f"{spec.label(('flavors', i))} has no '{key}'",
                    f"Add a line such as '{key}: {example}', or 'existing: true' if the site has it.",
                )
        if flavor.existing and flavor.extra_specs:
            yield _fixed(spec, ("flavors", i), "extra_specs")
    for i, volume_type in enumerate(spec.tenant.volume_types):
        for key in ("description", "extra_specs"):
            if volume_type.existing and getattr(volume_type, key):
                yield _fixed(spec, ("volume_types", i), key)


def _fixed(spec: ReadSpec, path: Path, key: str) -> Finding:
    return spec.finding(
        (*path, key),
        f"{spec.label(path)} exists already, so '{key}' cannot be set here",
        f"Remove '{key}', or remove 'existing: true' to have the plane make one of its own.",
    )


# --- descriptions -----------------------------------------------------------------------------------------


def _descriptions(spec: ReadSpec) -> Iterator[Finding]:
    """The mark of ownership goes into descriptions, and both have to fit."""
    for path, address, description in _marked(spec):
        over = len(mark(spec.tenant.tenant, address, description)) - LONGEST_DESCRIPTION
        if over <= 0:
            continue
        what = label(spec.tree.value, path)
        if len(mark(spec.tenant.tenant, address)) >= LONGEST_DESCRIPTION - 1:
            yield spec.finding(
                path,
                f"{what} and what contains it have names {count(over, 'character')} too long together",
                "Shorten one of the names.",
            )
        elif description is not None:
            room = len(description) - over
            yield spec.finding(
                (*path, "description"),
                f"the description of {what} has {len(description)} characters, "
                f"at most {room} fit beside the plane's mark",
                "Shorten it.",
            )


def _marked(spec: ReadSpec) -> Iterator[tuple[Path, str, str | None]]:
    """Where each resource stands whose description carries a mark, its address and its own words."""
    tenant = spec.tenant
    yield (), "domain", tenant.description
    for i, group in enumerate(tenant.groups):
        yield ("groups", i), f"group/{group.name}", group.description
    for i, user in enumerate(tenant.users):
        yield ("users", i), f"user/{user.name}", user.description
    for i, project in enumerate(tenant.projects):
        here: Path = ("projects", i)
        yield here, f"project/{project.name}", project.description
        for j, network in enumerate(project.networks):
            there = (*here, "networks", j)
            name = f"{project.name}/{network.name}"
            yield there, f"network/{name}", network.description
            for k, subnet in enumerate(network.subnets):
                yield (*there, "subnets", k), f"subnet/{name}/{subnet.name}", None
        for j, router in enumerate(project.routers):
            yield (*here, "routers", j), f"router/{project.name}/{router.name}", router.description
        for j, filtering in enumerate(project.security_groups):
            address = f"security-group/{project.name}/{filtering.name}"
            yield (*here, "security_groups", j), address, filtering.description
    for i, flavor in enumerate(tenant.flavors):
        if not flavor.existing:
            yield ("flavors", i), f"flavor/{flavor.name}", None
    for i, kind in enumerate(tenant.volume_types):
        if not kind.existing:
            yield ("volume_types", i), f"volume-type/{kind.name}", kind.description
