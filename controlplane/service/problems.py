"""Problems as HTTP answers: RFC 9457 documents with our exit codes in them.

    HTTP/1.1 409 Conflict
    Content-Type: application/problem+json

    {"type": "stale-plan", "title": "The spec or the cloud moved since the plan was made.",
     "detail": "the plan 3f2a for ministry is stale: network/prod/app changed",
     "hint": "Look at the new plan with: controlplane tenant plan, then apply that one.",
     "exit_code": 31, "facts": {"digest": "3f2a", "tenant": "ministry", "moved": "..."}}

| Exit code | Status |
|---|---|
| 10-19 | 422, a body too large 413 |
| 20-24 | 401 |
| 25-29 | 403 |
| 30 | 404 |
| 31-39, 75 | 409 |
| 40-49 | 422 |
| 50-59 | 502 |
| anything else | 500 |
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airgap_bundle.errors import InputProblem, Problem, StateProblem, printable

log = logging.getLogger("controlplane.service")

MEDIA_TYPE = "application/problem+json"
ACCEPT_SIGNATURE = (
    'controlplane=("@method" "@authority" "@path" "@query" "content-digest");'
    'created;keyid;alg="ed25519";nonce;tag="controlplane-v1"'
)
"""RFC 9421 section 5.1: what a request must be signed with."""


class RequestInvalid(InputProblem):
    """The request's path, query or body does not fit the route."""

    exit_code = 11
    message = "{where}: {why}"
    hint = "See docs/reference/api.md, or GET /v1/openapi.json."


class UnknownPath(StateProblem):
    """There is no such route."""

    exit_code = 30
    message = "there is no {method} {path}"
    hint = "See docs/reference/api.md, or GET /v1/openapi.json. The plane may be of an older version."


class Unexpected(Problem):
    """A fault in our own code."""

    exit_code = 1
    message = "the plane met an unexpected fault; its log has the details under the reference {reference}"
    hint = "Give the reference to whoever runs the plane."


def status_of(problem: Problem) -> int:
    """The HTTP status for a problem, by the class of its exit code."""
    code = problem.exit_code
    if problem.code() == "body-too-large":
        return 413
    if 10 <= code <= 19 or 40 <= code <= 49:
        return 422
    if 20 <= code <= 24:
        return 401
    if 25 <= code <= 29:
        return 403
    if code == 30:
        return 404
    if 31 <= code <= 39 or code == 75:
        return 409
    return 502 if 50 <= code <= 59 else 500


def document(problem: Problem) -> dict[str, Any]:
    """The RFC 9457 members of a problem; facts only as far as JSON can say them."""
    made = {
        "type": problem.code(),
        "title": (type(problem).__doc__ or "").strip().splitlines()[0],
        "status": status_of(problem),
        "detail": str(problem),
        "hint": problem.remedy,
        "exit_code": problem.exit_code,
    }
    return (
        {**made, "facts": json.loads(json.dumps(problem.facts, default=printable))} if problem.facts else made
    )


def response(problem: Problem) -> Response:
    """The answer for a problem."""
    status = status_of(problem)
    headers = {"Cache-Control": "no-store"}
    if status == 401:
        headers["Accept-Signature"] = ACCEPT_SIGNATURE
    if status == 413:
        headers["Connection"] = "close"  # the rest of the body is not read
    return JSONResponse(document(problem), status, headers, MEDIA_TYPE)


async def respond(problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the answer for a problem, and log refusals: who knocks is worth knowing."""
    log.info("request.refused %s %s: %s", scope["method"], printable(scope["path"]), problem)
    await response(problem)(scope, receive, send)


async def unexpected(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Log a fault with its stack under a reference, and send only the reference."""
    await response(fault(error, scope["method"], scope["path"]))(scope, receive, send)


def fault(error: Exception, method: str, path: str) -> Unexpected:
    """Log a fault under a new reference."""
    problem = Unexpected(reference=secrets.token_hex(4))
    log.error(
        "request.failed %s %s reference=%s",
        method,
        printable(path),
        problem.facts["reference"],
        exc_info=error,
    )
    return problem


def invalid(error: RequestValidationError) -> RequestInvalid:
    """FastAPI's findings in our words; the first one, all of them among the facts."""
    findings = [{"where": ".".join(map(str, e["loc"])) or "request", "why": e["msg"]} for e in error.errors()]
    first = findings[0] if findings else {"where": "request", "why": "cannot be read"}
    return RequestInvalid(**first, findings=findings)


class Faults:
    """ASGI layer that turns what nobody foresaw into an answer without a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; a fault after the answer began closes the connection, so that it is not taken for whole."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await unexpected(error, scope, receive, send)


def install(app: FastAPI) -> None:
    """Make `app` answer every error in this form."""
    app.add_middleware(Faults)

    @app.exception_handler(Problem)
    async def _problem(request: Request, error: Problem) -> Response:
        return response(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return response(invalid(error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code in (404, 405):
            return response(UnknownPath(method=request.method, path=request.url.path))
        if error.status_code < 500:
            return response(RequestInvalid(where="request", why=str(error.detail)))
        return response(fault(error, request.method, request.url.path))
