"""`controlplane tenant ...`: what tenants should be, what they are, and their life."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from airgap_bundle.errors import InputProblem, WaitingForPerson
from controlplane.cli import output
from controlplane.cli.base import Group, Settings, ask_passphrase, has_terminal, pass_settings, say

DIFFERENCES = 3
"""Exit code of `drift` when OpenStack differs from the spec."""
Answer = Mapping[str, Any]

group = Group(
    "tenant",
    help="""
    Tenants: what they should be, what they are, and their life.

    A tenant is one OpenStack domain, described by one YAML file: its spec. `plan` compares the spec with
    OpenStack and changes nothing; `apply` makes OpenStack equal to it; `drift` tells what somebody changed
    behind the plane's back, and applying the same spec again repairs it.
    """,
)
files = click.argument(
    "files", metavar="SPEC...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=True)
)
tenant_name = click.argument("name", metavar="TENANT")


class SpecUnreadable(InputProblem):
    """A spec's file cannot be read."""

    exit_code = 11
    message = "{file}: {why}"
    hint = "Name one or more YAML files, or folders that hold them."


class NotConfirmed(WaitingForPerson):
    """Something would be lost, and nobody is here to agree."""

    message = "{verb} of {name} waits for a person: {consequence}"
    hint = "Run: {command}"


class Declined(WaitingForPerson):
    """The person who was asked said no."""

    message = "nothing was done"


# --- specs --------------------------------------------------------------------------------------------


@group.command(
    "validate", example="controlplane tenant validate ministry.yaml\ncontrolplane tenant validate specs/"
)
@files
@pass_settings
def validate(settings: Settings, files: Sequence[Path]) -> None:
    """Check specs: their form, their sense, and whether the site has what they name. Nothing is stored."""
    answers = _send(settings, "validate", files)
    rows = [{"file": a["file"], "tenant": a["tenant"], "valid": True} for a in answers if "problem" not in a]
    if rows or settings.json:
        output.table(rows, [("FILE", "file"), ("TENANT", "tenant"), ("VALID", "valid")])
    _raise_first(answers)


@group.command("plan", example="controlplane tenant plan ministry.yaml")
@files
@click.option("--detail", is_flag=True, help="Show every field of what is created.")
@pass_settings
def plan(settings: Settings, files: Sequence[Path], detail: bool) -> None:
    """Show what applying specs would change, in which order, why, and what would be lost. Changes nothing."""
    answers = _send(settings, "plan", files)
    _show_plans(settings, [a["plan"] for a in answers if "plan" in a], detail)
    _raise_first(answers)


@group.command(
    "apply",
    example="""
    controlplane tenant apply ministry.yaml                        # shows the plan, asks, applies
    controlplane tenant apply ministry.yaml --yes                  # does not ask, unless something is lost
    controlplane tenant apply ministry.yaml --accept 3f2a9c1b04de  # this plan as it was shown, or nothing
    """,
)
@files
@click.option("-y", "--yes", is_flag=True, help="Do not ask; a plan that loses something still waits.")
@click.option(
    "--accept",
    metavar="DIGEST",
    multiple=True,
    help="Apply the plan with this digest, also if it loses something. Refused when it is stale.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow the jobs until they end.")
@pass_settings
def apply(settings: Settings, files: Sequence[Path], yes: bool, accept: Sequence[str], wait: bool) -> None:
    """Make OpenStack equal to specs.

    Several specs are applied at the same time. A job that was interrupted, by a failure or a crash, continues
    when the same spec is applied again. Exits 75 when a person has to accept the plan first.
    """
    if not accept and not yes:
        accept = _ask(settings, _send(settings, "plan", files))
        if not accept:
            return
    answers = _send(settings, "apply", files, {"accept": list(accept)})
    _conclude(settings, answers, wait)


def _ask(settings: Settings, answers: Sequence[Answer]) -> list[str]:
    """Show plans and ask; the digests of those that a person agreed to."""
    _raise_first(answers)
    plans = [a["plan"] for a in answers]
    pending = [p for p in plans if p["changes"]]
    if not _can_ask():
        if pending:
            first = pending[0]
            raise NotConfirmed(
                verb="apply",
                name=first["tenant"],
                consequence=_summary(first),
                command=f"controlplane tenant apply FILE --accept {first['digest'][:12]}, or with --yes",
            )
        return [p["digest"] for p in plans]
    _show_plans(settings, plans, detail=False, to=sys.stderr)
    if pending and not click.confirm("\nApply?", err=True):
        raise Declined()
    return [p["digest"] for p in plans]


