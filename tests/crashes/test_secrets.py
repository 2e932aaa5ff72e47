"""A secret that a crash swallowed is made anew: what is handed over always works."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from airgap_bundle.keys import PrivateKey
from controlplane.client.handover import clouds_yaml, open_package
from tests import two_specs as specs
from tests.lab.faults import Faults
from tests.plane import Plane

TENANT = f"swallowed{uuid.uuid4().hex[:6]}"


@pytest.fixture
def plane(faults: Faults, tmp_path: Path) -> Iterator[Plane]:
    made = Plane(tmp_path).make(faults.clouds_yaml, faults.cloud)
    made.start()
    yield made
    made.verb(TENANT, "retire", {"grace_seconds": 0})
    made.verb(TENANT, "erase")
    made.stop()


@pytest.mark.parametrize("effect", [r"/v3/users$", r"/application_credentials$"], ids=["user", "credential"])
def test_a_secret_made_just_before_a_crash_is_made_anew(
    effect: str, plane: Plane, faults: Faults, tmp_path: Path
) -> None:
    killed = threading.Event()

    def kill(_: object) -> None:
        plane.kill()
        killed.set()

    faults.call(kill, after=True, method="POST", path=effect, times=1)
    manager = PrivateKey.generate("boss")
    key_file = tmp_path / "boss"
    key_file.touch(mode=0o600)
    key_file.write_bytes(manager.to_openssh())
    spec = specs.first(TENANT).replace(specs.MANAGER, manager.public.line.rsplit(" ", 1)[0])
    applying = threading.Thread(target=plane.apply, args=(spec,))
    applying.start()
    assert killed.wait(60)
    plane.start()
    applying.join(120)
    [package] = plane.ask("POST", f"/v1/tenants/{TENANT}/handover")
    (tmp_path / "package.json").write_text(json.dumps(package))
    opened = open_package(tmp_path / "package.json", str(key_file))
    assert {s["address"] for s in opened["secrets"]} == {
        "user/boss",
        "user/worker",
        "application-credential/boss/ci",
    }
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(clouds_yaml(opened))
    for way in (f"{TENANT}-prod-boss", f"{TENANT}-boss-ci", f"{TENANT}-prod-worker"):
        region = OpenStackConfig(config_files=[str(clouds)], load_envvars=False).get_one(way)
        cloud: Any = Connection(config=region)
        assert cloud.session.get_token()
