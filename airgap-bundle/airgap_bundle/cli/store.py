"""`airgap-bundle store`: what is in a store, whether it is well, and what may go."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Group, bytes_progress, megabytes
from airgap_bundle.cli.kit import say

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


@group.command("list", example="airgap-bundle store list --store store/")
@store_option
def list_command(store: Path) -> None:
    """List the releases that are kept, complete."""
    from airgap_bundle.release import moment
    from airgap_bundle.store import Store

    rows = [
        {
            "bundle": kept.bundle,
            "sequence": kept.sequence,
            "created": moment(kept.release.created),
            "entries": kept.release.entries,
            "size": kept.release.size if output.for_programs() else megabytes(kept.release.size),
            "title": kept.release.title,
            "release": kept.digest,
        }
        for kept in Store.at(store).kept()
    ]
    columns = [(name.upper(), name) for name in ("bundle", "sequence", "created", "entries", "size", "title")]
    output.table(rows, columns, empty="no release is kept")


@group.command("path", example="airgap-bundle store path zone-updates 7 documents/readme.pdf --store store/")
@click.argument("bundle")
@click.argument("sequence", type=click.IntRange(1))
@click.argument("path")
@store_option
def path_command(bundle: str, sequence: int, path: str, store: Path) -> None:
    """Print where the content of an entry is."""
    from airgap_bundle.cli.problems import WrongInput
    from airgap_bundle.store import Store

    opened = Store.at(store)
    for entry in opened.release(bundle, sequence).content.entries:
        if entry.path == path:
            print(opened.path(entry.sha256))
            return
    raise WrongInput(
        what=f"{bundle} {sequence} has no entry {path}",
        remedy="`airgap-bundle diff` and the release's content.ndjson list the paths.",
    )


@group.command("forget", example="airgap-bundle store forget zone-updates 5 --store store/")
@click.argument("bundle")
@click.argument("sequence", type=click.IntRange(1))
@store_option
def forget(bundle: str, sequence: int, store: Path) -> None:
    """Keep a release no longer. Contents that no other release names go with the next `store gc`."""
    from airgap_bundle.store import Store

    Store.at(store).forget(bundle, sequence)
    say(f"{bundle} {sequence} is not kept any more; next: airgap-bundle store gc --store {store}")


@group.command("gc", example="airgap-bundle store gc --dry-run --store store/")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@store_option
def gc(dry_run: bool, store: Path) -> None:
    """Remove the contents that no kept release names. What an unfinished ingest needs stays."""
    from airgap_bundle import garbage
    from airgap_bundle.store import Store

    with bytes_progress("gc") as count:
        found = garbage.collect(Store.at(store), dry_run=dry_run, progress=count)
    if output.for_programs():
        objects = [{"sha256": sha256, "size": size} for sha256, size in found.objects]
        output.json({"dry_run": dry_run, "objects": objects, "size": found.size, "kept": found.kept})
        return
    verb = "would go" if dry_run else "went"
    print(
        f"{len(found.objects)} contents and {len(found.leftovers)} leftovers, {megabytes(found.size)}, {verb}"
    )
    print(f"{found.kept} contents, {megabytes(found.kept_size)}, stay")


@group.command("check", example="airgap-bundle store check --store store/")
@store_option
@click.pass_context
def check(context: click.Context, store: Path) -> None:
    """Hash every content again. Exit code 3 when one is damaged."""
    from airgap_bundle.store import Store
    from airgap_bundle.store_check import check as check_store

    with bytes_progress("check") as count:
        found = check_store(Store.at(store), progress=count)
    wrong = [{"sha256": one, "what": "damaged"} for one in found.damaged]
    wrong += [{"sha256": one, "what": "missing"} for one in found.missing]
    output.table(wrong, [("SHA-256", "sha256"), ("WHAT", "what")], empty="nothing is damaged or missing")
    say(f"{found.contents} contents, {megabytes(found.size)}, hashed")
    if wrong:
        say("next: airgap-bundle ingest MEDIUM --repair, with the bundle that brought them")
    context.exit(0 if found.well else 3)
