"""`airgap-bundle store`: what is in a store, whether it is well, and what may go."""

from __future__ import annotations

import click

from airgap_bundle.cli.base import At, Group

store_option = click.option(
    "--store", type=At(), required=True, envvar="AIRGAP_BUNDLE_STORE",
    help="The store's folder. [env: AIRGAP_BUNDLE_STORE]",
)  # fmt: skip

group = Group(
    "store",
    help="""The store: contents by their SHA-256, and the releases that name them.

    What is readable in a store was verified when it came and was on the disk before it got its name.
    """,
)
