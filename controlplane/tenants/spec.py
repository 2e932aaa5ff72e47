"""The tenant spec: what a person writes, as strict models. `reading.py` makes one from YAML.

A spec describes one tenant, which is one OpenStack domain, and everything the plane keeps in it.
Units are in the names (`ram_mib`, `size_gib`); an unknown key is an error; nothing has a silent default
that opens access.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

NAME = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
Name = Annotated[str, StringConstraints(pattern=NAME, max_length=63)]
"""A DNS label that starts with a letter: valid as the name of everything in OpenStack."""


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("has line breaks or invisible characters; write plain text on one line")
    if text != text.strip():
        raise ValueError("begins or ends with a space; remove it")
    return text


def _day(value: Any) -> Any:
    if isinstance(value, str):
        try:
            if len(value) == len("2027-12-31") and value[4] == value[7] == "-":
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise ValueError("is not a date; write a day of the calendar as 2027-12-31")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
FacilityName = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_one_line)]
"""The name of something that the site already has: an image, an external network, a subnet pool."""
KeyLine = Annotated[str, StringConstraints(min_length=1, max_length=16_384), AfterValidator(_one_line)]
"""A public key as OpenSSH writes it, on one line."""
Day = Annotated[date, BeforeValidator(_day)]
"""A day of the calendar, with or without quotes."""
Port = Annotated[int, Field(ge=1, le=65_535)]
Cidr = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Limit = Annotated[int, Field(ge=-1, le=2_147_483_647)]
"""A quota: a number, 0 for none; -1 (unlimited) is refused by the checks unless the class says so."""


class Model(BaseModel):
    """Strict and closed: a string is not a number, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Classification(StrEnum):
    """How sensitive the tenant's data is."""

    PUBLIC = "public"
    INTERNAL = "internal"
    RESTRICTED = "restricted"
    SECRET = "secret"  # noqa: S105 a level, not a password


class Governance(Model):
    """Who answers for the tenant, who pays, how sensitive it is and how long it may live."""

    owner: Text
    """Who answers for the tenant."""
    contact: Text | None = None
    """How to reach them."""
    cost_centre: Text
    """Who pays; in quotes when it is made of digits."""
    classification: Annotated[Classification, Field(strict=False)]
    valid_until: Day
    """The day on which the tenant ends, such as 2030-12-31."""


class ComputeQuota(Model):
    """Overrides for Nova's limits."""

    instances: Limit | None = None
    cores: Limit | None = None
    """Virtual CPUs of all servers together."""
    ram_mib: Limit | None = None
    """Memory of all servers together, in MiB."""
    key_pairs: Limit | None = None
    """Keypairs of one user."""
    server_groups: Limit | None = None
    server_group_members: Limit | None = None
    """Servers in one server group."""


class VolumeQuota(Model):
    """Overrides for Cinder's limits."""

    volumes: Limit | None = None
    snapshots: Limit | None = None
    size_gib: Limit | None = None
    """All volumes and snapshots together, in GiB."""
    backups: Limit | None = None
    backup_size_gib: Limit | None = None
    """All backups together, in GiB."""


class NetworkQuota(Model):
    """Overrides for Neutron's limits."""

    networks: Limit | None = None
    subnets: Limit | None = None
    routers: Limit | None = None
    ports: Limit | None = None
    """Network ports of servers and routers."""
    floating_ips: Limit | None = None
    """Addresses of the external network."""
    security_groups: Limit | None = None
    security_group_rules: Limit | None = None
    rbac_policies: Limit | None = None
    """Shares of networks with other projects."""


class Quota(Model):
    """A quota class of the site, and what differs from it here."""

    of_class: Name = Field(alias="class")
    """A set of limits that the site defines: `small`, `medium`, `large` or one of its own."""
    compute: ComputeQuota = ComputeQuota()
    volume: VolumeQuota = VolumeQuota()
    network: NetworkQuota = NetworkQuota()


class AllocationRange(Model):
    """Addresses that DHCP may hand out, both ends included."""

    start: Address
    end: Address


class Subnet(Model):
    """Addresses from one of the site's pools (`pool`, `prefix_length`), or given (`cidr`)."""

    name: Name
    cidr: Cidr | None = None
    """A range of your own, such as `172.20.10.0/24`. Not with `pool`."""
    pool: FacilityName | None = None
    """The site's subnet pool that the range is taken from. Not with `cidr`."""
    prefix_length: Annotated[int, Field(ge=8, le=128)] | None = None
    """The size taken from the pool: 26 makes 64 addresses. The pool's default when left out."""
    gateway: Address | None = None
    """An address of the subnet or `none`; the first address when left out."""
    dhcp: bool = True
    dns: list[Address] = []
    """Name servers that DHCP announces, at most five."""
    ranges: list[AllocationRange] = []
    """What DHCP hands out; all but the gateway when left out."""


class Network(Model):
    """A private network of a project."""

    name: Name
    description: Text | None = None
    mtu: Annotated[int, Field(ge=68, le=9216)] | None = None
    """Largest packet, in bytes; the site's when left out."""
    port_security: bool = True
    """Whether security groups apply. Turn it off only for network appliances."""
    subnets: list[Subnet] = []
    share_with: list[Name] = []
    """Projects of this tenant that may use it (an RBAC policy each)."""


