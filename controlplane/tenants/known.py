"""What exists, by address, while an apply runs: grows as outcomes come in."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from controlplane.tenants.facts import SiteFacts
from controlplane.tenants.observed import PLANE, View
from controlplane.tenants.ports import Outcome
from controlplane.tenants.resources import Fields, Kind


class Known:
    """The `Ids` that an apply hands to the cloud. Safe to share between threads."""

    def __init__(self, view: View, facts: SiteFacts) -> None:
        self.tenant = view.tenant
        self._site = facts
        self._lock = threading.Lock()
        self._ids = {address: o.id for address, o in view.resources.items()} | {PLANE: facts.plane_user_id}
        self._facts: dict[str, Fields] = {address: o.facts for address, o in view.resources.items()}
        self._passwords: dict[str, str] = {}

    def id(self, address: str) -> str:
        """The identifier at an address. Raises KeyError when it is not there."""
        with self._lock:
            return address[3:] if address.startswith("id:") else self._ids[address]

    def ids(self, kind: Kind) -> list[str]:
        """The identifiers of all of a kind, made a moment ago or before."""
        with self._lock:
            return [id_ for address, id_ in self._ids.items() if address.startswith(f"{kind}/")]

    def facts(self, address: str) -> Fields:
        """Parent identifiers and the like; empty when there are none."""
        with self._lock:
            return self._facts.get(address, {})

    def facility(self, kind: str, name: str) -> str:
        """The identifier of something the site has; `kind` is a field of SiteFacts. Raises KeyError."""
        if name.startswith("id:"):
            return name[3:]
        found: Mapping[str, object] = getattr(self._site, kind)
        value = found[name]
        return value if isinstance(value, str) else str(value.id)  # type: ignore[attr-defined]

    def password(self, user_address: str) -> str | None:
        """The password that this apply set for a user, while it is still in memory."""
        with self._lock:
            return self._passwords.get(user_address)

    def learn(self, address: str, outcome: Outcome) -> None:
        """Take in what an effect led to."""
        with self._lock:
            if outcome.id:
                self._ids[address] = outcome.id
                self._facts[address] = outcome.facts
            else:
                self._ids.pop(address, None)
            for secret in outcome.secrets:
                if "password" in secret.values:
                    self._passwords[secret.address] = secret.values["password"]
