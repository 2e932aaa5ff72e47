"""Airtight: nothing in the content resolves outside the bundle. Checked before signing.

    packages    each dependency of each .deb is in the bundle or in the declared base; an index vouches for it
    wheels      every requirement of every wheel is met for its target; pip, cut off from all indexes, agrees
    images      every blob that a manifest names is there; no layer is to be fetched from elsewhere
    texts       image references, Galaxy requirements, APT and pip sources, addresses in settings

What is found is a *leak*: path, line, what, and what to do. A recipe can declare what is inside the zone
(`inside`) and allow a finding with a reason (`allow`); the lock keeps both, so signers see them.
"""

from __future__ import annotations

from collections.abc import Sequence

from airgap_bundle.airtight import images, packages, texts, wheels
from airgap_bundle.airtight.leak import Leak, as_json, not_allowed
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources.errors import NotAirtight

__all__ = ["Leak", "as_json", "find", "refuse", "require"]


def find(lock: Lock, cache: Cache) -> list[Leak]:
    """Every leak in the content, by path. All that `lock` names is in the cache.

    Raises NotVouched: a package, wheel or manifest is damaged; ToolMissing: there is no pip.
    """
    leaks = [
        *packages.find(lock, cache),
        *wheels.find(lock, cache),
        *images.find(lock, cache),
        *texts.find(lock, cache),
    ]
    return sorted(not_allowed(leaks, lock.allow), key=lambda leak: (leak.path, leak.line, leak.what))


def require(lock: Lock, cache: Cache) -> None:
    """Return when the content is airtight. Raises NotAirtight with the findings in `facts`, NotVouched."""
    refuse(find(lock, cache))


def refuse(leaks: Sequence[Leak]) -> None:
    """Return when there is none. Raises NotAirtight with the findings in `facts`."""
    if leaks:
        more = f" (and {len(leaks) - 1} more)" if len(leaks) > 1 else ""
        first = leaks[0]
        raise NotAirtight(path=first.place, what=first.what, more=more, remedy=first.remedy, findings=leaks)
