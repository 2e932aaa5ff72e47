"""GET /v1/plane and /v1/openapi.json: what this plane is."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel

from controlplane.access.roles import Action, Requester
from controlplane.service.routing import Router, needs
from controlplane.service.site import Site


class You(BaseModel):
    """Who asked, as the plane sees them."""

    name: str
    fingerprint: str
    roles: list[str]


class Plane(BaseModel):
    """What this plane is."""

    version: str
    site: str
    cloud: str
    public_key: str
    """The plane's own key: what it signs certificates with."""
    time: datetime
    """The plane's clock."""
    you: You


def router(site: Site) -> Router:
    """The routes, for one site."""
    routes = Router(prefix="/v1", tags=["plane"])
    public_key = site.key().public.line

    @routes.get("/plane")
    def show_plane(requester: Annotated[Requester, needs(Action.READ)]) -> Plane:
        """Version, site and cloud of this plane, and who you are to it."""
        return Plane(
            version=version("sovereign-controlplane"),
            site=site.name,
            cloud=site.cloud,
            public_key=public_key,
            time=datetime.now(UTC),
            you=You(name=requester.name, fingerprint=requester.fingerprint, roles=sorted(requester.roles)),
        )

    @routes.get("/openapi.json", dependencies=[needs(Action.READ)], include_in_schema=False)
    def openapi(request: Request) -> dict[str, Any]:
        """The API as an OpenAPI document."""
        document: dict[str, Any] = request.app.openapi()
        return document

    return routes
