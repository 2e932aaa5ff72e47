"""`python -m tests.lab openstack …`: the lab at the command line. stdout is data, stderr is narration."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.lab import session
from tests.lab.openstack import processes
from tests.lab.openstack.layout import CLOUD, DEFAULT_FOLDER, TOKEN_SECONDS, Site

HELP = f"""\
A real OpenStack on this machine's loopback: Keystone, Placement, Glance, Neutron, Nova and Cinder, with
SQLite, a hypervisor that only pretends, and volumes without bytes. It needs no root and no other software,
and takes about 0.9 GB of memory. Several labs can run at once, each in a folder of its own.

  up        start it: a new lab in seconds, an old one with all it stored; a running one is left alone
  down      stop it and keep what it stores
  status    one line a service: name, up or down, process, memory, address; exit code 1 when one is down
  clouds    print the path of its clouds.yaml; with --export, lines for `eval`
  destroy   stop it and remove all that it stored

Example:
  python -m tests.lab openstack up
  eval "$(python -m tests.lab openstack clouds --export)"
  openstack server list        # any client that reads clouds.yaml; the cloud is named {CLOUD}
"""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb group `openstack` to `commands`."""
    group = commands.add_parser(
        "openstack",
        help="a real OpenStack on loopback with a pretending hypervisor",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = group.add_subparsers(dest="verb", required=True, metavar="up|down|status|clouds|destroy")
    for name, run in VERBS.items():
        verb = verbs.add_parser(name, help=run.__doc__)
        verb.set_defaults(run=run)
        verb.add_argument(
            "--dir",
            type=Path,
            default=Path(os.environ.get("LAB_OPENSTACK_DIR") or DEFAULT_FOLDER),
            help="the lab's folder (default: $LAB_OPENSTACK_DIR, else .lab/openstack in the checkout)",
        )
        if name == "up":
            verb.add_argument(
                "--port", type=int, help="first of its ports, below 32768 (default: a free block)"
            )
            verb.add_argument(
                "--token-seconds",
                type=int,
                default=os.environ.get("LAB_TOKEN_SECONDS"),
                help=f"lifetime of a token (default: $LAB_TOKEN_SECONDS, else {TOKEN_SECONDS})",
            )
            verb.add_argument(
                "--from-nothing", action="store_true", help="make the databases, do not copy kept ones"
            )
        if name == "clouds":
            verb.add_argument("--export", action="store_true", help="print lines for a shell's `eval`")


def up(arguments: argparse.Namespace) -> int:
    """Start the lab, unless it runs."""
    site, _ = processes.up(
        arguments.dir,
        port=arguments.port,
        token_seconds=arguments.token_seconds,
        use_golden=not arguments.from_nothing,
    )
    session.keep(site.folder)
    print(site.clouds_yaml)
    return 0


def down(arguments: argparse.Namespace) -> int:
    """Stop the lab and keep what it stores."""
    processes.narrate("stopped" if processes.down(arguments.dir) else "nothing ran")
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Show each service."""
    site = _site(arguments.dir)
    services = processes.status(site)
    for service in services:
        state = "up" if service.answers else "down"
        megabytes = service.memory / 1e6
        print(f"{service.name:<10} {state:<5} {service.process:>8} {megabytes:>6.0f} MB  {service.url}")
    return 0 if all(service.answers for service in services) else 1


def clouds(arguments: argparse.Namespace) -> int:
    """Print where the lab's clouds.yaml is."""
    site = _site(arguments.dir)
    print(
        f"export OS_CLIENT_CONFIG_FILE={site.clouds_yaml} OS_CLOUD={CLOUD}"
        if arguments.export
        else site.clouds_yaml
    )
    return 0


def destroy(arguments: argparse.Namespace) -> int:
    """Stop the lab and remove all that it stored."""
    processes.destroy(arguments.dir)
    processes.narrate("removed")
    return 0


VERBS = {"up": up, "down": down, "status": status, "clouds": clouds, "destroy": destroy}


def _site(folder: Path) -> Site:
    site = Site.load(folder.resolve())
    if site is None:
        raise processes.LabError(f"no lab in {folder}; start one: python -m tests.lab openstack up")
    return site
