"""Servers stopped and started, access taken away, and a tenant full of its users' own things erased."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from keystoneauth1.exceptions import Unauthorized
from openstack.connection import Connection
from openstack.exceptions import ConflictException

from controlplane.adapters.openstack import OpenStack
from controlplane.tenants.erasure import ORDER
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.listing import Listing
from controlplane.tenants.ports import Thing
from tests.adapter.desk import Desk, desk
from tests.adapter.making import KEY, member, network, router, subnet

if TYPE_CHECKING:
    from tests.lab.session import Lab


@pytest.fixture
def work(cloud: OpenStack, site: Listing) -> Iterator[Desk]:
    """A tenant for each test: they erase it."""
    with desk(cloud, site) as made:
        yield made


def as_user(lab: Lab, work: Desk, user: str) -> Connection:
    """A connection of the tenant's own user in the project."""
    return lab.connect(
        auth={
            "username": user.removeprefix("user/"),
            "password": work.ids.passwords[user],
            "user_domain_id": work.ids.id("domain"),
            "project_id": work.ids.id("project/prod"),
            "project_name": None,
            "project_domain_id": None,
        }
    )


def boot(work: Desk, theirs: Connection, name: str, **more: Any) -> str:
    """A server of the user, running."""
    flavor, image = work.ids.facility("flavors", "m1.tiny"), work.ids.facility("images", "debian-12")
    server = theirs.compute.create_server(name=name, flavor_id=flavor, image_id=image, **more)
    theirs.compute.wait_for_server(server, wait=120, interval=0.2)
    return str(server.id)


def test_servers_stop_and_start_and_what_is_so_already_is_done(
    lab: Lab, cloud: OpenStack, work: Desk
) -> None:
    theirs = as_user(lab, work, member(work))
    server = boot(work, theirs, "web", networks="none")
    project = work.ids.id("project/prod")
    assert [(t.id, t.name, t.project) for t in cloud.running_servers([project])] == [(server, "web", project)]
    for _ in range(2):
        cloud.stop_server(server)
        assert theirs.compute.get_server(server).status == "SHUTOFF"
    assert cloud.running_servers([project]) == []
    assert [cloud.lock_servers([project], True) for _ in range(2)] == [1, 0]
    with pytest.raises(ConflictException, match="locked"):
        theirs.compute.start_server(server)
    assert [cloud.lock_servers([project], False) for _ in range(2)] == [1, 0]
    theirs.compute.lock_server(server, locked_reason="ours")
    assert [cloud.lock_servers([project], locked) for locked in (True, False)] == [0, 0]
    assert theirs.compute.get_server(server).is_locked
    for _ in range(2):
        cloud.start_server(server)
        assert theirs.compute.get_server(server).status == "ACTIVE"
    cloud.remove(Thing("server", server, "web", project))
    cloud.stop_server(server)
    with pytest.raises(CloudRefused, match="Nova refused to start"):
        cloud.start_server(server)


SERVICES = {"identity": "/auth/projects", "network": "/networks", "compute": "/servers", "image": "/images"}


def statuses(cloud: OpenStack, theirs: Connection, token: str | None) -> dict[str, int]:
    """What each service answers to a token."""
    found = {}
    for service, path in SERVICES.items():
        url, headers = cloud._c.endpoint(service) + path, {"X-Auth-Token": token or ""}
        reply = theirs.session.get(url, headers=headers, authenticated=False, raise_exc=False)
        found[service] = reply.status_code
    return found


def test_disabling_the_domain_ends_every_token_and_enabling_it_lets_people_in_again(
    lab: Lab, cloud: OpenStack, work: Desk
) -> None:
    """Keystone refuses a token at once. A service that has seen it answers from its cache for a while

    (`token_cache_time` of keystonemiddleware, 300 seconds unless the site sets it lower), so only a token
    that the services have not seen tells the truth at once.
    """
    user = member(work)
    seen, fresh = (as_user(lab, work, user) for _ in range(2))
    old, new = seen.session.get_token(), fresh.session.get_token()
    assert set(statuses(cloud, seen, old).values()) == {200}
    for _ in range(2):
        cloud.set_access(work.ids.id("domain"), False)
    assert set(statuses(cloud, fresh, new).values()) <= {401, 404}
    assert statuses(cloud, seen, old)["identity"] in (401, 404)
    with pytest.raises(Unauthorized):
        as_user(lab, work, user).session.get_token()
    cloud.set_access(work.ids.id("domain"), True)
    assert as_user(lab, work, user).session.get_token()


def test_access_of_a_domain_that_is_gone_is_refused(cloud: OpenStack) -> None:
    with pytest.raises(CloudRefused, match="Keystone refused to change domain"):
        cloud.set_access("0" * 32, False)


