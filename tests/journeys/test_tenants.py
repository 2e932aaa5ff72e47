"""What an operator lives through with tenants, on a real OpenStack, by the command line."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import SDKException

from airgap_bundle.keys import PrivateKey
from tests import two_specs as specs
from tests.journeys.conftest import Desk
from tests.specs.site import findings

BAD = Path(__file__).parents[1] / "specs" / "bad"


def with_key(text: str, key: PrivateKey) -> str:
    return text.replace(specs.MANAGER, key.public.line.rsplit(" ", 1)[0])


def project_of(cloud: Any, tenant: str, name: str) -> Any:
    domain = cloud.identity.find_domain(tenant)
    return next(p for p in cloud.identity.projects(domain_id=domain.id) if p.name == name)


def test_a_tenant_appears_drifts_and_is_repaired(desk: Desk, tenant: str) -> None:
    file = desk.spec(tenant, specs.first(tenant))
    planned = desk.run("tenant", "plan", file)
    assert (planned.code, planned.err) == (0, "")
    assert "create  network front" in planned.out
    applied = desk.run("tenant", "apply", "--yes", file)
    assert applied.code == 0, applied.err
    assert re.search(rf"{tenant}\s+applied", applied.out)
    assert re.search(r"\d+/\d+ create network/prod/front done", applied.err)
    assert "nothing to do" in desk.run("tenant", "apply", "--yes", file).out
    assert desk.run("tenant", "drift", tenant).code == 0

    cloud = desk.admin()
    prod = project_of(cloud, tenant, "prod")
    network = next(cloud.network.networks(project_id=prod.id, name="front"))
    cloud.network.update_network(network, description="mine now")
    [share] = [r for r in cloud.network.rbac_policies(project_id=prod.id) if r.action == "access_as_shared"]
    cloud.network.delete_rbac_policy(share)
    boss = next(cloud.identity.users(name="boss", domain_id=prod.domain_id))
    cloud.identity.assign_project_role_to_user(prod, boss, cloud.identity.find_role("admin"))

    drift = desk.run("tenant", "drift", tenant)
    assert drift.code == 3
    assert 'description: "mine now" -> none' in drift.out
    assert re.search(r"create\s+share back with dev", drift.out)
    assert "removed outside the plane" in drift.out
    assert re.search(
        r"delete\s+role admin for user boss on project prod\s+added outside the plane", drift.out
    )
    assert re.search(rf"{tenant}\s+DRIFTED\s+3", desk.run("tenant", "list").out)

    assert desk.run("tenant", "apply", "--yes", file).code == 0
    assert desk.run("tenant", "drift", tenant).code == 0
    [seen] = json.loads(desk.run("tenant", "drift", tenant, "--output", "json").out)
    assert seen["plan"]["changes"] == []
    assert seen["state"] == "ACTIVE"


def test_what_users_make_in_their_projects_is_never_touched(desk: Desk, tenant: str) -> None:
    file = desk.spec(tenant, specs.first(tenant))
    assert desk.run("tenant", "apply", "--yes", file).code == 0
    cloud = desk.admin()
    prod = project_of(cloud, tenant, "prod")
    own = cloud.network.create_network(name="front", project_id=prod.id)
    group = cloud.network.create_security_group(name="web", project_id=prod.id)
    person = cloud.identity.create_user(name="guest", domain_id=prod.domain_id)
    cloud.identity.assign_project_role_to_user(prod, person, cloud.identity.find_role("member"))
    assert desk.run("tenant", "drift", tenant).code == 0
    assert desk.run("tenant", "apply", "--yes", file).out.split()[-3:] == ["do", "0", "-"]
    assert cloud.network.get_network(own.id)
    assert cloud.network.get_security_group(group.id)
    assert cloud.identity.get_user(person.id)


def test_a_name_that_somebody_else_holds_is_refused_and_left_alone(desk: Desk, tenant: str) -> None:
    cloud = desk.admin()
    domain = cloud.identity.create_domain(name=tenant, description="somebody else's")
    try:
        said = desk.run("tenant", "apply", "--yes", desk.spec(tenant, specs.first(tenant)))
        assert said.code in (10, 34)
        assert tenant in said.err
        assert cloud.identity.get_domain(domain.id).description == "somebody else's"
        assert list(cloud.identity.projects(domain_id=domain.id)) == []
    finally:
        cloud.identity.update_domain(domain, is_enabled=False)
        cloud.identity.delete_domain(domain)


def test_a_plan_that_went_stale_is_refused(desk: Desk, tenant: str) -> None:
    file = desk.spec(tenant, specs.first(tenant))
    assert desk.run("tenant", "apply", "--yes", file).code == 0
    desk.spec(tenant, specs.second(tenant))
    [plan] = json.loads(desk.run("tenant", "plan", file, "-o", "json").out)
    cloud = desk.admin()
    group = next(cloud.network.security_groups(name="db", project_id=project_of(cloud, tenant, "prod").id))
    cloud.network.delete_security_group(group)
    said = desk.run("tenant", "apply", file, "--accept", plan["digest"][:12])
    assert said.code == 31
    assert "is stale: " in said.err
    assert "security-group/prod/db" in said.err


def test_a_plan_that_loses_something_waits_for_a_person(desk: Desk, tenant: str) -> None:
    file = desk.spec(tenant, specs.first(tenant))
    waiting = desk.run("tenant", "apply", file)
    assert waiting.code == 75
    assert "--yes" in waiting.err
    assert desk.run("tenant", "apply", "--yes", file).code == 0
    desk.spec(tenant, specs.second(tenant))
    said = desk.run("tenant", "apply", "--yes", file)
    assert said.code == 75
    command = re.search(r"controlplane (tenant apply .* --accept [0-9a-f]{12})", said.err)
    assert command, said.err
    assert desk.run("tenant", "drift", tenant).code == 0
    assert desk.run(*command[1].split()).code == 0
    assert desk.run("tenant", "drift", tenant).code == 0


def test_a_tenant_is_handed_over_suspended_resumed_and_erased(desk: Desk, tenant: str) -> None:
    manager = PrivateKey.generate("boss")
    (desk.folder / "boss").touch(mode=0o600)
    (desk.folder / "boss").write_bytes(manager.to_openssh())
    file = desk.spec(tenant, with_key(specs.first(tenant), manager))
    assert desk.run("tenant", "apply", "--yes", file).code == 0

    given = desk.run("tenant", "handover", tenant, "--to", "given")
    assert given.code == 0, given.err
    package = f"given/{tenant}.boss.json"
    secret = desk.run("tenant", "handover", "open", package, "--key", "operator")
    assert secret.code == 14
    assert "is sealed to" in secret.err
    opened = desk.run("tenant", "handover", "open", package, "--key", "boss")
    assert opened.code == 0, opened.err
    clouds = desk.folder / "given" / "clouds.yaml"
    clouds.write_text(opened.out)
    boss = log_in(clouds, f"{tenant}-prod-boss")
    program = log_in(clouds, f"{tenant}-boss-ci")
    assert program.current_project_id == boss.current_project_id

    network = next(boss.network.networks(name="front"))
    flavor, image = boss.compute.find_flavor("m1.tiny"), boss.image.find_image("debian-12")
    made = {
        name: boss.compute.create_server(
            name=name, flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}]
        )
        for name in ("web", "idle")
    }
    servers = {name: boss.compute.wait_for_server(server) for name, server in made.items()}
    boss.compute.stop_server(servers["idle"])
    admin = desk.admin()
    wait_for(admin, servers["idle"].id, "SHUTOFF")
    volume = boss.block_storage.create_volume(name="data", size=1)

    token = boss.session.get_token()
    suspended = desk.run("tenant", "suspend", tenant)
    assert suspended.code == 0, suspended.err
    assert admin.compute.get_server(servers["web"].id).status == "SHUTOFF"
    with pytest.raises(SDKException, match="HTTP 401"):
        log_in(clouds, f"{tenant}-prod-boss")
    old = {"X-Auth-Token": token}  # services may remember it for minutes; the servers stay off all the same
    answer = admin.session.post(
        f"{admin.compute.get_endpoint()}/servers/{servers['idle'].id}/action",
        json={"os-start": None},
        headers=old,
        authenticated=False,
        raise_exc=False,
    )
    assert answer.status_code in (401, 409)
    assert admin.compute.get_server(servers["idle"].id).status == "SHUTOFF"
    with pytest.raises(SDKException, match="HTTP 401"):
        log_in(clouds, f"{tenant}-boss-ci")
    refused = desk.run("tenant", "apply", "--yes", file)
    assert refused.code == 32
    assert "SUSPENDED" in refused.err

    assert desk.run("tenant", "resume", tenant).code == 0
    assert admin.compute.get_server(servers["web"].id).status == "ACTIVE"
    assert admin.compute.get_server(servers["idle"].id).status == "SHUTOFF"
    assert log_in(clouds, f"{tenant}-boss-ci").current_project_id
    assert not any(server.is_locked for server in boss.compute.servers())
    assert "HANDED_OVER" in desk.run("tenant", "list").out

    assert desk.run("tenant", "erase", tenant, "--confirm", tenant).code == 32
    assert desk.run("tenant", "retire", tenant, "--grace", "1h").code == 0
    early = desk.run("tenant", "erase", tenant, "--confirm", tenant)
    assert early.code == 35
    assert "in grace until" in early.err
    assert desk.run("tenant", "restore", tenant).code == 0
    assert admin.compute.get_server(servers["web"].id).status == "ACTIVE"
    assert desk.run("tenant", "retire", tenant, "--grace", "0").code == 0
    assert desk.run("tenant", "erase", tenant).code == 75
    erased = desk.run("tenant", "erase", tenant, "--confirm", tenant)
    assert erased.code == 0, erased.err

    assert admin.identity.find_domain(tenant) is None
    assert admin.compute.find_server(servers["web"].id, all_projects=True) is None
    assert desk.run("tenant", "certificate", tenant, "--to", "proof").code == 0
    check_certificate(desk.folder / "proof", tenant, {servers["web"].id, servers["idle"].id, volume.id})


def check_certificate(folder: Path, tenant: str, expected: set[str]) -> None:
    """As an auditor does: with ssh-keygen and the plane's public key alone."""
    command = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "plane"]
    command += ["-n", "controlplane-erasure", "-s", f"{tenant}.erasure.json.sig"]
    text = (folder / f"{tenant}.erasure.json").read_bytes()
    assert subprocess.run(command, cwd=folder, input=text, capture_output=True).returncode == 0
    assert subprocess.run(command, cwd=folder, input=text + b" ", capture_output=True).returncode != 0
    certificate = json.loads(text)
    assert certificate["complete"]
    assert expected <= {thing["id"] for thing in certificate["removed"]}
    assert {"volume", "server"} <= {thing["kind"] for thing in certificate["not_proven"]}


