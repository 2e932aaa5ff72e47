"""What can be wrong with a recipe, a lock, an upstream or what was collected, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from airgap_bundle.errors import InputProblem, StateProblem, printable


@dataclass(frozen=True)
class Wrong:
    """One thing wrong with a recipe, where it stands and what to do: `file:line: message. remedy`."""

    line: int
    message: str
    remedy: str
    column: int = 1

    def render(self, file: str) -> str:
        """The one sentence a person reads."""
        return f"{printable(file)}:{self.line}: {printable(self.message)}. {printable(self.remedy)}"


class RecipeInvalid(InputProblem):
    """A recipe that is not one; every finding names its line."""

    exit_code = 10
    message = "{summary}"
    hint = "{advice}"

    def __init__(self, file: str, findings: list[Wrong]) -> None:
        self.findings = sorted(findings, key=lambda f: (f.line, f.column))
        first = self.findings[0]
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        super().__init__(
            summary=f"{file}:{first.line}: {first.message}{more}",
            advice=first.remedy,
            file=file,
            findings=[vars(f) for f in self.findings],
        )


class LockInvalid(InputProblem):
    """A lock file that is not one."""

    exit_code = 11
    message = "the lock file {file} cannot be used: {why}"
    hint = "Lock the recipe again; a lock file is never written by hand."


class NotThere(InputProblem):
    """The recipe names something that does not exist, or is not what the recipe says."""

    exit_code = 13
    message = "{what}: {why}"
    hint = "{remedy}"


class NotAsLocked(InputProblem):
    """What was fetched is not what the lock names; it is thrown away."""

    exit_code = 14
    message = "{what} is not what the lock names: {why}"
    hint = "Do not use it. Find out who changed it, or lock the recipe again if the change is expected."


class NotVouched(InputProblem):
    """An upstream index is not signed by the keyring that the recipe names, or says something else."""

    exit_code = 15
    message = "{what} cannot be trusted: {why}"
    hint = "{remedy}"


class NotAirtight(InputProblem):
    """Something in the content would be looked for outside the bundle."""

    exit_code = 16
    message = "the content is not airtight: {path} {what}{more}"
    hint = "{remedy}"


class ToolMissing(StateProblem):
    """A program that a source needs is not installed."""

    exit_code = 36
    message = "{tool} is needed for {purpose}, and it is not installed"
    hint = "Install the package {package}."


class UpstreamFailed(StateProblem):
    """A program of the machine (apt, pip, skopeo) could not get what was asked."""

    exit_code = 37
    message = "{tool} could not {action}: {why}"
    hint = "{remedy}"


def not_there(what: object, why: str, remedy: str) -> NoReturn:
    """Raise NotThere."""
    raise NotThere(what=what, why=why, remedy=remedy) from None
