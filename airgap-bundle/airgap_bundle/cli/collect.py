"""`airgap-bundle lock`, `collect` and `airtight`: from a recipe to contents at hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import (
    At,
    Command,
    bytes_progress,
    default_cache,
    megabytes,
    read_small,
    write_new,
)
from airgap_bundle.cli.kit import say
from airgap_bundle.errors import printable

LOCK_LIMIT = 256 * 1024 * 1024

cache_option = click.option(
    "--cache", type=At(), envvar="AIRGAP_BUNDLE_CACHE",
    default=default_cache, show_default="~/.cache/airgap-bundle",
    help="Folder of contents by digest; made if it is not there. [env: AIRGAP_BUNDLE_CACHE]",
)  # fmt: skip


@click.command("lock", cls=Command, example="airgap-bundle lock november.yaml   # writes november.lock")
@click.argument("recipe", type=At())
@cache_option
@click.option("--out", type=At(), help="The lock file. [default: beside the recipe, .lock]")
@click.option("--created", metavar="TIME", help="The bundle's date, 2026-11-23T10:00:00Z. [default: now]")
def lock(recipe: Path, cache: Path, out: Path | None, created: str | None) -> None:
    """Find out which files a recipe means today, and pin each by its digest.

    Uses this machine's own apt, pip and registry configuration, so a site's mirrors just work; the lock names
    packages, versions and digests and no addresses.
    """
    from airgap_bundle import lock as locking
    from airgap_bundle import recipe as recipes
    from airgap_bundle.cache import Cache
    from airgap_bundle.release import read_moment

    try:
        moment = read_moment(created) if created else datetime.now(UTC).replace(microsecond=0)
    except ValueError:
        raise click.UsageError("--created is not a time such as 2026-11-23T10:00:00Z.") from None
    out = out or recipe.with_suffix(".lock")
    pinned = locking.lock(recipes.read(recipe), Cache(cache), moment, say)
    write_new(out, pinned.render())
    say(f"{out}: {len(pinned.items)} files, {megabytes(pinned.size)}, digest {pinned.digest[:16]}")
    say(f"next: airgap-bundle collect {out}")


@click.command("collect", cls=Command, example="airgap-bundle collect november.lock")
@click.argument("lock", type=At())
@cache_option
@click.option("--folder", type=At(), help="Where the recipe's local files are. [default: the lock's folder]")
def collect(lock: Path, cache: Path, folder: Path | None) -> None:
    """Fetch what a lock pins into a cache. It can be stopped and started again."""
    from airgap_bundle import collect as collecting
    from airgap_bundle.cache import Cache
    from airgap_bundle.lock import Lock

    pinned = Lock.parse(read_small(lock, LOCK_LIMIT), str(lock))
    with bytes_progress("collect") as count:
        collecting.collect(pinned, Cache(cache), folder or lock.absolute().parent, progress=count)
    say(f"{cache}: has all {len(pinned.items)} files, {megabytes(pinned.size)}")
    say(f"next: airgap-bundle airtight {lock}; then airgap-bundle build {lock}")


@click.command("airtight", cls=Command, example="airgap-bundle airtight november.lock")
@click.argument("lock", type=At())
@cache_option
def airtight(lock: Path, cache: Path) -> None:
    """Prove that nothing in the content resolves outside of it.

    Dependencies of packages and wheels, images and their layers, image references, Galaxy requirements, APT
    and pip sources. `build` does it too. A recipe can allow a finding, with a reason that signers see.
    """
    from airgap_bundle import airtight as checking
    from airgap_bundle.cache import Cache
    from airgap_bundle.lock import Lock

    pinned = Lock.parse(read_small(lock, LOCK_LIMIT), str(lock))
    leaks = checking.find(pinned, Cache(cache))
    if output.for_programs():
        print(checking.as_json(leaks).decode())
    else:
        for leak in leaks:
            print(f"{printable(leak.place)} {printable(leak.what)}\n    {printable(leak.remedy)}")
    checking.refuse(leaks)
    say(f"airtight: nothing in {len(pinned.items)} files resolves outside")
