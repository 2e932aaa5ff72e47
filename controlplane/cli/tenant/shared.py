"""What the verbs of tenants share: how a tenant is named, who is asked, how plans and problems are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.kit import say
from airgap_bundle.errors import WaitingForPerson
from controlplane.cli.base import Settings

Answer = Mapping[str, Any]
"""What the plane says of one spec or tenant."""

tenant_name = click.argument("name", metavar="TENANT")


class NotConfirmed(WaitingForPerson):
    """Something would be lost, and nobody is here to agree."""

    message = "{verb} of {name} waits for a person: {consequence}"
    hint = "Run: {command}"


class Declined(WaitingForPerson):
    """The person who was asked said no."""

    message = "nothing was done"


def path_of(name: str) -> str:
    """Where the API has a tenant."""
    from controlplane.client.connection import segment

    return f"/v1/tenants/{segment(name)}"


def can_ask() -> bool:
    """Whether a person is there to answer, and to see the question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show_plans(settings: Settings, plans: Sequence[Mapping[str, Any]], detail: bool, to: Any = None) -> None:
    """Print plans for a person, on stdout unless `to` is given; as data with `--output json`."""
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


def summary_of(made: Mapping[str, Any]) -> str:
    """What a plan comes to, as the end of a sentence."""
    from controlplane.cli.plan_view import summary

    return f"it has {summary(made)}"


def raise_first(answers: Sequence[Answer]) -> None:
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


def raise_problem(job: Mapping[str, Any]) -> None:
    """Raise what a job ended with, if it failed."""
    if problem := job.get("problem"):
        from controlplane.client import Refusal

        raise Refusal(problem, 200)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    from airgap_bundle.durable import write_durably

    write_durably(file, text.encode(), 0o600)
