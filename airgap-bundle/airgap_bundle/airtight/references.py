"""Image references, and whether the bundle holds what they name.

    nginx:1.25   library/nginx:1.25   registry.zone/nginx:1.25   {{ registry }}/nginx@sha256:...

`nginx` and `library/nginx` are one name, as for every container tool; a name with a domain is another one. A
registry inside the zone, or one that is a template, holds what the bundle brings: then only the rest of the
name counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from airgap_bundle.airtight.leak import Inside
from airgap_bundle.sources.oci import Locked

_TEMPLATE = re.compile(r"\{\{.*?\}\}|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|%\([^)]*\)s")
_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9.-]+(?::[0-9]+)?(?:/[a-z0-9._-]+)*?)(?::(?P<tag>[A-Za-z0-9_\x00][A-Za-z0-9._\x00-]{0,127}))?"
    r"(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Images:
    """The images of a bundle."""

    images: tuple[Locked, ...]
    inside: Inside

    def why_not(self, text: str) -> str | None:
        """Why the bundle does not hold what `text` names, or None: it does, or nobody can tell."""
        # A template becomes one character that no name has.
        plain = _TEMPLATE.sub("\0", text.strip()).removeprefix("docker://").removeprefix("oci://")
        zone = False
        if plain.startswith("\0/"):
            plain, zone = plain[2:], True
        if plain.startswith("\0") or not plain:
            return None  # known only where it is used
        name, _, rest = plain.partition("\0")
        if rest and not name.endswith((":", "@")) and not name.endswith("@sha256:"):
            return None
        if rest or plain.endswith("\0"):
            plain = name.rstrip(":@").removesuffix("@sha256")
            any_tag = True
        else:
            any_tag = False
        found = _REFERENCE.fullmatch(plain)
        if found is None:
            return "is not an image reference"
        fitting = [image for image in self.images if self._same(found["name"], image, zone)]
        if not fitting:
            return "is not in the bundle"
        if any_tag:
            return None
        if found["digest"]:
            same = any(image.digest == found["digest"] for image in fitting)
            return None if same else "is in the bundle with another digest"
        tag = found["tag"] or "latest"
        if any(image.tag == tag for image in fitting):
            return None
        return f"is in the bundle as {_listed(image.tag or 'a digest' for image in fitting)}, not as {tag}"

    def _same(self, name: str, image: Locked, zone: bool) -> bool:
        domain, path = _split(name)
        held_domain, held_path = _split(image.name)
        if zone or (domain and self.inside.holds(domain.partition(":")[0])):
            return path in (held_path, held_path.removeprefix("library/"), image.folder)
        return (domain or "", path) == (held_domain or "", held_path)


def _split(name: str) -> tuple[str, str]:
    """Domain and path; in a name without a domain, `library/` may be left out."""
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        domain, path = first, rest
    else:
        domain, path = "", name
    return domain, path if domain or "/" in path else f"library/{path}"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))
