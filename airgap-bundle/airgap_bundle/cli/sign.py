"""`airgap-bundle sign` and `assemble`: shares made on separate machines, merged into a signed bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from airgap_bundle.cli import kit
from airgap_bundle.cli.base import At, Command, key_option, read_small, signer, write_new
from airgap_bundle.cli.build import show_summary
from airgap_bundle.cli.kit import say

if TYPE_CHECKING:
    from airgap_bundle.build import Draft


@click.command(
    "sign",
    cls=Command,
    example="""
    airgap-bundle sign two/ --previous one/ --out anna.share
    airgap-bundle sign two/ --out beat.share --key SHA256:uDC4ag2WZAwCYnKDZ+9B9aQXVsLbbLhwXm3wVcVGZVI --yes
    """,
)
@click.argument("bundle", type=At())
@click.option("--out", type=At(), required=True, help="Your share: a small file to hand to who assembles.")
@click.option("--previous", type=At(), help="The folder of the bundle before, to compare with.")
@click.option("--yes", is_flag=True, help="You have seen the summary; do not ask.")
@key_option
def sign(bundle: Path, out: Path, previous: Path | None, yes: bool, key: str) -> None:
    """Look at a bundle's summary and sign it: its share goes to a file, the bundle stays as it is.

    Only metadata/ and targets/ are read, so those two folders are all that a signer needs to be given.
    """
    from airgap_bundle.build import read_draft
    from airgap_bundle.shares import sign_bundle

    draft = read_draft(bundle)
    show_summary(draft, read_draft(previous) if previous else None)
    if not yes:
        if not kit.has_terminal():
            raise click.UsageError("nobody is here to be asked; give --yes when the summary was read.")
        click.confirm("Sign this?", abort=True, err=True)
    share = sign_bundle(draft.metadata, newest_root(draft), signer(key))
    write_new(out, share.render())
    say(f"{out}: signed by {share.who}")


@click.command("assemble", cls=Command, example="airgap-bundle assemble two/ anna.share beat.share")
@click.argument("bundle", type=At())
@click.argument("shares", type=At(), nargs=-1, required=True)
def assemble(bundle: Path, shares: tuple[Path, ...]) -> None:
    """Merge the shares of all signers into the bundle; below the threshold nothing is changed."""
    from airgap_bundle.build import read_draft
    from airgap_bundle.durable import write_durably
    from airgap_bundle.shares import Share, merge_bundle, standing_of_bundle

    draft = read_draft(bundle)
    root = newest_root(draft)
    given = [Share.parse(read_small(path), str(path)) for path in shares]
    for line in standing_of_bundle(draft.metadata, given, root):
        say(line)
    signed = merge_bundle(draft.metadata, given, root)
    # targets first and timestamp last; crash between: some are signed, and to assemble again goes on
    for name in sorted(signed, key=lambda name: ("timestamp" in name, "snapshot" in name)):
        write_durably(bundle / name, signed[name])
    say(f"{bundle}: signed; next: airgap-bundle carry {bundle} --to MEDIUM")


def newest_root(draft: Draft) -> bytes:
    """The newest root of the chain in a bundle's folder."""
    from airgap_bundle.metadata import LIMITS, file_name, root_versions
    from airgap_bundle.metadata_source import FolderSource

    source = FolderSource(draft.folder)
    newest = root_versions(source.names())[-1]
    return source.read(file_name("root", newest), LIMITS["root"])
