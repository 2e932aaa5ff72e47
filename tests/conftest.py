"""Fixtures for every suite: the OpenStack lab and faults before it.

A test that uses `lab` or `faults` carries the marker `lab` by itself: `-m "not lab"` leaves it out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # imported where used: suites without the lab start faster
    from controlplane.adapters.openstack import OpenStack
    from controlplane.tenants.listing import Listing
    from tests.adapter.desk import Desk
    from tests.lab.faults import Faults
    from tests.lab.session import Lab


settings.register_profile("test", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "test"))


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The running OpenStack lab, shared by all processes of the session.

    One that runs already is used and left; one that the tests started is stopped at the end.
    """
    from tests.lab.session import lab_in_use

    with lab_in_use(_folder()) as running:
        yield running


@pytest.fixture
def faults(lab: Lab) -> Iterator[Faults]:
    """Proxies before each service of the lab, without rules yet; see `tests.lab.faults`."""
    with lab.faults() as proxies:
        yield proxies


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> Iterator[OpenStack]:
    """The adapter on the lab."""
    from controlplane.adapters.openstack import OpenStack

    with OpenStack(lab.cloud, str(lab.clouds_yaml)) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(cloud: OpenStack) -> Listing:
    """What the lab offers to all tenants."""
    from controlplane.tenants.listing import Scope

    return cloud.listing(Scope(frozenset()))


@pytest.fixture(scope="module")
def work(cloud: OpenStack, site: Listing) -> Iterator[Desk]:
    """A tenant with two projects, made through the adapter alone, for all tests of a module."""
    from tests.adapter.desk import desk

    with desk(cloud, site) as made:
        yield made


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of a fresh PostgreSQL."""
    from tests.lab.postgresql import running

    with running() as url:
        yield url


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "lab" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lab)


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # only the process that began the session ends it, after its workers
    if (_folder() / "started-by-tests").exists():
        from tests.lab.session import end_of_session

        end_of_session(_folder())


def _folder() -> Path:
    from tests.lab.openstack.layout import DEFAULT_FOLDER

    return Path(os.environ.get("LAB_OPENSTACK_DIR") or DEFAULT_FOLDER).resolve()
