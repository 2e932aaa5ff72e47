"""Suspend and resume tenants, retire and restore them, erase them and get the certificate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.kit import say
from controlplane.cli.base import Command, Settings, pass_settings
from controlplane.cli.tenant.shared import (
    Declined,
    NotConfirmed,
    can_ask,
    path_of,
    raise_problem,
    tenant_name,
    write_private,
)


@click.command("suspend", cls=Command, example="controlplane tenant suspend ministry")
@tenant_name
@pass_settings
def suspend(settings: Settings, name: str) -> None:
    """Stop a tenant: nobody gets in, its servers stop. What ran is remembered for `resume`."""
    _run(settings, name, "suspend")


@click.command("resume", cls=Command, example="controlplane tenant resume ministry")
@tenant_name
@pass_settings
def resume(settings: Settings, name: str) -> None:
    """Let a suspended tenant in again and start the servers that ran before."""
    _run(settings, name, "resume")


@click.command(
    "retire",
    cls=Command,
    example="controlplane tenant retire ministry\ncontrolplane tenant retire ministry --grace 90d",
)
@tenant_name
@click.option(
    "--grace", metavar="TIME", help="Until it may be erased, such as 90d, 12h or 0. Default: the site's."
)
@pass_settings
def retire(settings: Settings, name: str, grace: str | None) -> None:
    """End a tenant's service: as `suspend`, and erasable after a grace period. `restore` undoes it."""
    _run(settings, name, "retire", {"grace_seconds": _seconds(grace) if grace is not None else None})


@click.command("restore", cls=Command, example="controlplane tenant restore ministry")
@tenant_name
@pass_settings
def restore(settings: Settings, name: str) -> None:
    """Bring a retired tenant back, with the servers that ran before."""
    _run(settings, name, "restore")


@click.command("erase", cls=Command, example="controlplane tenant erase ministry --confirm ministry")
@tenant_name
@click.option(
    "--confirm", metavar="TENANT", help="The tenant's name once more, instead of being asked for it."
)
@pass_settings
def erase(settings: Settings, name: str, confirm: str | None) -> None:
    """Delete everything a retired tenant has, after its grace period, and sign a certificate of it.

    Nothing brings it back. Get the certificate with `controlplane tenant certificate`.
    """
    if confirm is None:
        if not can_ask():
            command = f"controlplane tenant erase {name} --confirm {name}"
            raise NotConfirmed(verb="erase", name=name, consequence="nothing brings it back", command=command)
        confirm = click.prompt(f"Everything {name} has will be deleted for good. Type its name", err=True)
    if confirm != name:
        raise Declined()
    _run(settings, name, "erase")


@click.command(
    "certificate", cls=Command, example="controlplane tenant certificate ministry --to certificates/"
)
@tenant_name
@click.option(
    "--to", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False), help="Write files there."
)
@pass_settings
def certificate(settings: Settings, name: str, to: Path | None) -> None:
    r"""Print the signed erasure certificate of a tenant, or write it with its signature as files.

    Anyone can check the files with the plane's public key and ssh-keygen alone:

    \b
      ssh-keygen -Y verify -f allowed_signers -I plane -n controlplane-erasure \
          -s ministry.erasure.json.sig < ministry.erasure.json
    """
    found = settings.client.get(f"{path_of(name)}/certificate")
    if to is None:
        if settings.json:
            output.json(found)
        else:
            print(found["certificate"], end="")
        return
    to.mkdir(parents=True, exist_ok=True)
    file = to / f"{name}.erasure.json"
    write_private(file, found["certificate"])
    write_private(file.with_suffix(".json.sig"), found["signature"])
    import json

    plane = json.loads(found["certificate"])["plane_key"]
    write_private(to / "allowed_signers", f"plane {plane}\n")
    say(
        f"written: {file}, {file.name}.sig and allowed_signers (compare its key with the plane's fingerprint)"
    )


def _run(settings: Settings, name: str, verb: str, body: Mapping[str, Any] | None = None) -> None:
    """Begin a job of the lifecycle, follow it, and show how it ended."""
    from controlplane.cli.follow import follow

    job = settings.client.post(f"{path_of(name)}/{verb}", body)
    [ended] = follow(settings, {job["id"]: f"{verb} {name}"}).values()
    raise_problem(ended)
    result = {k: v for k, v in (ended["result"] or {}).items() if k != "seen"}
    tenant = settings.client.get(path_of(name))
    output.show({"tenant": name, "state": tenant["state"], **result, "job": ended["id"]})


def _seconds(text: str) -> int:
    """`90d`, `12h`, `30m`, `45s` or `0` as seconds."""
    units = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    if not number.isdecimal():
        raise click.BadParameter(f"{text!r} is not a time; write 90d, 12h, 30m or 0.", param_hint="--grace")
    return int(number) * units[unit]
