"""Routes under /v1/jobs: what is at work, and what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from controlplane.access.roles import Action
from controlplane.service.routing import Router, needs
from controlplane.service.tenancy import Tenancy

POLL_SECONDS = 0.1
KEEP_ALIVE_SECONDS = 15.0


def router(tenancy: Tenancy) -> Router:
    """The routes."""
    routes = Router(prefix="/v1/jobs", tags=["jobs"])

    @routes.get("", dependencies=[needs(Action.READ)])
    def list_jobs(
        tenant: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 50
    ) -> list[dict[str, Any]]:
        """The newest jobs first."""
        return tenancy.jobs(tenant, limit)

    @routes.get("/{job}", dependencies=[needs(Action.READ)])
    def show_job(job: str) -> dict[str, Any]:
        """One job and how it ended."""
        return tenancy.job(job)

    @routes.get("/{job}/events", dependencies=[needs(Action.READ)], response_class=StreamingResponse)
    async def follow(job: str, after: Annotated[int, Query(ge=0)] = 0) -> StreamingResponse:
        """Server-sent events from the event `after` on; the stream ends when the job has."""
        await run_in_threadpool(tenancy.job, job)
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(
            _stream(tenancy, job, after), media_type="text/event-stream", headers=headers
        )

    return routes


async def _stream(tenancy: Tenancy, job: str, after: int) -> AsyncIterator[str]:
    quiet = 0.0
    while True:
        ended = (await run_in_threadpool(tenancy.job, job))["state"] in ("done", "failed")
        events = await run_in_threadpool(tenancy.events, job, after)
        for event in events:
            after = event["seq"]
            yield f"id: {after}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
        if ended and not events:
            yield f"event: end\ndata: {json.dumps(await run_in_threadpool(tenancy.job, job))}\n\n"
            return
        quiet = 0.0 if events else quiet + POLL_SECONDS
        if quiet >= KEEP_ALIVE_SECONDS:
            yield ": still here\n\n"
            quiet = 0.0
        if not events:
            await asyncio.sleep(POLL_SECONDS)
