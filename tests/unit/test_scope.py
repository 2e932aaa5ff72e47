"""What has to be looked at, and no more."""

from __future__ import annotations

from controlplane.tenants.listing import Scope
from controlplane.tenants.resources import Record
from controlplane.tenants.scope import scope_of
from tests.tenant_specs import ministry


def record(address: str) -> tuple[str, Record]:
    return address, Record(address, "x", {})


def test_what_cannot_be_listed_in_bulk_is_asked_for_by_name() -> None:
    assert scope_of("ministry", ministry(), {}) == Scope(
        tenants=frozenset({"ministry"}),
        keypair_users=frozenset({("ministry", "anna")}),
        credential_users=frozenset({("ministry", "robot")}),
        groups=frozenset({("ministry", "ops")}),
        flavors=frozenset({"f.db", "site.gpu"}),
        images=frozenset({"hospital-appliance"}),
        volume_types=frozenset({"gold", "vault-ssd"}),
    )


def test_what_the_spec_no_longer_names_is_asked_for_while_it_is_on_record() -> None:
    records = dict(
        record(address)
        for address in (
            "keypair/jonas/old",
            "application-credential/jonas/old",
            "group/old",
            "flavor-access/an old one/prod",
            "image-access/old 12/prod",
            "volume-type-access/old/prod",
            "network/prod/old",
        )
    )
    assert scope_of("ministry", None, records) == Scope(
        tenants=frozenset({"ministry"}),
        keypair_users=frozenset({("ministry", "jonas")}),
        credential_users=frozenset({("ministry", "jonas")}),
        groups=frozenset({("ministry", "old")}),
        flavors=frozenset({"an old one"}),
        images=frozenset({"old 12"}),
        volume_types=frozenset({"old"}),
        server_groups=False,
    )


def test_two_scopes_become_one_that_answers_both() -> None:
    one, two = scope_of("ministry", ministry(), {}), scope_of("hospital", None, dict([record("group/staff")]))
    both = one | two
    assert both.tenants == frozenset({"ministry", "hospital"})
    assert both.groups == {("ministry", "ops"), ("hospital", "staff")}
    assert both.flavors == one.flavors
    assert both.quotas


def test_everybody_and_somebody_is_everybody() -> None:
    everybody = Scope(quotas=False)
    assert (everybody | Scope(frozenset({"ministry"}), quotas=False)).tenants is None
    assert not (everybody | everybody).quotas
    assert (everybody | Scope()).quotas


def test_without_the_site_only_what_is_the_tenants_own_is_asked_for() -> None:
    own, site = scope_of("ministry", ministry(), {}, site=False), scope_of("hospital", None, {})
    assert not own.site
    assert own.server_groups
    assert (own | site).site