def _conclude(settings: Settings, answers: Sequence[Answer], wait: bool) -> None:
    """Follow the jobs that began, say how each spec ended, and raise the first problem."""
    jobs = {a["job"]["id"]: f"apply {a['tenant']}" for a in answers if a.get("job")}
    ended: Mapping[str, Any] = {}
    if wait and jobs:
        from controlplane.cli.follow import follow

        ended = follow(settings, jobs)
    rows = [_row(a, ended) for a in answers if "problem" not in a]
    columns: list[output.Column] = [
        ("TENANT", "tenant"),
        ("RESULT", "result"),
        ("CHANGES", "changes"),
        ("JOB", "job"),
    ]
    output.table(rows, columns, empty="nothing was applied")
    _raise_first(answers)
    for job in ended.values():
        _raise_problem(job)


def _row(answer: Answer, ended: Mapping[str, Any]) -> dict[str, Any]:
    job = answer.get("job")
    if job is None:
        return {"tenant": answer["tenant"], "result": "nothing to do", "changes": 0, "job": None}
    now = ended.get(job["id"], job)
    result = {"done": "applied", "failed": "failed"}.get(now["state"], now["state"])
    return {
        "tenant": answer["tenant"],
        "result": result,
        "changes": len(answer["plan"]["changes"]),
        "job": job["id"],
    }


# --- looking ------------------------------------------------------------------------------------------


@group.command("list", example="controlplane tenant list")
@pass_settings
def list_tenants(settings: Settings) -> None:
    """List tenants with their state. Erased ones stay in the list, with their certificate."""
    columns: list[output.Column] = [
        ("NAME", "name"),
        ("STATE", "state"),
        ("DRIFT", lambda t: t["drift"] or "none"),
        ("LAST SEEN", "seen_at"),
        ("GRACE UNTIL", "grace_until"),
    ]
    output.table(settings.client.get("/v1/tenants"), columns, empty="no tenants yet")


@group.command("show", example="controlplane tenant show ministry\ncontrolplane tenant show ministry --spec")
@tenant_name
@click.option("--spec", is_flag=True, help="Print the spec as it was applied.")
@pass_settings
def show(settings: Settings, name: str, spec: bool) -> None:
    """Show a tenant: its state, what it has in OpenStack with identifiers, and its last jobs."""
    found = settings.client.get(_path(name))
    if spec:
        print(found["spec"], end="")
        return
    if settings.json:
        output.json(found)
        return
    output.show({k: found[k] for k in found if k not in ("spec", "limits", "resources", "jobs", "job")})
    print()
    output.table(found["resources"], [("RESOURCE", "address"), ("ID", "id")], empty="nothing in OpenStack")
    print()
    columns: list[output.Column] = [
        ("JOB", "id"),
        ("VERB", "verb"),
        ("STATE", "state"),
        ("ENDED", "ended_at"),
    ]
    output.table(found["jobs"], columns, empty="no jobs")


@group.command("drift", example="controlplane tenant drift\ncontrolplane tenant drift ministry")
@click.argument("names", metavar="[TENANT]...", nargs=-1)
@pass_settings
def drift(settings: Settings, names: Sequence[str]) -> None:
    """Compare tenants with OpenStack: each field with what it has, what it should be, and who moved.

    Without names, all tenants are compared, in one look. Exits 3 when something differs. Apply the spec again
    to repair.
    """
    paths = [f"{_path(name)}/drift" for name in names] or ["/v1/drift"]
    found = [answer for path in paths for answer in settings.client.get(path)]
    if settings.json:
        output.json(found)
    else:
        _show_plans(settings, [a["plan"] for a in found], detail=False)
        if not found:
            say("no tenants to compare")
    if any(a["plan"]["changes"] for a in found):
        raise click.exceptions.Exit(DIFFERENCES)


# --- life ---------------------------------------------------------------------------------------------


@group.command("suspend", example="controlplane tenant suspend ministry")
@tenant_name
@pass_settings
def suspend(settings: Settings, name: str) -> None:
    """Stop a tenant: nobody gets in, its servers stop. What ran is remembered for `resume`."""
    _run(settings, name, "suspend")


