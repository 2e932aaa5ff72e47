"""The report of a verification: SPEC section 13's numbered checks, what each found, and the verdict.

    zone-updates 7 · November security updates
    release 5f0c…  root version 2, SHA256:uDC4…

      1  medium      passed       one container of 412 blobs and nothing else
      2  root        passed       versions 1 to 2, each signed by its own and the previous threshold
     ...
     11  blobs       FAILED       blob 9c1e… differs from what was signed
     12  contents    not checked  it stands on check 11 (blobs), which failed

    REFUSED at check 11 (blobs): blob 9c1e… differs from what was signed
    Write the medium again, or repair it with its parity.

The same facts come as text, as JSON and as one HTML file without any reference to the outside. Facts from a
bundle are data: control characters are escaped in all three, markup in HTML.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from airgap_bundle.canonical import render
from airgap_bundle.errors import Problem, WaitingForPerson, printable

FORMAT = "airgap-bundle/report/1"

CHECKS: Mapping[int, str] = MappingProxyType(
    {
        1: "medium",
        2: "root",
        3: "timestamp",
        4: "snapshot",
        5: "targets",
        6: "release",
        7: "content",
        8: "vouched",
        9: "order",
        10: "framing",
        11: "blobs",
        12: "contents",
    }
)
"""Number and name of every check, in the order in which they are made."""

STANDS_ON: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        1: (),
        2: (1,),
        3: (2,),
        4: (3,),
        5: (4,),
        6: (5,),
        7: (6,),
        8: (7,),
        9: (6,),
        10: (7,),
        11: (7,),
        12: (11,),
    }
)
"""What a check takes for granted: it is not made when one of these failed."""

NEEDED = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 11})
"""Checks without which a bundle is *incomplete*: 9 needs a past and 12 a base, which an auditor may lack."""

Progress = Callable[[int, int], None]
"""Told now and then: bytes done, bytes in all."""


class Result(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


class Verdict(StrEnum):
    """What the checks add up to."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    INCOMPLETE = "incomplete"


class Check(NamedTuple):
    """One check and what it found."""

    number: int
    result: Result
    text: str
    """One sentence without its full stop."""
    remedy: str = ""
    """For a failed check: what to do next."""

    @property
    def name(self) -> str:
        """What the check is called in SPEC section 13."""
        return CHECKS[self.number]


class Signer(NamedTuple):
    """A key whose signature was verified and counted."""

    role: str
    """root, targets, snapshot, timestamp, or the team of an attestation."""
    key: str
    """The fingerprint as `ssh-keygen -l` prints it: SHA256:…"""
    name: str = ""
    """The comment of the key, if known. Says who, proves nothing."""


