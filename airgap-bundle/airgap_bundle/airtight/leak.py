"""What the airtight check finds, and what counts as inside the zone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase

from airgap_bundle.canonical import render
from airgap_bundle.recipe_parts import Allowed

ADDRESS = re.compile(
    r"\b((?:https?|ftp|git|ssh|oci|docker|rsync|git\+https?|git\+ssh)://[^\s'\"<>|\\)\]},]+)", re.IGNORECASE
)
_HOST = re.compile(r"^[^:]+://(?:[^/@]*@)?(\[[^]]*\]|[^/:?#]*)")


@dataclass(frozen=True)
class Leak:
    """Something in the content that would be looked for outside the bundle."""

    path: str
    """In the bundle; behind a `!`, the member of an archive."""
    line: int
    """0 when it is about the whole file."""
    what: str
    """Completes a sentence that begins with the path."""
    value: str
    """What is named there; `allow` in a recipe compares it."""
    remedy: str

    @property
    def place(self) -> str:
        """Path and line."""
        return f"{self.path}:{self.line}" if self.line else self.path


def as_json(leaks: Iterable[Leak]) -> bytes:
    """The findings for scripts: canonical JSON, format `airgap-bundle/airtight/1`."""
    return render({"findings": [asdict(leak) for leak in leaks], "format": "airgap-bundle/airtight/1"})


@dataclass(frozen=True)
class Inside:
    """Which hosts are inside the zone."""

    names: tuple[str, ...]

    def holds(self, host: str) -> bool:
        """Whether `host` (a name or an address, without a port) is inside, or this machine itself."""
        host = host.strip("[]").lower().rstrip(".")
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return host == "localhost" or any(host == n or host.endswith(f".{n}") for n in self.names)
        return (
            address.is_loopback
            or address.is_unspecified
            or any(_covers(name, address) for name in self.names)
        )

    def leads_out(self, address: str) -> bool:
        """Whether an address such as `https://host/path` names a host outside. A template is no host yet."""
        found = _HOST.match(address)
        host = found[1] if found else ""
        return bool(host) and "{" not in host and "$" not in host and not self.holds(host)


def _covers(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def not_allowed(leaks: Iterable[Leak], allowed: Iterable[Allowed]) -> list[Leak]:
    """Without those that the recipe allows."""
    known = list(allowed)
    return [
        leak
        for leak in leaks
        if not any(one.value == leak.value and fnmatchcase(leak.path, one.path) for one in known)
    ]
