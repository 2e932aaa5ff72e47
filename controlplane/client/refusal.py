"""What can come back instead of an answer."""

from __future__ import annotations

from typing import Any

from airgap_bundle.errors import PlaneUnreachable, Problem


class Refusal(Problem):
    """The plane's own words: a problem document (RFC 9457) with its exit code and hint."""

    def __init__(self, document: dict[str, Any], status: int) -> None:
        self.document = document
        self.status = status
        """The HTTP status."""
        self.kind: str = str(document.get("type", "unknown"))
        """The stable name that scripts compare, such as `stale-plan`."""
        code = document.get("exit_code")
        self.exit_code = code if isinstance(code, int) and 0 < code < 128 else 1  # type: ignore[misc]
        super().__init__(text=document.get("detail") or document.get("title") or f"HTTP {status}")
        facts = document.get("facts")
        self.facts: dict[str, Any] = facts if isinstance(facts, dict) else {}

    @property
    def remedy(self) -> str:
        """What the plane advises."""
        return str(self.document.get("hint") or "")


class Unreachable(PlaneUnreachable):
    """Nobody answers where the plane should be."""

    message = "the plane does not answer at {where}: {why}"
    hint = "{remedy}"


class ReplyLost(PlaneUnreachable):
    """The connection broke after a change was sent: it may have been made, or not."""

    message = "the connection to {where} broke before the answer came: {why}; the request may have been done"
    hint = "Look at what is there now before you ask again."


class ReplyUnreadable(PlaneUnreachable):
    """Something answers that is not a plane."""

    message = "what answers at {where} is not a plane, or of another version: {why}"
    hint = "Check --socket and `controlplane --version`."
