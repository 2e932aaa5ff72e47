"""`controlplane job ...`: what the plane is doing and has done."""

from __future__ import annotations

from typing import Any

import click

from airgap_bundle.cli import output
from controlplane.cli import progress
from controlplane.cli.base import Group, Settings, pass_settings

COLUMNS: list[output.Column] = [
    ("ID", "id"),
    ("VERB", "verb"),
    ("TENANT", "tenant"),
    ("STATE", "state"),
    ("REQUESTER", "requester"),
    ("CREATED", "created_at"),
    ("ENDED", "ended_at"),
]
FIELDS: list[output.Column] = [
    *[(title.capitalize(), key) for title, key in COLUMNS],
    ("Plan", "plan"),
    ("Result", "result"),
    ("Problem", lambda job: (job.get("problem") or {}).get("detail")),
]

group = Group(
    "job",
    help="""
    Jobs: what the plane is doing and has done.

    Work that takes long is a job of the daemon. It goes on when you leave, and survives a crash of the plane.
    """,
)


@group.command("list", example="controlplane job list --tenant ministry")
@click.option("--tenant", metavar="NAME", help="Only jobs of this tenant.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@pass_settings
def list_jobs(settings: Settings, tenant: str | None, limit: int) -> None:
    """List jobs, the newest first."""
    output.table(settings.client.get("/v1/jobs", {"tenant": tenant, "limit": limit}), COLUMNS)


@group.command("show", example="controlplane job show 6f1c2b9e")
@click.argument("job")
@pass_settings
def show(settings: Settings, job: str) -> None:
    """Show one job and how it ended."""
    output.show(settings.client.get(path(job)), FIELDS)


@group.command("follow", example="controlplane job follow 6f1c2b9e")
@click.argument("job")
@pass_settings
def follow(settings: Settings, job: str) -> None:
    """Follow a job until it ends, then show how.

    Ctrl-C stops following, not the job. The exit code is the job's: 0, or that of its problem.
    """
    output.show(watch(settings, job), FIELDS)


def watch(settings: Settings, job: str, title: str = "") -> dict[str, Any]:
    """Show a job's progress until it ends; gives the ended job. Raises Refusal with the job's problem."""
    from controlplane.client import Refusal

    ended: dict[str, Any] = {}
    with progress.watch() as watched:
        for event in settings.client.events(f"{path(job)}/events"):
            data = event.data.get("data", {})
            if event.name == "started":
                watched.start(data.get("total"), title or f"job {job}")
            elif event.name == "step":
                name = " ".join(filter(None, [data.get("action"), data.get("address")]))
                watched.step(name, data.get("state", ""), data.get("reason", ""))
            elif event.name == "end":
                ended = event.data
    if problem := ended.get("problem"):
        raise Refusal(problem, 200)
    return ended


def path(job: str) -> str:
    """The job's path in the API."""
    from controlplane.client.connection import segment

    return f"/v1/jobs/{segment(job)}"
