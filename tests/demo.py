"""`make demo`: tenants appear on a real OpenStack, drift, are repaired, handed over, retired and erased.

Every line that begins with `$` is a command that you can type; nothing is staged. The lab and the daemon are
left running at the end, to look around; `python -m tests.demo down` stops both and removes what they stored.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openstack
from openstack.config import OpenStackConfig
from openstack.connection import Connection

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("DEMO_HOME") or ROOT / ".lab" / "demo")
LAB = HOME / "openstack"
SITE = HOME / "site"
KEYS = HOME / "keys"
PLANE = ROOT / ".venv" / "bin" / "controlplane"
TENANTS = ("ministry", "hospital")
BOLD, DIM, PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


def main(arguments: Sequence[str]) -> int:
    """Run the demo, or take it down."""
    if list(arguments) == ["down"]:
        down()
        return 0
    if arguments:
        print(__doc__)
        return 2
    down()
    HOME.mkdir(parents=True)
    began = time.monotonic()
    chapter("A real OpenStack on this machine's loopback: Keystone, Glance, Neutron, Nova, Cinder, Placement")
    lab("up")
    os.environ["OS_CLIENT_CONFIG_FILE"] = lab("clouds", capture=True).strip()
    os.environ["OS_CLOUD"] = "lab"
    people()
    daemon()
    specs = [str(HOME / f"{name}.yaml") for name in TENANTS]
    provision(specs)
    drift_and_repair(specs[0])
    hand_over()
    erase()
    print(f"\n{BOLD}That took {time.monotonic() - began:.0f} seconds.{PLAIN}")
    goodbye()
    return 0


# --- the story ------------------------------------------------------------------------------------------


def people() -> None:
    """An operator and two tenant managers make their keys; the specs get the public ones."""
    chapter("An operator, and a manager for each tenant, make their keys")
    KEYS.mkdir()
    for name in ("operator", *TENANTS):
        comment = "olga" if name == "operator" else f"manager@{name}"
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(KEYS / name))
    for name in TENANTS:
        text = (ROOT / "docs" / "examples" / f"{name}.yaml").read_text()
        (HOME / f"{name}.yaml").write_text(with_manager_key(text, (KEYS / f"{name}.pub").read_text().strip()))
    os.environ |= {"CONTROLPLANE_SITE": str(SITE), "CONTROLPLANE_KEY": str(KEYS / "operator")}


def with_manager_key(spec: str, line: str) -> str:
    """The spec with the tenant manager's public key replaced: the examples' private keys exist nowhere."""
    head, marker, tail = spec.partition("tenant_manager: true")
    changed, count = re.subn(r"public_key: ssh-ed25519 \S+", f"public_key: {line}", tail, count=1)
    if not marker or not count:
        raise ValueError("the spec has no tenant manager with a public key")
    return head + marker + changed


def daemon() -> None:
    """Make the site and start the daemon, which stays after the demo."""
    chapter("The plane: one folder, one daemon, every request signed with the operator's key")
    clouds = os.environ["OS_CLIENT_CONFIG_FILE"]
    operator = (KEYS / "operator.pub").read_text().strip()
    plane("init", "--cloud", "lab", "--clouds", clouds, "--operator", operator, "--name", "olga")
    show([PLANE.name, "serve", "&"])
    with open(HOME / "daemon.log", "ab") as log:
        started = subprocess.Popen([PLANE, "serve"], stdout=log, stderr=log, start_new_session=True)
    (HOME / "daemon.pid").write_text(str(started.pid))
    for _ in range(300):
        if started.poll() is not None:
            raise SystemExit(f"the daemon ended: see {HOME / 'daemon.log'}")
        if subprocess.run([PLANE, "-q", "status"], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    plane("status")


def provision(specs: Sequence[str]) -> None:
    """Plan and apply both tenants at once; then look with a client that knows nothing of the plane."""
    chapter("What two tenants would change, as a person wants to read it")
    plane("tenant", "plan", *specs)
    chapter("Apply both at the same time")
    plane("tenant", "apply", "--yes", *specs)
    plane("tenant", "list")
    chapter("The same, as OpenStack itself tells it (openstacksdk, no plane in between)")
    cloud = openstack.connect()
    for domain in (identity(cloud).find_domain(name) for name in TENANTS):
        print(f"domain {domain.name}: {domain.description}")
        for project in identity(cloud).projects(domain_id=domain.id):
            networks = [n.name for n in cloud.network.networks(project_id=project.id)]
            subnets = [s.cidr for s in cloud.network.subnets(project_id=project.id)]
            groups = [g.name for g in cloud.network.security_groups(project_id=project.id)]
            limits = cloud.compute.get_quota_set(project.id)
            print(f"  project {project.name}: {limits.cores} cores, {limits.ram} MiB")
            print(f"    networks {', '.join(networks)} ({', '.join(subnets)})")
            print(f"    security groups {', '.join(groups)}")


def drift_and_repair(spec: str) -> None:
    """Somebody changes the cloud behind the plane's back; the plane says what, and mends it."""
    chapter("Somebody opens a database to the world and renames a router, past the plane")
    cloud = openstack.connect()
    group = next(
        g for g in cloud.network.security_groups(name="db") if "controlplane ministry" in g.description
    )
    router = next(r for r in cloud.network.routers(name="edge") if "controlplane ministry" in r.description)
    print(">>> cloud.network.create_security_group_rule(db, tcp 5432 from 0.0.0.0/0)")
    cloud.network.create_security_group_rule(
        security_group_id=group.id,
        project_id=group.project_id,
        direction="ingress",
        protocol="tcp",
        port_range_min=5432,
        port_range_max=5432,
        remote_ip_prefix="0.0.0.0/0",
    )
    print('>>> cloud.network.update_router(edge, name="temporary")')
    cloud.network.update_router(router.id, name="temporary")
    chapter("The plane sees it: which field, what it has, what it should be, and who moved")
    plane("tenant", "drift", "ministry", expect=3)
    chapter("Applying the same spec repairs it; applying it once more has nothing to do")
    plane("tenant", "apply", "--yes", spec)
    plane("tenant", "apply", "--yes", spec)


