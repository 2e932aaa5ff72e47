"""Validate, plan and apply specs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from airgap_bundle.cli import output
from airgap_bundle.errors import InputProblem
from controlplane.cli.base import Command, Settings, pass_settings
from controlplane.cli.tenant.shared import (
    Answer,
    Declined,
    NotConfirmed,
    can_ask,
    raise_first,
    raise_problem,
    show_plans,
    summary_of,
)

MAX_BYTES = 1024 * 1024
files = click.argument(
    "files", metavar="SPEC...", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=True)
)


class SpecUnreadable(InputProblem):
    """A spec's file cannot be read."""

    exit_code = 11
    message = "{file}: {why}"
    hint = "Name one or more YAML files, or folders that hold them."


@click.command(
    "validate",
    cls=Command,
    example="controlplane tenant validate ministry.yaml\ncontrolplane tenant validate specs/",
)
@files
@pass_settings
def validate(settings: Settings, files: Sequence[Path]) -> None:
    """Check specs: their form, their sense, and whether the site has what they name. Nothing is stored."""
    answers = _send(settings, "validate", files)
    rows = [{"file": a["file"], "tenant": a["tenant"], "valid": True} for a in answers if "problem" not in a]
    if rows or settings.json:
        output.table(rows, [("FILE", "file"), ("TENANT", "tenant"), ("VALID", "valid")])
    raise_first(answers)


@click.command("plan", cls=Command, example="controlplane tenant plan ministry.yaml")
@files
@click.option("--detail", is_flag=True, help="Show every field of what is created.")
@pass_settings
def plan(settings: Settings, files: Sequence[Path], detail: bool) -> None:
    """Show what applying specs would change, in which order, why, and what would be lost. Changes nothing."""
    answers = _send(settings, "plan", files)
    show_plans(settings, [a["plan"] for a in answers if "plan" in a], detail)
    raise_first(answers)


@click.command(
    "apply",
    cls=Command,
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
    raise_first(answers)
    plans = [a["plan"] for a in answers]
    pending = [p for p in plans if p["changes"]]
    if not can_ask():
        if pending:
            first = pending[0]
            raise NotConfirmed(
                verb="apply",
                name=first["tenant"],
                consequence=summary_of(first),
                command=f"controlplane tenant apply FILE --accept {first['digest'][:12]}, or with --yes",
            )
        return [p["digest"] for p in plans]
    show_plans(settings, plans, detail=False, to=sys.stderr)
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
    raise_first(answers)
    for job in ended.values():
        raise_problem(job)


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
