"""The error tree: every problem a person can meet, what it says and what to do next.

    Problem
    ├── InputProblem        10-19   what was given is wrong; nothing was done
    ├── AccessRefused       20-29   who asked may not, or could not be recognised
    ├── StateProblem        30-39   what is there does not allow it now
    ├── BundleRefused       40-49   a bundle is not what was signed; 48 and 49: a log's proof is not one
    ├── CloudProblem        50-59   the cloud refused, failed or could not be reached
    ├── PlaneUnreachable    69      the daemon does not answer
    └── WaitingForPerson    75      nothing is wrong: a person has to agree first

Exit code 0 is success, 1 an unexpected fault in our own code, 2 wrong usage, 3 differences found (drift).
A subclass gives `exit_code`, `message` and `hint`; both texts are filled from the keyword arguments.
"""

from __future__ import annotations

from typing import Any, ClassVar


def printable(value: object) -> str:
    """`value` as one line of text with control characters escaped: data cannot forge lines or colours."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


class Problem(Exception):
    """Something went wrong that a person can understand and act on."""

    exit_code: ClassVar[int] = 1
    message: ClassVar[str] = "{text}"
    hint: ClassVar[str] = ""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self._filled(self.message))

    def _filled(self, template: str) -> str:
        return template.format_map({name: printable(value) for name, value in self.facts.items()})

    @property
    def remedy(self) -> str:
        """What to do next, one sentence; empty when there is nothing to advise."""
        return self._filled(self.hint)

    @classmethod
    def code(cls) -> str:
        """The stable name that scripts may compare, such as `stale-plan`."""
        name = cls.__name__
        return "".join(("-" if i and c.isupper() else "") + c.lower() for i, c in enumerate(name))


class InputProblem(Problem):
    """What was given is wrong; nothing was done."""

    exit_code = 10


class AccessRefused(Problem):
    """Who asked may not, or could not be recognised."""

    exit_code = 20


class StateProblem(Problem):
    """What is there does not allow it now."""

    exit_code = 30


class BundleRefused(Problem):
    """A bundle is not what was signed."""

    exit_code = 40


class CloudProblem(Problem):
    """The cloud refused, failed or could not be reached."""

    exit_code = 50


class PlaneUnreachable(Problem):
    """The daemon does not answer."""

    exit_code = 69


class WaitingForPerson(Problem):
    """Nothing is wrong: a person has to agree first."""

    exit_code = 75


class KeyProblem(InputProblem):
    """A key file or key line that cannot be used."""

    exit_code = 12
    message = "{where}: {why}"
    hint = "{remedy}"
