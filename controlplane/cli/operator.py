"""`controlplane operator ...`: who may come in."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.kit import say
from controlplane.cli.base import Group, Settings, pass_settings

ROLES = ("operator", "approver", "auditor", "security_officer", "script")

COLUMNS: list[output.Column] = [
    ("NAME", "name"),
    ("STATE", "state"),
    ("ROLES", "roles"),
    ("KEYS", lambda operator: [key["fingerprint"] for key in operator["keys"]]),
]
FIELDS: list[output.Column] = [
    ("Name", "name"),
    ("State", "state"),
    ("Roles", "roles"),
    ("Keys", lambda operator: [key["line"] for key in operator["keys"]]),
    ("Fingerprints", lambda operator: [key["fingerprint"] for key in operator["keys"]]),
    ("Enrolled", lambda operator: f"{output.cell(operator['enrolled_at'])} by {operator['enrolled_by']}"),
    ("Suspended", "suspended_at"),
    ("Suspended by", "suspended_by"),
]

group = Group(
    "operator",
    help="""
    Operators: who may come in, and with which keys.

    Everyone signs with an OpenSSH Ed25519 key of their own. A person with two keys is still one person.
    Only a security officer enrols, suspends and resumes.
    """,
)


@group.command("list", example="controlplane operator list")
@pass_settings
def list_operators(settings: Settings) -> None:
    """List all operators by name, suspended ones too."""
    output.table(settings.client.get("/v1/operators"), COLUMNS)


@group.command("show", example="controlplane operator show anna")
@click.argument("name")
@pass_settings
def show(settings: Settings, name: str) -> None:
    """Show one operator: roles, keys, and who enrolled them."""
    output.show(settings.client.get(path(name)), FIELDS)


@group.command(
    "enrol",
    example="""
    controlplane operator enrol boris --role approver --public-key boris.pub
    controlplane operator enrol backup --role script --public-key "ssh-ed25519 AAAA... backup@zone"
    """,
)
@click.argument("name")
@click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be repeated."
)
@click.option(
    "--public-key", required=True, metavar="KEY", help="Their public key: its line, or a .pub file."
)
@pass_settings
def enrol(settings: Settings, name: str, roles: tuple[str, ...], public_key: str) -> None:
    """Enrol an operator with roles and a public key.

    Compare the fingerprint that is printed with what they read to you from `ssh-keygen -lf`.
    """
    body = {"name": name, "roles": list(dict.fromkeys(roles)), "public_key": key_line(public_key)}
    enrolled = settings.client.post("/v1/operators", body)
    output.show(enrolled, FIELDS)
    say(f"enrolled {name}")


@group.command("add-key", example="controlplane operator add-key anna --public-key anna-laptop.pub")
@click.argument("name")
@click.option("--public-key", required=True, metavar="KEY", help="The public key: its line, or a .pub file.")
@pass_settings
def add_key(settings: Settings, name: str, public_key: str) -> None:
    """Give an operator a further key. They stay one person."""
    body = {"public_key": key_line(public_key)}
    output.show(settings.client.post(f"{path(name)}/keys", body), FIELDS)
    say(f"added a key to {name}")


@group.command("suspend", example="controlplane operator suspend boris")
@click.argument("name")
@pass_settings
def suspend(settings: Settings, name: str) -> None:
    """Suspend an operator.

    None of their keys is accepted from the next request on. The record stays. The last security officer
    cannot be suspended.
    """
    output.show(settings.client.delete(path(name)), FIELDS)
    say(f"suspended {name}")


@group.command("resume", example="controlplane operator resume boris")
@click.argument("name")
@pass_settings
def resume(settings: Settings, name: str) -> None:
    """Let a suspended operator in again.

    They have the roles and keys that they had before.
    """
    output.show(settings.client.post(f"{path(name)}/resume"), FIELDS)
    say(f"resumed {name}")


def path(name: str) -> str:
    """The operator's path in the API."""
    from controlplane.client.connection import segment

    return f"/v1/operators/{segment(name)}"


def key_line(given: str) -> str:
    """A public key line that is one: checked here already, so that a wrong file never leaves the machine."""
    from airgap_bundle.keys import PublicKey

    file = Path(given).expanduser()
    is_line = " " in given.strip() and not file.exists()
    return (PublicKey.parse(given, "--public-key") if is_line else PublicKey.read(file)).line
