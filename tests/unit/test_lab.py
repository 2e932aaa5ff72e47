"""The lab is real, and each fault is what its name says."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from keystoneauth1.exceptions import ClientException
from openstack import exceptions

from tests.lab.faults import Faults, Rule, Where
from tests.lab.session import Lab

Cloud = Any
"""An openstacksdk Connection; its attributes are unions over API versions that the lab does not have."""
FAILURES = (exceptions.SDKException, ClientException)
"""A lost connection comes out of openstacksdk as keystoneauth's own exception."""
CREATES: Where = {"service": "network", "method": "POST", "path": r"/networks$"}
ONE_CREATE: Where = {**CREATES, "times": 1}


@pytest.fixture(scope="module")
def admin(lab: Lab) -> Iterator[Cloud]:
    with lab.connect() as cloud:
        yield cloud


@pytest.fixture
def client(faults: Faults) -> Iterator[Cloud]:
    """Through the proxies, and without retries."""
    with faults.connect(api_timeout=120) as cloud:
        cloud.network.get("/networks?limit=1")  # a token, and the API's versions
        faults.forget()
        yield cloud


@pytest.fixture
def name(admin: Cloud) -> Iterator[str]:
    """A name for networks, which are removed afterwards."""
    unique = f"lab-{uuid.uuid4()}"
    yield unique
    for network in admin.network.networks(name=unique):
        admin.network.delete_network(network)


def how_many(admin: Cloud, name: str) -> int:
    return len(list(admin.network.networks(name=name)))


# ---------------------------------------------------------------------- the site