def fill(lab: Lab, work: Desk) -> None:
    """What users do: a server with a floating IP on a routed network, volumes, snapshots and images."""
    user = member(work)
    at = network(work)
    inside = subnet(work, at)
    edge = router(work, external="public", snat=True)
    work.create("interface/prod/edge/app/front", router=edge, subnet=inside)
    work.update(edge, routes=[["10.99.0.0/16", "10.20.0.9"]])
    work.create("keypair/ada/laptop", name="laptop", user=user, public_key=KEY)
    fields: dict[str, Any] = {"name": "ci", "user": user, "project": "project/prod", "roles": ["member"]}
    work.create("application-credential/ada/ci", **fields)
    work.create("compute-quota/prod", project="project/prod", instances=5)
    work.create("volume-quota/prod", project="project/prod", volumes=5)
    work.create("network-quota/prod", project="project/prod", networks=5)
    name = f"{work.name}-private"
    sizes: dict[str, Any] = {"vcpus": 1, "ram_mib": 512, "disk_gib": 1}
    work.create(f"flavor/{name}", name=name, **sizes)
    work.create(f"flavor-access/{name}/prod", flavor=name, project="project/prod")
    work.create(f"volume-type/{name}", name=name)
    work.create(f"volume-type-access/{name}/prod", volume_type=name, project="project/prod")
    image = "hospital-appliance"
    work.create(f"image-access/{image}/prod", image=image, project="project/prod", status="accepted")
    work.create("group/ops", name="ops", description=None)
    work.create("share/prod/app/test", network=at, project="project/test")

    theirs = as_user(lab, work, user)
    own = theirs.network.create_network(name="their-own")
    theirs.network.create_subnet(name="their-own", network_id=own.id, ip_version=4, cidr="10.77.0.0/24")
    port = theirs.network.create_port(network_id=work.ids.id(at), name="spare")
    theirs.network.create_security_group(name="their-own")
    public = work.ids.facility("external_networks", "public")
    theirs.network.create_ip(floating_network_id=public, port_id=port.id)
    theirs.network.create_subnet_pool(name="their-own", prefixes=["10.88.0.0/16"])
    theirs.network.create_address_scope(name="their-own", ip_version=4)
    server = boot(work, theirs, "web", networks=[{"port": port.id}])
    theirs.compute.create_server_group(name="their-own", policy="affinity")
    volume = theirs.block_storage.create_volume(name="data", size=1)
    theirs.block_storage.wait_for_status(volume, "available", interval=0.2, wait=60)
    snapshot = theirs.block_storage.create_snapshot(name="data", volume_id=volume.id)
    theirs.block_storage.wait_for_status(snapshot, "available", interval=0.2, wait=60)
    theirs.compute.create_volume_attachment(server, volume_id=volume.id)
    theirs.block_storage.wait_for_status(volume, "in-use", interval=0.2, wait=60)
    made = theirs.image.create_image(
        name="their-own", container_format="bare", disk_format="raw", is_protected=True, data=b"x" * 64
    )
    assert made.is_protected


def leftovers(lab: Lab, projects: list[str]) -> dict[str, list[Any]]:
    """Everything anywhere that still names one of these projects."""
    c = OpenStack(lab.cloud, str(lab.clouds_yaml))._c
    everywhere, many = [("all_tenants", "True")], [("limit", "1000")]
    of_neutron = ["networks", "subnets", "ports", "routers", "security_groups", "floatingips", "subnetpools"]
    found: dict[str, Any] = {
        name: c.pages("network", f"/{name.replace('_', '-')}", name)
        for name in (*of_neutron, "address_scopes", "rbac_policies", "quotas")
    }
    groups = c.get("compute", "/os-server-groups", [("all_projects", "True")])
    images = c.pages("image", "/images", "images", many)
    found |= {
        "servers": c.pages("compute", "/servers/detail", "servers", everywhere),
        "server groups": groups["server_groups"],
        "volumes": c.pages("volume", "/volumes/detail", "volumes", everywhere),
        "snapshots": c.pages("volume", "/snapshots/detail", "snapshots", everywhere),
        "images": images,
        "projects": c.pages("identity", "/projects", "projects"),
        "members": [
            member
            for image in images
            if image["visibility"] == "shared"
            for member in c.get("image", f"/images/{image['id']}/members")["members"]
        ],
    }
    names = ("id", "project_id", "tenant_id", "owner", "member_id", "os-vol-tenant-attr:tenant_id")
    mine = {
        kind: [row for row in rows if any(row.get(name) in projects for name in names)]
        for kind, rows in found.items()
    }
    return {kind: rows for kind, rows in mine.items() if rows}


def test_a_tenant_full_of_its_users_things_goes_without_a_trace(
    lab: Lab, cloud: OpenStack, work: Desk
) -> None:
    fill(lab, work)
    projects = [work.ids.id("project/prod"), work.ids.id("project/test")]
    cloud.set_access(work.ids.id("domain"), False)
    things = work.erase()
    assert {thing.kind for thing in things} >= set(ORDER) - {"backup"}
    assert [ORDER.index(thing.kind) for thing in things] == sorted(ORDER.index(t.kind) for t in things)
    volume = next(thing for thing in things if thing.kind == "volume")
    assert volume.facts == {"size_gib": 1, "encrypted": False}
    assert cloud.inventory(work.ids.id("domain")) == []
    assert leftovers(lab, projects) == {}
    for thing in things:
        cloud.remove(thing)  # what is gone is done
    assert leftovers(lab, projects) == {}


def test_deleting_a_project_takes_everything_in_it_along(lab: Lab, cloud: OpenStack, work: Desk) -> None:
    network(work, "kept", "test")
    at = network(work)
    subnet(work, at)
    boot(work, as_user(lab, work, member(work)), "web", networks=[{"uuid": work.ids.id(at)}])
    project = work.ids.id("project/prod")
    for _ in range(2):
        work.delete("project/prod")
        assert leftovers(lab, [project]) == {}
    assert leftovers(lab, [work.ids.id("project/test")]).keys() == {"networks", "projects", "security_groups"}
