"""Routes under /v1/tenants: specs and plans, the lifecycle, hand-over and certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from controlplane.access.roles import Action, Requester
from controlplane.service.drafts import SpecText
from controlplane.service.lifecycle import Lifecycle
from controlplane.service.plans import Plans
from controlplane.service.problems import document
from controlplane.service.questions import Questions
from controlplane.service.routing import Router, needs
from controlplane.tenants.schema import render

Name = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$")]


class Body(BaseModel):
    """Closed: an unknown member is refused."""

    model_config = ConfigDict(extra="forbid")


class Spec(Body):
    """A tenant spec as it stands in a file."""

    text: str
    """The file's content, YAML."""
    file: Annotated[str, Field(min_length=1, max_length=255)] = "spec.yaml"
    """Its name, for errors."""


class Specs(Body):
    """One or more specs; each gets its own answer."""

    specs: Annotated[list[Spec], Field(min_length=1, max_length=500)]


class ApplySpecs(Specs):
    """Specs to apply."""

    accept: list[Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]] = []
    """Digests (12 or more digits) of the plans that a person saw and accepts; then only these are applied."""


class Retirement(Body):
    """How to retire."""

    grace_seconds: Annotated[int, Field(ge=0, le=315_360_000)] | None = None
    """Until erasure is allowed; the site's grace period when absent."""


def router(
    plans: Plans, lifecycle: Lifecycle, questions: Questions, plane_key: PrivateKey, cloud: Mapping[str, str]
) -> Router:
    """The routes. `cloud` has what people need to log in: `auth_url` and `region`."""
    routes = Router(prefix="/v1", tags=["tenants"])

    @routes.get("/tenants", dependencies=[needs(Action.READ)])
    def list_tenants() -> list[dict[str, Any]]:
        """All tenants with their state; erased ones too."""
        return questions.all()

    @routes.get("/tenants/{tenant}", dependencies=[needs(Action.READ)])
    def show_tenant(tenant: str) -> dict[str, Any]:
        """One tenant: state, spec, quota numbers, resources with identifiers, last jobs."""
        return questions.show(tenant)

    @routes.get("/drift", dependencies=[needs(Action.READ)])
    def drift_of_all() -> list[dict[str, Any]]:
        """Compare every applied tenant with OpenStack, in one look."""
        return questions.drift([])

    @routes.get("/tenants/{tenant}/drift", dependencies=[needs(Action.READ)])
    def drift(tenant: str) -> list[dict[str, Any]]:
        """Compare one tenant with OpenStack."""
        return questions.drift([tenant])

    @routes.post("/tenants/validate", dependencies=[needs(Action.VALIDATE)])
    def validate(body: Specs) -> list[dict[str, Any]]:
        """Check specs against their schema, themselves and the site. Nothing is stored."""
        return _answers(plans.validate(_texts(body)))

    @routes.post("/tenants/plan")
    def plan(body: Specs, requester: Annotated[Requester, needs(Action.PLAN)]) -> list[dict[str, Any]]:
        """What applying the specs would change. The plans are kept and can be accepted by digest."""
        return _answers(plans.plan(_texts(body), requester.name))

    @routes.post("/tenants/apply", status_code=202)
    def apply(body: ApplySpecs, requester: Annotated[Requester, needs(Action.APPLY)]) -> list[dict[str, Any]]:
        """Apply specs: a job for each that calls for changes."""
        return _answers(plans.apply(_texts(body), requester, body.accept))

    @routes.post("/tenants/{tenant}/suspend", status_code=202)
    def suspend(tenant: str, requester: Annotated[Requester, needs(Action.SUSPEND)]) -> dict[str, Any]:
        """Stop access and servers; what ran is remembered."""
        return lifecycle.begin(tenant, "suspend", requester.name, {})

    @routes.post("/tenants/{tenant}/resume", status_code=202)
    def resume(tenant: str, requester: Annotated[Requester, needs(Action.RESUME)]) -> dict[str, Any]:
        """Let people in again and start what ran before."""
        return lifecycle.begin(tenant, "resume", requester.name, {})

    @routes.post("/tenants/{tenant}/retire", status_code=202)
    def retire(
        tenant: str, body: Retirement, requester: Annotated[Requester, needs(Action.RETIRE)]
    ) -> dict[str, Any]:
        """Suspend until erased or restored; the grace period begins."""
        seconds = body.grace_seconds
        grace = int(lifecycle.grace.total_seconds()) if seconds is None else seconds
        return lifecycle.begin(tenant, "retire", requester.name, {"grace_seconds": grace})

    @routes.post("/tenants/{tenant}/restore", status_code=202)
    def restore(tenant: str, requester: Annotated[Requester, needs(Action.RESTORE)]) -> dict[str, Any]:
        """Bring a retired tenant back."""
        return lifecycle.begin(tenant, "restore", requester.name, {})

    @routes.post("/tenants/{tenant}/erase", status_code=202)
    def erase(tenant: str, requester: Annotated[Requester, needs(Action.ERASE)]) -> dict[str, Any]:
        """Delete everything the tenant has, after its grace period, and certify it."""
        return lifecycle.begin(tenant, "erase", requester.name, {})

    @routes.post("/tenants/{tenant}/handover", dependencies=[needs(Action.HANDOVER)])
    def handover(tenant: str) -> list[dict[str, Any]]:
        """A signed package for each tenant manager, its secrets sealed to the manager's key."""
        return lifecycle.handover(tenant, plane_key, cloud)

    @routes.get("/tenants/{tenant}/certificate", dependencies=[needs(Action.READ)])
    def certificate(tenant: str) -> dict[str, Any]:
        """The newest erasure certificate and its signature (SSHSIG)."""
        return questions.certificate(tenant)

    @routes.get("/schema/tenant", dependencies=[needs(Action.READ)])
    def schema() -> Response:
        """The JSON Schema of a tenant spec."""
        return Response(render(), media_type="application/schema+json")

    return routes


def _texts(body: Specs) -> list[SpecText]:
    return [SpecText(spec.text, spec.file) for spec in body.specs]


def _answers(answers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems as documents: each spec has its own answer, so the whole is a success."""
    return [
        answer | {"problem": document(problem)}
        if isinstance(problem := answer.get("problem"), Problem)
        else answer
        for answer in answers
    ]