def test_a_server_boots_with_a_port_and_a_volume(admin: Cloud, name: str) -> None:
    network = admin.network.create_network(name=name)
    pool = admin.network.find_subnet_pool("tenant-space", ignore_missing=False)
    subnet = admin.network.create_subnet(network_id=network.id, ip_version=4, subnet_pool_id=pool.id)
    assert subnet.cidr.endswith("/26")
    volume = admin.block_storage.create_volume(size=10, volume_type="standard", name=name)
    flavor = admin.compute.find_flavor("m1.small", ignore_missing=False)
    image = admin.image.find_image("debian-12", ignore_missing=False)
    server = admin.compute.create_server(
        name=name, flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    try:
        server = admin.compute.wait_for_server(server, interval=0.2)
        assert server.status == "ACTIVE"
        (port,) = admin.network.ports(device_id=server.id)
        assert port.binding_vif_type == "ovs"
        assert server.addresses[name][0]["addr"] == port.fixed_ips[0]["ip_address"]
        eventually(lambda: admin.network.get_port(port.id).status == "ACTIVE")
        admin.block_storage.wait_for_status(volume, "available", interval=0.2)
    finally:
        admin.compute.delete_server(server)
        admin.compute.wait_for_delete(server, interval=0.2)
        admin.block_storage.delete_volume(volume)


def test_the_provider_offers_its_facilities(admin: Cloud) -> None:
    external = admin.network.find_network("public", ignore_missing=False)
    assert external.is_router_external
    pool = admin.network.find_subnet_pool("tenant-space", ignore_missing=False)
    scope = admin.network.find_address_scope("tenants", ignore_missing=False)
    assert pool.is_shared
    assert pool.address_scope_id == scope.id
    appliance = admin.image.find_image("hospital-appliance", ignore_missing=False)
    assert appliance.visibility == "shared"
    assert list(admin.image.members(appliance)) == []
    kinds = {kind.name: kind.is_public for kind in admin.block_storage.types(is_public="none")}
    assert kinds["standard"]
    assert not kinds["vault-ssd"]
    assert {"m1.tiny", "m1.small", "m1.medium", "m1.large"} <= {f.name for f in admin.compute.flavors()}


def test_quotas_are_stored(admin: Cloud, name: str) -> None:
    project = admin.identity.create_project(name=name)
    try:
        admin.compute.update_quota_set(project.id, cores=7)
        admin.network.update_quota(project.id, networks=8)
        admin.block_storage.update_quota_set(project.id, volumes=9)
        assert admin.compute.get_quota_set(project.id).cores == 7
        assert admin.network.get_quota(project.id).networks == 8
        assert admin.block_storage.get_quota_set(project.id).volumes == 9
    finally:
        admin.identity.delete_project(project)


# ---------------------------------------------------------------------- faults


def test_without_rules_everything_passes_and_is_recorded(
    faults: Faults, client: Cloud, admin: Cloud, name: str
) -> None:
    network = client.network.create_network(name=name)
    client.network.get_network(network.id)
    assert faults.counts()["network", "POST", "/v2.0/networks"] == 1
    assert faults.counts()["network", "GET", "/v2.0/networks/{id}"] == 1
    create = faults.log[0]
    assert (create.status, create.effect, create.fault) == (201, 201, "")
    assert name.encode() in create.request_body
    assert network.id.encode() in create.response_body
    assert 0 < create.started < create.ended
    assert len({one.connection for one in faults.log}) == 1, "the connection is kept alive"


def test_all_six_services_are_reached_through_the_proxies(faults: Faults) -> None:
    with faults.connect() as cloud:
        cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
        cloud.image.find_image("debian-12", ignore_missing=False)
        cloud.network.find_network("public", ignore_missing=False)
        list(cloud.block_storage.volumes())
        cloud.list_projects()
        list(cloud.placement.resource_providers())
    reached = {service for service, _, _ in faults.counts()}
    assert reached == {"identity", "placement", "image", "network", "compute", "block-storage"}


@pytest.mark.parametrize("cut", ["reset", "close"])
def test_after_the_effect_the_network_exists_and_the_client_does_not_know(
    faults: Faults, client: Cloud, admin: Cloud, name: str, cut: str
) -> None:
    lost = faults.after_effect(cut=cut, **ONE_CREATE)
    with pytest.raises(FAILURES):
        client.network.create_network(name=name)
    assert lost.fired == 1
    assert how_many(admin, name) == 1
    assert (lost.taken[0].effect, lost.taken[0].status) == (201, 0)


BEFORE = {
    "reset": lambda faults: faults.reset(**ONE_CREATE),
    "500": lambda faults: faults.reply(500, **ONE_CREATE),
    "503": lambda faults: faults.reply(503, {"Retry-After": "1"}, **ONE_CREATE),
    "429": lambda faults: faults.reply(429, {"Retry-After": "1"}, **ONE_CREATE),
    "hang": lambda faults: faults.hang(**ONE_CREATE),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_before_the_effect_there_is_no_network(
    faults: Faults, client: Cloud, admin: Cloud, name: str, kind: str
) -> None:
    rule: Rule = BEFORE[kind](faults)
    with pytest.raises(FAILURES) as refused, patience_of(client, 1 if kind == "hang" else 120):
        client.network.create_network(name=name)
    if kind.isdigit():
        assert isinstance(refused.value, exceptions.HttpException)
        assert refused.value.status_code == int(kind)
    assert rule.fired == 1
    assert rule.taken[0].effect == 0
    assert how_many(admin, name) == 0
    client.network.create_network(name=name)  # the fault is over
    assert how_many(admin, name) == 1


AFTER = {
    "500": lambda faults: faults.reply(500, after=True, **ONE_CREATE),
    "503": lambda faults: faults.reply(503, after=True, **ONE_CREATE),
    "hang": lambda faults: faults.hang(after=True, **ONE_CREATE),
}


@pytest.mark.parametrize("kind", AFTER)
def test_an_error_after_the_effect_hides_a_network_that_exists(
    faults: Faults, client: Cloud, admin: Cloud, name: str, kind: str
) -> None:
    rule: Rule = AFTER[kind](faults)
    with pytest.raises(FAILURES), patience_of(client, 1 if kind == "hang" else 120):
        client.network.create_network(name=name)
    eventually(lambda: rule.taken[0].effect == 201)
    assert how_many(admin, name) == 1


def test_a_lost_reply_and_retries_leave_two_networks(faults: Faults, admin: Cloud, name: str) -> None:
    """What openstacksdk does when told to retry, and why a create is never simply repeated."""
    faults.after_effect(**ONE_CREATE)
    with faults.connect(network_connect_retries=2) as cloud:
        cloud.network.create_network(name=name)
    assert how_many(admin, name) == 2


def test_a_delay_and_a_call_leave_the_exchange_whole(
    faults: Faults, client: Cloud, admin: Cloud, name: str
) -> None:
    seen: list[tuple[int, int]] = []
    faults.call(lambda exchange: seen.append((how_many(admin, name), exchange.effect)), **ONE_CREATE)
    client.network.create_network(name=name)
    faults.call(
        lambda exchange: seen.append((how_many(admin, name), exchange.effect)), after=True, **ONE_CREATE
    )
    client.network.create_network(name=name)
    faults.delay(0.3, **CREATES)
    client.network.create_network(name=name)
    assert seen == [(0, 0), (2, 201)]
    assert faults.log[-1].ended - faults.log[-1].started > 0.3


def test_rules_choose_their_requests(faults: Faults, client: Cloud) -> None:
    rule = faults.reply(418, skip=1, every=2, times=2, method="GET", path="/networks")
    statuses = [client.network.get("/networks?limit=1").status_code for _ in range(7)]
    assert statuses == [200, 418, 200, 418, 200, 200, 200]
    assert rule.fired == 2
    faults.remove(rule)
    faults.reply(418, body="needle")
    assert client.network.get("/networks?limit=1").status_code == 200


def test_chance_is_repeatable(lab: Lab) -> None:
    def statuses() -> list[int]:
        with lab.faults(seed=7) as faults, faults.connect() as cloud:
            cloud.image.get("/images")  # a token, and the API's versions
            faults.reply(418, probability=0.5, service="image")
            return [cloud.image.get("/images").status_code for _ in range(12)]

    assert (first := statuses()) == statuses()
    assert 0 < first.count(418) < 12


def test_large_bodies_pass_in_both_directions(faults: Faults, admin: Cloud, name: str) -> None:
    data = bytes(range(256)) * 12_000  # 3 MB: streamed, not kept
    with faults.connect() as cloud:
        image: Any = cloud.image.create_image(name, container_format="bare", disk_format="raw", data=data)
        try:
            assert cloud.image.download_image(image).content == data
        finally:
            admin.image.delete_image(image)


# ---------------------------------------------------------------------- tokens


def test_an_expired_token_is_a_real_401(faults: Faults, client: Cloud) -> None:
    token = client.auth_token
    for service in ("network", "compute", "image", "block-storage"):
        assert client.session.get("/", endpoint_filter={"service_type": service}).ok
    assert faults.expire_tokens() >= 1
    faults.forget()
    assert client.network.get("/networks?limit=1").status_code == 200, "it asked for a new token"
    assert client.auth_token != token
    assert [one.status for one in faults.log if one.service == "network"] == [401, 200]


def test_every_service_refuses_a_revoked_token(lab: Lab, faults: Faults, client: Cloud) -> None:
    headers = {"X-Auth-Token": client.auth_token or ""}
    urls = {
        "identity": f"{faults.url('keystone')}/projects",
        "network": f"{faults.url('neutron')}/v2.0/networks?limit=1",
        "compute": f"{faults.url('nova')}/flavors",
        "image": f"{faults.url('glance')}/v2/images",
        "block-storage": f"{faults.url('cinder')}/volumes",
        "placement": f"{faults.url('placement')}/resource_providers",
    }

    def statuses() -> dict[str, int]:
        return {
            name: requests.get(url, headers=headers, timeout=60).status_code for name, url in urls.items()
        }

    assert statuses() == dict.fromkeys(urls, 200)
    faults.expire_tokens()
    assert statuses() == dict.fromkeys(urls, 401)


def test_closing_frees_the_ports(lab: Lab) -> None:
    with lab.faults() as faults:
        port = int(faults.url("nova").split(":")[2].split("/")[0])
        assert port < 32768
        faults.hang()
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        eventually(lambda: faults._rules[0].fired == 1)
    assert waiting.recv(1) == b""
    waiting.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@contextmanager
def patience_of(client: Cloud, seconds: float) -> Iterator[None]:
    """How long `client` waits for an answer; by default openstacksdk waits for ever."""
    before, client.session.timeout = client.session.timeout, seconds
    try:
        yield
    finally:
        client.session.timeout = before


def eventually(check: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.05)
