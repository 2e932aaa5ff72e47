"""Routes under /v1/jobs: what is at work, and what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from controlplane.access.roles import Action
from controlplane.service.questions import Questions
from controlplane.service.routing import Router, needs

POLL_SECONDS = 0.1
OTHERS_SECONDS = 0.5
KEEP_ALIVE_SECONDS = 15.0


def router(questions: Questions, commits: Callable[[], int]) -> Router:
    """The routes. `commits` grows when a job of this process has told something."""
    routes = Router(prefix="/v1/jobs", tags=["jobs"])

    @routes.get("", dependencies=[needs(Action.READ)])
    def list_jobs(
        tenant: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> list[dict[str, Any]]:
        """The newest jobs first."""
        return questions.jobs(tenant, limit)

    @routes.get("/events", dependencies=[needs(Action.READ)], response_class=StreamingResponse)
    async def follow_many(
        job: Annotated[list[str], Query(min_length=1, max_length=500)], after: Annotated[int, Query(ge=0)] = 0
    ) -> StreamingResponse:
        """Server-sent events of several jobs as one stream; it ends when all of them have."""
        return await _answer(questions, commits, job, after)

    @routes.get("/{job}", dependencies=[needs(Action.READ)])
    def show_job(job: str) -> dict[str, Any]:
        """One job and how it ended."""
        return questions.job(job)

    @routes.get("/{job}/events", dependencies=[needs(Action.READ)], response_class=StreamingResponse)
    async def follow(job: str, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """Server-sent events from the event `after` on; the stream ends when the job has."""
        return await _answer(questions, commits, [job], after)

    return routes


async def _answer(
    questions: Questions, commits: Callable[[], int], jobs: list[str], after: int
) -> StreamingResponse:
    for job in jobs:
        await run_in_threadpool(questions.job, job)  # an unknown one is refused before the stream begins
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(
        _stream(questions, commits, jobs, after), media_type="text/event-stream", headers=headers
    )


async def _stream(
    questions: Questions, commits: Callable[[], int], jobs: list[str], after: int
) -> AsyncIterator[str]:
    """Events as they come; `end` with the job itself when one has ended and all it told was sent.

    The database is asked when this process has written something, and every now and then for what workers
    in other processes have.
    """
    open_, silent, unasked, seen = list(jobs), 0.0, OTHERS_SECONDS, -1
    while open_:
        if commits() == seen and unasked < OTHERS_SECONDS:
            unasked += POLL_SECONDS
            await asyncio.sleep(POLL_SECONDS)
            continue
        seen, unasked = commits(), 0.0
        ended = await run_in_threadpool(questions.ended, open_)
        events = await run_in_threadpool(questions.events, jobs, after)
        for event in events:
            after = event["seq"]
            yield f"id: {after}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
        if events:
            silent, seen = 0.0, -1  # there may be more
            continue
        for job in ended:
            yield f"event: end\ndata: {json.dumps(job)}\n\n"
            open_.remove(job["id"])
        silent += OTHERS_SECONDS
        if silent >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            silent = 0.0
