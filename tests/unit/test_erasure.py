"""In which order a tenant ends, and what its certificate says."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from controlplane.tenants.erasure import FORMAT, NOT_PROVEN, ORDER, certificate, stages
from controlplane.tenants.ports import Thing

NOW = datetime(2026, 5, 4, 3, 2, 1, 999, tzinfo=UTC)

BEFORE = [
    ("server", "floating-ip"),
    ("server", "port"),
    ("server", "volume"),
    ("floating-ip", "router"),
    ("route", "interface"),
    ("interface", "router"),
    ("interface", "subnet"),
    ("port", "subnet"),
    ("router", "network"),
    ("share", "network"),
    ("subnet", "network"),
    ("subnet", "subnet-pool"),
    ("subnet-pool", "address-scope"),
    ("port", "security-group"),
    ("server", "server-group"),
    ("snapshot", "volume"),
    ("backup", "volume"),
    ("volume", "volume-type"),
    ("flavor-access", "flavor"),
    ("volume-type-access", "volume-type"),
    ("application-credential", "user"),
    ("user", "domain"),
    ("group", "domain"),
    ("volume", "project"),
    ("network", "project"),
    ("image", "project"),
    ("project", "domain"),
]


@pytest.mark.parametrize(("first", "then"), BEFORE)
def test_nothing_goes_while_something_hangs_on_it(first: str, then: str) -> None:
    things = [Thing(then, "2", "a"), Thing(first, "1", "b")]
    assert [[t.kind for t in stage] for stage in stages(things)] == [[first], [then]]


def test_the_domain_is_the_last_of_all() -> None:
    assert ORDER[-1] == "domain"
    assert len(set(ORDER)) == len(ORDER)


def test_one_stage_has_all_of_a_kind_in_a_fixed_order() -> None:
    things = [Thing(kind, f"{kind}-{n}", f"n{n % 3}") for kind in ORDER for n in range(5)]
    given = list(things)
    random.Random(1).shuffle(given)
    assert stages(given) == stages(things)
    assert [stage[0].kind for stage in stages(given)] == list(ORDER)
    assert all([t.name for t in stage] == ["n0", "n0", "n1", "n1", "n2"] for stage in stages(given))


def test_a_kind_that_nobody_knows_goes_first() -> None:
    [first, _] = stages([Thing("server", "1", "a"), Thing("load-balancer", "2", "b")])
    assert first == [Thing("load-balancer", "2", "b")]


def test_nothing_to_erase_has_no_stage() -> None:
    assert stages([]) == []


# --- the certificate --------------------------------------------------------------------------------------

SERVER = Thing("server", "s-1", "web", "p-1")
PLAIN = Thing("volume", "v-1", "data", "p-1", {"encrypted": False})
SEALED = Thing("volume", "v-2", "vault", "p-1", {"encrypted": True})
NETWORK = Thing("network", "n-1", "app", "p-1")


def of(removed: list[Thing], left: list[Thing]) -> dict[str, object]:
    return certificate(
        "ministry", removed=removed, left=left, requested_by="olga", plane="ssh-ed25519 AAAA", at=NOW
    )


def test_a_certificate_says_who_what_and_when() -> None:
    assert of([NETWORK], []) == {
        "format": FORMAT,
        "tenant": "ministry",
        "erased_at": "2026-05-04T03:02:01+00:00",
        "requested_by": "olga",
        "plane_key": "ssh-ed25519 AAAA",
        "complete": True,
        "removed": [{"kind": "network", "id": "n-1", "name": "app", "project": "p-1"}],
        "left": [],
        "not_proven": [],
        "method": "each was deleted through the API of its service and then no longer listed by it",
    }


def test_what_is_still_there_is_left_and_not_removed() -> None:
    said = of([SERVER, NETWORK], [NETWORK])
    assert said["complete"] is False
    assert [thing["id"] for thing in said["removed"]] == ["s-1"]  # type: ignore[attr-defined]
    assert [thing["id"] for thing in said["left"]] == ["n-1"]  # type: ignore[attr-defined]


def test_data_that_was_not_encrypted_is_deleted_and_not_proven_erased() -> None:
    said = of([SERVER, PLAIN, SEALED, NETWORK], [])
    proofs = {entry["id"]: entry["why"] for entry in said["not_proven"]}  # type: ignore[attr-defined]
    assert proofs == {"s-1": NOT_PROVEN["server"], "v-1": NOT_PROVEN["volume"]}


def test_what_is_left_is_not_said_to_be_unproven() -> None:
    assert of([PLAIN], [PLAIN])["not_proven"] == []


@pytest.mark.parametrize("kind", NOT_PROVEN)
def test_whatever_holds_data_needs_a_proof(kind: str) -> None:
    assert kind in ORDER
    assert of([Thing(kind, "1", "a")], [])["not_proven"] != []
