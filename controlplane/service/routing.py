"""Routes that say what they do: each names one Action, and the role check comes before anything is read.

    router = Router(prefix="/v1/tenants")

    @router.get("")
    def list_tenants(requester: Annotated[Requester, needs(Action.READ)]) -> list[Tenant]: ...

A route that does not need to know who asks names its action with `dependencies=[needs(Action.READ)]`.
`seal` makes the application refuse to start when a route names none, or more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from controlplane.access.roles import Action, Requester
from controlplane.access.verification import SignedRequest
from controlplane.service.signatures import SIGNED_REQUEST


class ActionMissing(Exception):
    """A route without exactly one action: a fault in our code, found when the application is built."""


class Needs:
    """Marks a route with its action, and hands it the requester."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, request: Request) -> Requester:
        """The requester, once more allowed; `ActionRoute` checked before."""
        requester = requester_of(request)
        requester.permit(self.action)
        return requester


def needs(action: Action) -> Any:
    """Name the route's action; gives the Requester."""
    return Depends(Needs(action))


def signed_request(request: Request) -> SignedRequest:
    """The verified request with its evidence, for the audit log."""
    signed: SignedRequest = request.scope[SIGNED_REQUEST]
    return signed


def requester_of(request: Request) -> Requester:
    """Who signed the request."""
    return signed_request(request).requester


class ActionRoute(APIRoute):
    """A route that checks the role before it reads path, query or body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the check. Raises ActionMissing."""
        action = action_of(self)
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            requester_of(request).permit(action)
            return await handler(request)

        return checked


class Router(APIRouter):
    """An APIRouter whose routes are ActionRoutes."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(route_class=ActionRoute, redirect_slashes=False, **settings)


def action_of(route: APIRoute) -> Action:
    """The action that a route names. Raises ActionMissing unless there is exactly one."""
    found = {call.action for call in dependency_calls(route.dependant) if isinstance(call, Needs)}
    if len(found) != 1:
        named = ", ".join(sorted(found)) or "none"
        raise ActionMissing(
            f"{sorted(route.methods or ())} {route.path} must name exactly one action, it names {named}"
        )
    (action,) = found
    return action


def dependency_calls(dependant: Dependant) -> Iterable[object]:
    """Everything that a route depends on, at any depth."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from dependency_calls(dependency)


def seal(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Add the routers' routes, one by one, and check them all. Raises ActionMissing.

    They are added flat: what is not an ActionRoute (a mount, a web socket, a nested router) is refused,
    because the role check could not be seen to be there.
    """
    for router in routers:
        app.router.routes.extend(router.routes)
    for route in app.router.routes:
        if not isinstance(route, ActionRoute):
            raise ActionMissing(
                f"{getattr(route, 'path', route)} is a {type(route).__name__}, not an ActionRoute"
            )
        action_of(route)