class Route(Model):
    """A static route of a router."""

    destination: Cidr
    next_hop: Address
    """A router on one of the networks that this router reaches."""


class Router(Model):
    """A router, its gateway to an external network and its interfaces (`network/subnet`)."""

    name: Name
    description: Text | None = None
    external: FacilityName | None = None
    """The site's external network that it leads to; a router without one leads nowhere else."""
    snat: bool = True
    """Whether servers without a floating IP reach the outside through its address."""
    interfaces: list[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+/[a-z0-9-]+$")]] = []
    """What it joins, each as `network/subnet`."""
    routes: list[Route] = []


class Rule(Model):
    """What a security group lets through. Without `cidr` and `group`, anywhere of the family `ether`."""

    direction: Literal["ingress", "egress"] = "ingress"
    ether: Literal["IPv4", "IPv6"] = "IPv4"
    protocol: Literal["tcp", "udp", "icmp", "ipv6-icmp", "sctp", "any"] = "any"
    ports: Port | Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}(-[0-9]{1,5})?$")] | None = None
    """A port, or a range such as `8000-8010`; all when left out."""
    cidr: Cidr | None = None
    """The other side; anywhere when `cidr` and `group` are left out."""
    group: Name | None = None
    """Another security group of the same project, or this one."""
    description: Text | None = None


class SecurityGroup(Model):
    """A set of rules that is exactly what stands here. `egress: allow` also lets everything out."""

    name: Name
    description: Text | None = None
    egress: Literal["allow", "deny"] = "allow"
    """`deny` lets out only what a rule says."""
    rules: list[Rule] = []


class ServerGroup(Model):
    """A placement rule for servers."""

    name: Name
    policy: Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class Project(Model):
    """A project with its quota, networks, routers, security groups and server groups."""

    name: Name
    description: Text | None = None
    quota: Quota
    networks: list[Network] = []
    routers: list[Router] = []
    security_groups: list[SecurityGroup] = []
    server_groups: list[ServerGroup] = []


class Group(Model):
    """A group of users in the tenant's domain."""

    name: Name
    description: Text | None = None


class Keypair(Model):
    """An SSH public key that servers are given at boot."""

    name: Name
    public_key: KeyLine


Role = Literal["manager", "member", "reader"]


class ApplicationCredential(Model):
    """A credential of a user for a program, in one project."""

    name: Name
    project: Name
    roles: list[Role] = Field(min_length=1)
    """At most what the user has on the project."""
    expires: Day | None = None
    """The last day on which it works; no end when left out."""
    description: Text | None = None


class User(Model):
    """A person of the tenant. A tenant manager has a public key: what is handed over is sealed to it."""

    name: Name
    description: Text | None = None
    email: Text | None = None
    tenant_manager: bool = False
    """Holds the `manager` role on the domain and receives the hand-over."""
    public_key: KeyLine | None = None
    """`ssh-ed25519 ...`; required for a tenant manager."""
    groups: list[Name] = []
    keypairs: list[Keypair] = []
    application_credentials: list[ApplicationCredential] = []


class Assignment(Model):
    """A role for a user or a group, on a project or on the whole domain. Never `admin`."""

    role: Role
    user: Name | None = None
    group: Name | None = None
    project: Name | None = None
    domain: Literal[True] | None = None
    """`true`: on the domain itself, in place of `project`."""


class Flavor(Model):
    """A private flavor for some projects: made by the plane, or the site's own (`existing: true`)."""

    name: FacilityName
    existing: bool = False
    """The site has it, and it is private: only give access."""
    vcpus: Annotated[int, Field(ge=1, le=1024)] | None = None
    ram_mib: Annotated[int, Field(ge=1, le=16_777_216)] | None = None
    disk_gib: Annotated[int, Field(ge=0, le=1_048_576)] | None = None
    extra_specs: dict[Text, Text] = {}
    """Properties for the scheduler; values in quotes."""
    projects: list[Name] = Field(min_length=1)
    """Projects of this tenant that may use it."""


class SharedImage(Model):
    """An image of the site (visibility `shared`) that some projects may use."""

    name: FacilityName
    projects: list[Name] = Field(min_length=1)
    """Projects of this tenant that may use it."""


class VolumeType(Model):
    """A private volume type for some projects: made by the plane, or the site's own (`existing: true`)."""

    name: FacilityName
    existing: bool = False
    """The site has it, and it is private: only give access."""
    description: Text | None = None
    extra_specs: dict[Text, Text] = {}
    """Properties for the volume service; values in quotes."""
    projects: list[Name] = Field(min_length=1)
    """Projects of this tenant that may use it."""


class Tenant(Model):
    """A tenant: one domain and all that the plane keeps in it."""

    tenant: Name
    """The tenant's name, and its domain's."""
    description: Text | None = None
    governance: Governance
    projects: list[Project] = Field(min_length=1)
    groups: list[Group] = []
    users: list[User] = []
    assignments: list[Assignment] = []
    flavors: list[Flavor] = []
    images: list[SharedImage] = []
    """Images of the site that are shared with projects."""
    volume_types: list[VolumeType] = []
