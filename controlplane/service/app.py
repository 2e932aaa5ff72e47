"""The daemon's application: the guard outside, the routes inside."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from controlplane.service import problems
from controlplane.service.routes import operators, plane
from controlplane.service.routing import seal
from controlplane.service.signatures import Guard
from controlplane.service.site import Site
from controlplane.store.database import connect

DESCRIPTION = """\
Every request is signed with an operator's Ed25519 key: HTTP Message Signatures (RFC 9421), content digest
(RFC 9530). docs/reference/api.md shows how. Errors are problem documents (RFC 9457).
"""


def build_app(site: Site, routers: Sequence[APIRouter] = (), engine: Engine | None = None) -> Guard:
    """The application for `site` with `routers` besides its own. Raises ActionMissing, KeyProblem.

    The FastAPI application is `.app` of what it gives.
    """
    engine = engine or connect(site.database)
    app = FastAPI(
        title="controlplane",
        version=version("sovereign-controlplane"),
        description=DESCRIPTION,
        docs_url=None,  # its pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url=None,  # GET /v1/openapi.json is a route like the others
        redirect_slashes=False,  # a signed request is for one path
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    problems.install(app)
    seal(app, [plane.router(site), operators.router(engine), *routers])
    return Guard(app, engine=engine, policy=site.policy, body_limit=site.body_limit_bytes)