@group.command("resume", example="controlplane tenant resume ministry")
@tenant_name
@pass_settings
def resume(settings: Settings, name: str) -> None:
    """Let a suspended tenant in again and start the servers that ran before."""
    _run(settings, name, "resume")


@group.command(
    "retire", example="controlplane tenant retire ministry\ncontrolplane tenant retire ministry --grace 90d"
)
@tenant_name
@click.option(
    "--grace", metavar="TIME", help="Until it may be erased, such as 90d, 12h or 0. Default: the site's."
)
@pass_settings
def retire(settings: Settings, name: str, grace: str | None) -> None:
    """End a tenant's service: as `suspend`, and erasable after a grace period. `restore` undoes it."""
    _run(settings, name, "retire", {"grace_seconds": _seconds(grace) if grace is not None else None})


@group.command("restore", example="controlplane tenant restore ministry")
@tenant_name
@pass_settings
def restore(settings: Settings, name: str) -> None:
    """Bring a retired tenant back, with the servers that ran before."""
    _run(settings, name, "restore")


@group.command("erase", example="controlplane tenant erase ministry --confirm ministry")
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
        if not _can_ask():
            command = f"controlplane tenant erase {name} --confirm {name}"
            raise NotConfirmed(verb="erase", name=name, consequence="nothing brings it back", command=command)
        confirm = click.prompt(f"Everything {name} has will be deleted for good. Type its name", err=True)
    if confirm != name:
        raise Declined()
    _run(settings, name, "erase")


@group.command("certificate", example="controlplane tenant certificate ministry --to certificates/")
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
    found = settings.client.get(f"{_path(name)}/certificate")
    if to is None:
        if settings.json:
            output.json(found)
        else:
            print(found["certificate"], end="")
        return
    to.mkdir(parents=True, exist_ok=True)
    file = to / f"{name}.erasure.json"
    _write(file, found["certificate"])
    _write(file.with_suffix(".json.sig"), found["signature"])
    import json

    plane = json.loads(found["certificate"])["plane_key"]
    _write(to / "allowed_signers", f"plane {plane}\n")
    say(
        f"written: {file}, {file.name}.sig and allowed_signers (compare its key with the plane's fingerprint)"
    )


class TenantOrCommand(Group):
    """A group whose first word may be a tenant: `handover ministry` is `handover give ministry`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A word that is no command is the tenant to give."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["give", *args]
        return super().resolve_command(ctx, args)


handover = TenantOrCommand(
    "handover",
    help="""
    Hand a tenant over to its managers, and open what was handed over.

    `handover TENANT --to FOLDER` writes a file for each tenant manager, with the tenant's credentials sealed
    to the manager's key. The files may travel by any way: only the manager's private key opens them.
    """,
)
group.add_command(handover)


@handover.command("give", example="controlplane tenant handover ministry --to handover/")
@tenant_name
@click.option(
    "--to", metavar="FOLDER", required=True, type=click.Path(path_type=Path, file_okay=False), help="Where."
)
@pass_settings
def give(settings: Settings, name: str, to: Path) -> None:
    """Write a file for each tenant manager, with the tenant's credentials sealed to the manager's key."""
    import json

    packages = settings.client.post(f"{_path(name)}/handover")
    to.mkdir(parents=True, exist_ok=True)
    rows = []
    for made in packages:
        package = made["package"]
        file = to / f"{name}.{package['manager']}.json"
        _write(file, json.dumps(made, indent=2) + "\n")
        rows.append(
            {
                "file": str(file),
                "for": package["manager"],
                "key": package["recipient"],
                "secrets": len(package["sealed"]),
            }
        )
    output.table(rows, [("FILE", "file"), ("FOR", "for"), ("SEALED TO", "key"), ("SECRETS", "secrets")])


@handover.command(
    "open",
    example="controlplane tenant handover open ministry.anna.json --key ~/.ssh/id_ed25519 > clouds.yaml",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--plane-key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The plane's public key, to check who sealed it.",
)
@pass_settings
def open_handover(settings: Settings, file: Path, plane_key: Path | None) -> None:
    """Open what was handed over, with the manager's private key: prints a clouds.yaml, or JSON.

    Needs no plane and no network.
    """
    from controlplane.client.handover import clouds_yaml, open_package

    opened = open_package(file, settings.key, plane_key, ask_passphrase if has_terminal() else None)
    if settings.json:
        output.json(opened)
    else:
        print(clouds_yaml(opened), end="")


# --- shared -------------------------------------------------------------------------------------------


def _send(
    settings: Settings, verb: str, files: Sequence[Path], more: Mapping[str, Any] | None = None
) -> list[Answer]:
    """Ask the plane about specs; one answer each, in the files' order."""
    specs = [{"text": _text(file), "file": str(file)} for file in _expand(files)]
    answers: list[Answer] = settings.client.post(f"/v1/tenants/{verb}", {"specs": specs, **(more or {})})
    return answers


