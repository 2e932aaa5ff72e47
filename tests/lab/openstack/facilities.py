"""What the provider of the site offers before there is any tenant; `furnish` adds what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openstack
from openstack.connection import Connection

from tests.lab.openstack.configuration import EXTERNAL_PHYSICAL_NETWORK
from tests.lab.openstack.layout import CLOUD, Site

EXTERNAL_NETWORK = "public"
EXTERNAL_RANGE = "198.18.0.0/16"
"""From the range for benchmarks (RFC 2544), so that it meets no real address; wide enough for any lab."""
ADDRESS_SCOPE = "tenants"
SUBNET_POOL = "tenant-space"
TENANT_RANGE = "10.64.0.0/10"
PREFIX_SHORTEST, PREFIX_DEFAULT, PREFIX_LONGEST = 20, 26, 28
FLAVORS = {  # name: virtual CPUs, memory in MiB, disk in GB
    "m1.tiny": (1, 512, 1),
    "m1.small": (1, 2048, 20),
    "m1.medium": (2, 4096, 40),
    "m1.large": (4, 8192, 80),
}
PUBLIC_IMAGE = "debian-12"
PROVIDER_IMAGE = "hospital-appliance"
"""Owned by the provider, visible to those it is shared with, and shared with nobody yet."""
PUBLIC_VOLUME_TYPE = "standard"
PRIVATE_VOLUME_TYPE = "vault-ssd"


def connect(clouds_yaml: Path, cloud: str = CLOUD, **options: Any) -> Connection:
    """A new connection by `clouds_yaml` alone; `options` add to the cloud's entries."""
    config = openstack.config.OpenStackConfig(config_files=[str(clouds_yaml)], load_envvars=False)
    return Connection(config=config.get_one(cloud, **options), app_name="lab")


def furnish(site: Site, say: Callable[[str], None]) -> None:
    """Offer all of it; what is there by its name already is left alone."""
    with connect(site.clouds_yaml) as cloud:
        cloud.authorize()
        kinds = (_networks, _flavors, _images, _volume_types)
        with ThreadPoolExecutor(len(kinds)) as pool:
            added = [name for names in pool.map(lambda kind: kind(cloud), kinds) for name in names]
    say(f"offered: {', '.join(added)}" if added else "everything is offered already")


def _networks(cloud: Connection) -> list[str]:
    added = []
    network = cloud.network.find_network(EXTERNAL_NETWORK)
    if network is None:
        network = cloud.network.create_network(
            name=EXTERNAL_NETWORK,
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network=EXTERNAL_PHYSICAL_NETWORK,
        )
        added.append(f"network {EXTERNAL_NETWORK}")
    if not network.subnet_ids:
        cloud.network.create_subnet(
            name=EXTERNAL_NETWORK,
            network_id=network.id,
            ip_version=4,
            cidr=EXTERNAL_RANGE,
            is_dhcp_enabled=False,
        )
    scope = cloud.network.find_address_scope(ADDRESS_SCOPE)
    if scope is None:
        scope = cloud.network.create_address_scope(name=ADDRESS_SCOPE, ip_version=4, shared=True)
        added.append(f"address scope {ADDRESS_SCOPE}")
    if cloud.network.find_subnet_pool(SUBNET_POOL) is None:
        cloud.network.create_subnet_pool(
            name=SUBNET_POOL,
            prefixes=[TENANT_RANGE],
            address_scope_id=scope.id,
            default_prefix_length=PREFIX_DEFAULT,
            minimum_prefix_length=PREFIX_SHORTEST,
            maximum_prefix_length=PREFIX_LONGEST,
            shared=True,
        )
        added.append(f"subnet pool {SUBNET_POOL}")
    return added


def _flavors(cloud: Connection) -> list[str]:
    there = {flavor.name for flavor in cloud.compute.flavors(details=False)}
    missing = [name for name in FLAVORS if name not in there]
    for name in missing:
        vcpus, ram, disk = FLAVORS[name]
        cloud.compute.create_flavor(name=name, flavorid=name, vcpus=vcpus, ram=ram, disk=disk)
    return [f"flavor {name}" for name in missing]


def _images(cloud: Connection) -> list[str]:
    there = {image.name for image in cloud.image.images()}
    added = []
    for name, visibility in ((PUBLIC_IMAGE, "public"), (PROVIDER_IMAGE, "shared")):
        if name not in there:
            image = cloud.image.create_image(
                name,
                container_format="bare",
                disk_format="raw",
                visibility=visibility,
                data=_some_bytes(name),
            )
            added.append(f"image {image.name}")
    return added


def _some_bytes(name: str) -> bytes:
    """64 KiB that look random and are the same in every lab."""
    return b"".join(hashlib.sha256(f"{name} {block}".encode()).digest() for block in range(2048))


def _volume_types(cloud: Connection) -> list[str]:
    there = {kind.name for kind in cloud.block_storage.types(is_public="none")}
    added = []
    for name, public in ((PUBLIC_VOLUME_TYPE, True), (PRIVATE_VOLUME_TYPE, False)):
        if name not in there:
            cloud.block_storage.create_type(name=name, is_public=public)
            added.append(f"volume type {name}")
    return added
