"""What can be wrong with a tenant, a plan or a moment; each with its exit code and remedy."""

from __future__ import annotations

from dataclasses import dataclass

from airgap_bundle.errors import CloudProblem, InputProblem, StateProblem, WaitingForPerson, printable


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a spec, where it stands and what to do: `file:line: message. remedy`."""

    line: int
    message: str
    remedy: str
    column: int = 0
    path: str = ""

    def render(self, file: str) -> str:
        """The one sentence a person reads."""
        return f"{printable(file)}:{self.line}: {printable(self.message)}. {printable(self.remedy)}"


class SpecInvalid(InputProblem):
    """A tenant spec that is not one; every finding names its line."""

    exit_code = 10
    message = "{summary}"
    hint = "{advice}"

    def __init__(self, file: str, findings: list[Finding]) -> None:
        self.findings = findings
        first = findings[0]
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            summary=f"{file}:{first.line}: {first.message}{more}",
            advice=first.remedy,
            file=file,
            findings=[vars(f) for f in findings],
        )


class UnknownTenant(StateProblem):
    """No tenant of that name is known to the plane."""

    exit_code = 30
    message = "there is no tenant {tenant}"
    hint = "List the tenants with: controlplane tenant list"


class UnknownJob(StateProblem):
    """No job of that id is known to the plane."""

    exit_code = 30
    message = "there is no job {job}"
    hint = "List the jobs with: controlplane job list"


class NoCertificate(StateProblem):
    """The tenant was not erased, so nothing certifies it."""

    exit_code = 30
    message = "there is no erasure certificate for {tenant}"
    hint = "A tenant gets one when it is erased: controlplane tenant erase {tenant}"


class NoTenantManager(StateProblem):
    """Nobody is named who could be handed the tenant."""

    exit_code = 37
    message = "{tenant} has no tenant manager to hand it over to"
    hint = "Give a user of the spec tenant_manager: true and a public_key, and apply it."


class StalePlan(StateProblem):
    """The spec or the cloud moved since the plan was made."""

    exit_code = 31
    message = "the plan {digest} for {tenant} is stale: {moved}"
    hint = "Look at the new plan with: controlplane tenant plan, then apply that one."


class NotNow(StateProblem):
    """The tenant's state does not allow what was asked."""

    exit_code = 32
    message = "{tenant} is {state}: {verb} is not possible now"
    hint = "{remedy}"


class TenantBusy(StateProblem):
    """Another job works on the tenant."""

    exit_code = 33
    message = "job {job} ({verb}) is working on {tenant}"
    hint = "Follow it with: controlplane job follow {job}"


class NotOurs(StateProblem):
    """Something that the plane does not own is in the way; it is never touched."""

    exit_code = 34
    message = "{what} exists and is not owned by the plane"
    hint = "Choose another name in the spec, or have its owner remove it."


class InGrace(StateProblem):
    """The tenant may not be erased yet."""

    exit_code = 35
    message = "{tenant} is in grace until {until}; nothing was erased"
    hint = "Wait until then, or bring it back with: controlplane tenant restore {tenant}"


class NeedsAcceptance(WaitingForPerson):
    """A person has to accept exactly this plan, because something would be lost."""

    message = "the plan for {tenant} {consequence}; a person has to accept it"
    hint = "Read the plan, then run: {command}"


class CloudRefused(CloudProblem):
    """OpenStack understood and said no."""

    exit_code = 50
    message = "{service} refused to {action} {address}: {reason}"
    hint = "{remedy}"


class CloudUnavailable(CloudProblem):
    """OpenStack does not answer, or only with faults, after all retries."""

    exit_code = 51
    message = "{service} does not answer ({reason})"
    hint = "What was done is kept. Once {service} answers again, run the same command again."


class ApplyIncomplete(CloudProblem):
    """Some changes were made, some could not be; the rest can be applied again."""

    exit_code = 52
    message = "{done} of {total} changes made for {tenant}; {address}: {reason}"
    hint = "Mend the cause, then run the same apply again: it continues where it stopped."