def hand_over() -> None:
    """The manager gets credentials that only their key opens, and logs in with them."""
    chapter("Hand the ministry over: credentials sealed to its manager's key; the plane cannot read them")
    folder = HOME / "handover"
    plane("tenant", "handover", "ministry", "--to", str(folder))
    package = next(folder.glob("ministry.*.json"))
    opened = plane("tenant", "handover", "open", str(package), "--key", str(KEYS / "ministry"), capture=True)
    clouds = HOME / "handover" / "clouds.yaml"
    clouds.touch(mode=0o600)
    clouds.write_text(opened)
    names = re.findall(r"^  (ministry-\S+):", opened, re.MULTILINE)
    print(f"opened with the manager's private key: {', '.join(names)}")
    way_in = next(n for n in names if n.startswith("ministry-domain-"))
    region = OpenStackConfig(config_files=[str(clouds)], load_envvars=False).get_one(way_in)
    manager = Connection(config=region)
    seen = [
        p.name for p in identity(manager).projects(domain_id=identity(manager).find_domain("ministry").id)
    ]
    print(f"the manager logs in to OpenStack with it, on the domain, and sees: {', '.join(seen)}")


def erase() -> None:
    """Retire, then erase, then check the certificate with ssh-keygen alone."""
    chapter("The hospital leaves: retire (here with no grace period), then erase, with a signed certificate")
    plane("tenant", "retire", "hospital", "--grace", "0")
    plane("tenant", "erase", "hospital", "--confirm", "hospital")
    folder = HOME / "certificate"
    plane("tenant", "certificate", "hospital", "--to", str(folder))
    command = (
        "ssh-keygen -Y verify -f allowed_signers -I plane -n controlplane-erasure "
        "-s hospital.erasure.json.sig < hospital.erasure.json"
    )
    print(f"{BOLD}$ {command}{PLAIN}")
    subprocess.run(command, shell=True, check=True, cwd=folder)
    left = identity(openstack.connect()).find_domain("hospital")
    print(f"OpenStack's domain hospital: {left.name if left else 'gone'}")
    plane("tenant", "list")


def goodbye() -> None:
    """What is running, and what to try next."""
    env = HOME / "env"
    keep = ("CONTROLPLANE_SITE", "CONTROLPLANE_KEY", "OS_CLIENT_CONFIG_FILE", "OS_CLOUD")
    lines = [f"export {name}={shlex.quote(os.environ[name])}" for name in keep]
    env.write_text("\n".join([*lines, f'export PATH={shlex.quote(str(PLANE.parent))}:"$PATH"', ""]))
    pid = (HOME / "daemon.pid").read_text()
    print(f"""
Running now: the OpenStack lab ({shorter(str(LAB))}) and the daemon (process {pid}).
Stop both and remove what they stored: .venv/bin/python -m tests.demo down

Try next:
  . {shorter(str(env))}                              # say where the plane and your key are
  controlplane tenant show ministry
  controlplane tenant apply docs/examples/laboratory.yaml
  controlplane tenant suspend ministry""")


def identity(cloud: Connection) -> Any:
    """Its Keystone, version 3."""
    return cloud.identity


# --- helpers --------------------------------------------------------------------------------------------


def down() -> None:
    """Stop the daemon and the lab of an earlier demo, and remove what they stored."""
    pid_file = HOME / "daemon.pid"
    if pid_file.exists():
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"controlplane" in command.read_bytes():
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                if not command.exists():
                    break
                time.sleep(0.1)
    if LAB.exists():
        lab("destroy")
    shutil.rmtree(HOME, ignore_errors=True)


def lab(verb: str, capture: bool = False) -> str:
    """A command of the lab."""
    command = [sys.executable, "-m", "tests.lab", "openstack", verb, "--dir", str(LAB)]
    done = subprocess.run(
        command, check=True, text=True, cwd=ROOT, stdout=subprocess.PIPE if capture else None
    )
    return done.stdout or ""


def plane(*arguments: str, expect: int = 0, capture: bool = False) -> str:
    """A command of the plane, as a person types it. Ends the demo when its exit code is another."""
    show([PLANE.name, *arguments])
    done = subprocess.run(
        [PLANE, *arguments], text=True, stdout=subprocess.PIPE if capture else None, cwd=ROOT
    )
    if done.returncode != expect:
        raise SystemExit(f"that should have ended with exit code {expect}, it was {done.returncode}")
    if expect:
        print(f"{DIM}(exit code {expect}){PLAIN}")
    return done.stdout or ""


def run(*command: str) -> None:
    """Any other command."""
    show(command)
    subprocess.run(command, check=True)


def show(command: Sequence[str]) -> None:
    """The command as one would type it from here."""
    words = [w if w == "&" else shlex.quote(shorter(w)) for w in command]
    print(f"{BOLD}$ {' '.join(words)}{PLAIN}", flush=True)


def shorter(text: str) -> str:
    """Paths as seen from the checkout."""
    return text.replace(f"{ROOT}/", "")


def chapter(title: str) -> None:
    """A heading."""
    print(f"\n{BOLD}=== {title}{PLAIN}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