def log_in(clouds: Path, name: str) -> Any:
    region = OpenStackConfig(config_files=[str(clouds)], load_envvars=False).get_one(name)
    connection: Any = Connection(config=region)
    connection.authorize()
    return connection


def wait_for(cloud: Any, server: str, status: str) -> None:
    cloud.compute.wait_for_server(cloud.compute.get_server(server), status=status, wait=60)


def test_wrong_specs_create_nothing(desk: Desk) -> None:
    everywhere = (path for path in BAD.glob("*.yaml") if findings(path.read_bytes(), facts=None))
    files = sorted(everywhere)  # what is wrong only at a site that lacks something stays out: the lab has it
    before = desk.plane.contents()
    domains = {d.name for d in desk.admin().identity.domains()}
    texts = [{"text": path.read_bytes().decode(), "file": path.name} for path in files]
    answers = desk.plane.ask("POST", "/v1/tenants/apply", {"specs": texts})
    assert len(answers) == len(files) >= 60
    for path, answer in zip(files, answers, strict=True):
        assert answer["problem"]["exit_code"] == 10, path.name
        assert re.match(rf"{re.escape(path.name)}:\d+: \S", answer["problem"]["detail"]), answer
        assert answer["problem"]["hint"], path.name
    assert desk.plane.contents() == before
    assert {d.name for d in desk.admin().identity.domains()} == domains


def test_a_wrong_spec_is_told_by_file_line_and_remedy(desk: Desk) -> None:
    text = specs.first("wrong").replace("class: small", "class: enormous", 1)
    said = desk.run("tenant", "validate", desk.spec("wrong", text))
    assert said.code == 10
    line = next(i for i, content in enumerate(text.splitlines(), 1) if "enormous" in content)
    assert re.match(rf"error: wrong\.yaml:{line}: .*enormous", said.err)
    assert "hint: " in said.err


def test_a_worker_of_its_own_does_what_the_daemon_only_takes_in(desk: Desk, tenant: str) -> None:
    desk.plane.stop()
    desk.plane.start("--no-workers")
    [answer] = desk.plane.ask(
        "POST", "/v1/tenants/apply", {"specs": [{"text": specs.first(tenant), "file": "spec.yaml"}]}
    )
    worker = subprocess.Popen(desk.plane.command("worker"), stderr=subprocess.DEVNULL)
    try:
        assert desk.plane.ended(answer["job"]["id"])["state"] == "done"
    finally:
        worker.terminate()
        assert worker.wait(30) == 0
        desk.plane.stop()
        desk.plane.start()