def _expand(files: Sequence[Path]) -> list[Path]:
    """Folders stand for the YAML files in them."""
    found: list[Path] = []
    for file in files:
        if file.is_dir():
            inside = sorted(p for p in file.iterdir() if p.suffix in (".yaml", ".yml"))
            if not inside:
                raise SpecUnreadable(file=file, why="holds no .yaml files")
            found += inside
        else:
            found.append(file)
    return found


MAX_BYTES = 1024 * 1024


def _text(file: Path) -> str:
    """A spec's text. What is far too large is not even sent."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SpecUnreadable(file=file, why=f"is larger than 1 MiB ({file.stat().st_size} bytes)")
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SpecUnreadable(file=file, why=error.strerror or "cannot be read") from None
    except UnicodeDecodeError as error:
        raise SpecUnreadable(file=file, why=f"is not UTF-8 text (byte {error.start})") from None


def _show_plans(settings: Settings, plans: Sequence[Mapping[str, Any]], detail: bool, to: Any = None) -> None:
    if settings.json and to is None:
        output.json(list(plans))
        return
    from controlplane.cli.plan_view import plan_lines

    stream = to or sys.stdout
    colour = stream.isatty() and not settings.no_color and os.environ.get("TERM") != "dumb"
    for number, made in enumerate(plans):
        if number:
            print(file=stream)
        print("\n".join(plan_lines(made, colour=colour, detail=detail)), file=stream)


def _summary(made: Mapping[str, Any]) -> str:
    from controlplane.cli.plan_view import summary

    return f"it has {summary(made)}"


def _raise_first(answers: Sequence[Answer]) -> None:
    """Tell every problem but the first, which is raised and gives the exit code."""
    problems = [a["problem"] for a in answers if "problem" in a]
    if not problems:
        return
    from controlplane.client import Refusal

    for document in problems:
        for line in _findings(document):
            say(line)
    for document in problems[1:]:
        if not _findings(document):
            say(f"error: {document['detail']}")
    raise Refusal(problems[0], 200)


def _findings(document: Mapping[str, Any]) -> list[str]:
    """`file:line: message. remedy.` for each thing wrong with a spec, when there is more than one."""
    facts = document.get("facts") or {}
    found = facts.get("findings") or []
    if len(found) < 2:
        return []
    return [f"{facts['file']}:{f['line']}: {f['message']}. {f['remedy']}" for f in found]


def _raise_problem(job: Mapping[str, Any]) -> None:
    if problem := job.get("problem"):
        from controlplane.client import Refusal

        raise Refusal(problem, 200)


def _run(settings: Settings, name: str, verb: str, body: Mapping[str, Any] | None = None) -> None:
    """Begin a job of the lifecycle, follow it, and show how it ended."""
    from controlplane.cli.follow import follow

    job = settings.client.post(f"{_path(name)}/{verb}", body)
    [ended] = follow(settings, {job["id"]: f"{verb} {name}"}).values()
    _raise_problem(ended)
    result = {k: v for k, v in (ended["result"] or {}).items() if k != "seen"}
    tenant = settings.client.get(_path(name))
    output.show({"tenant": name, "state": tenant["state"], **result, "job": ended["id"]})


def _path(name: str) -> str:
    from controlplane.client.connection import segment

    return f"/v1/tenants/{segment(name)}"


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _seconds(text: str) -> int:
    """`90d`, `12h`, `30m`, `45s` or `0` as seconds."""
    units = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
    number, unit = (text[:-1], text[-1:]) if text[-1:] in units else (text, "s")
    if not number.isdecimal():
        raise click.BadParameter(f"{text!r} is not a time; write 90d, 12h, 30m or 0.", param_hint="--grace")
    return int(number) * units[unit]


def _write(file: Path, text: str) -> None:
    from airgap_bundle.durable import write_durably

    write_durably(file, text.encode(), 0o600)