@dataclass
class Report:
    """Collects what the checks find; every later word on a check replaces the earlier one."""

    bundle: str = ""
    """The stream's name; empty until the signed release manifest has said it."""
    sequence: int | None = None
    title: str = ""
    release: str = ""
    """SHA-256 of release.json."""
    root_version: int | None = None
    root_fingerprint: str = ""
    signers: list[Signer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What a person should know although no check failed, such as that the next bundle is overdue."""
    problem: Problem | None = None
    """The first failed check's problem."""
    _made: dict[int, Check] = field(default_factory=dict)

    def passed(self, number: int, text: str) -> None:
        """Check `number` was made and found what was signed; `text` is one sentence without its full stop."""
        self._made[number] = Check(number, Result.PASSED, printable(text))

    def failed(self, number: int, problem: Problem) -> None:
        """Check `number` was made and refused the bundle."""
        if self.problem is None:
            self.problem = problem
        text = printable(problem).rstrip(".")
        self._made[number] = Check(number, Result.FAILED, text, printable(problem.remedy))

    def skipped(self, number: int, why: str) -> None:
        """Check `number` could not be made, or not for all; `why` is one sentence without its full stop."""
        self._made[number] = Check(number, Result.NOT_CHECKED, printable(why))

    def note(self, text: str) -> None:
        """Tell a person something that is not the matter of a check. Said once, however often it is told."""
        if (line := printable(text)) not in self.notes:
            self.notes.append(line)

    @contextmanager
    def checking(self, number: int) -> Iterator[None]:
        """Record a Problem raised inside as the failure of check `number`, and let it go on."""
        try:
            yield
        except Problem as problem:
            self.failed(number, problem)
            raise

    @property
    def checks(self) -> list[Check]:
        """All checks in order; those that nobody spoke of are *not checked*, and say on what they wait."""
        first = next((n for n in CHECKS if self._result(n) is Result.FAILED), None)
        return [self._made.get(number) or self._unmade(number, first) for number in CHECKS]

    @property
    def verdict(self) -> Verdict:
        """Refused when a check failed, incomplete when a needed one was not made, else accepted."""
        results = {number: self._result(number) for number in CHECKS}
        if Result.FAILED in results.values():
            return Verdict.REFUSED
        if any(results[number] is not Result.PASSED for number in NEEDED):
            return Verdict.INCOMPLETE
        return Verdict.ACCEPTED

    @property
    def exit_code(self) -> int:
        """0 when accepted, the problem's when refused, 75 when a person has to bring what is missing."""
        if self.verdict is Verdict.REFUSED and self.problem is not None:
            return self.problem.exit_code
        return 0 if self.verdict is Verdict.ACCEPTED else WaitingForPerson.exit_code

    @property
    def sentence(self) -> str:
        """The verdict and why, one sentence without its full stop."""
        checks = self.checks
        if failed := next((c for c in checks if c.result is Result.FAILED), None):
            return f"REFUSED at check {failed.number} ({failed.name}): {failed.text}"
        if self.verdict is Verdict.INCOMPLETE:
            missing = next(c for c in checks if c.number in NEEDED and c.result is not Result.PASSED)
            return f"INCOMPLETE at check {missing.number} ({missing.name}): {missing.text}"
        left = [str(c.number) for c in checks if c.result is Result.NOT_CHECKED]
        but = f", but check {' and '.join(left)} could not be made" if left else ""
        return f"ACCEPTED: what is here is what was signed{but}"

    @property
    def remedy(self) -> str:
        """What to do next; empty when there is nothing to advise."""
        return next((c.remedy for c in self.checks if c.result is Result.FAILED), "")

    def to_value(self) -> dict[str, Any]:
        """The report as SPEC section 13 gives it."""
        return {
            "bundle": self.bundle or None,
            "checks": [
                {"name": c.name, "number": c.number, "result": str(c.result), "text": c.text}
                | ({"remedy": c.remedy} if c.remedy else {})
                for c in self.checks
            ],
            "format": FORMAT,
            "notes": list(self.notes),
            "release": self.release or None,
            "root": {"fingerprint": self.root_fingerprint or None, "version": self.root_version},
            "sequence": self.sequence,
            "signers": [{"key": s.key, "name": printable(s.name), "role": s.role} for s in self.signers],
            "verdict": str(self.verdict),
        }

    def to_json(self) -> bytes:
        """The report as canonical JSON, one line with its end."""
        return render(self.to_value()) + b"\n"

    def to_text(self, *, colour: bool = False, width: int = 100) -> str:
        """The report for a terminal of `width` columns; every state is a word, colour only underlines it."""
        lines = [*self._heading(), ""]
        for check in self.checks:
            word = check.result.upper() if check.result is Result.FAILED else str(check.result)
            begin = f" {check.number:2}  {check.name:<10}  "
            indent = " " * (len(begin) + 13)
            body = _wrap(check.text, width, indent)
            body += _wrap(check.remedy, width, indent) if check.remedy else []
            lines.append(begin + _painted(f"{word:<13}", check.result, colour) + body[0])
            lines += [indent + line for line in body[1:]]
        if self.signers:
            lines += ["", "Signed by"]
            lines += [f"  {s.role:<10}  {s.key}  {printable(s.name)}".rstrip() for s in self.signers]
        if self.notes:
            lines += ["", *(line for note in self.notes for line in _wrap(f"Note: {note}", width, ""))]
        lines += ["", _painted(self.sentence, self.verdict, colour)]
        if self.remedy:
            lines.append(self.remedy)
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """The report as one HTML file that needs nothing else; see `report_html`."""
        from airgap_bundle.report_html import page  # only who asks for HTML pays for it

        return page(self)

    def _heading(self) -> list[str]:
        if not self.bundle:
            return ["A bundle that did not get as far as saying its name"]
        title = f" · {printable(self.title)}" if self.title else ""
        lines = [f"{printable(self.bundle)} {self.sequence}{title}", f"release {self.release}"]
        if self.root_version is not None:
            lines.append(f"root version {self.root_version}, {self.root_fingerprint}")
        return lines

    def _result(self, number: int) -> Result:
        made = self._made.get(number)
        return made.result if made else Result.NOT_CHECKED

    def _unmade(self, number: int, first_failed: int | None) -> Check:
        waiting = list(STANDS_ON[number])
        while waiting:
            below = waiting.pop()
            if self._result(below) is Result.FAILED:
                why = f"it stands on check {below} ({CHECKS[below]}), which failed"
                return Check(number, Result.NOT_CHECKED, why)
            waiting += STANDS_ON[below]
        if first_failed is not None:
            why = f"the work ended at check {first_failed} ({CHECKS[first_failed]}), which failed"
            return Check(number, Result.NOT_CHECKED, why)
        return Check(number, Result.NOT_CHECKED, "the work ended before it")


def _wrap(text: str, width: int, indent: str) -> list[str]:
    room = max(width - len(indent), 24)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


_COLOURS = {
    "passed": "32",
    "accepted": "32;1",
    "failed": "31;1",
    "refused": "31;1",
    "not checked": "33",
    "incomplete": "33;1",
}


def _painted(text: str, state: str, colour: bool) -> str:
    return f"\x1b[{_COLOURS[state]}m{text}\x1b[0m" if colour else text
