"""`airgap-bundle root`: the ceremony. Who may sign, how many of them it takes, and how that changes.

A ceremony's folder holds the chain: 1.root.json, 2.root.json ... The newest may still lack signatures.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from airgap_bundle.cli import kit, output
from airgap_bundle.cli.base import At, Group, key_option, read_small, signer, write_new
from airgap_bundle.cli.kit import say
from airgap_bundle.cli.problems import WrongInput
from airgap_bundle.keys import PublicKey

if TYPE_CHECKING:
    from airgap_bundle.ceremony import Draft
    from airgap_bundle.metadata import Holders

ROOT_DAYS = 3650

group = Group(
    "root",
    help="""Who may sign bundles, and how many of them it takes.

    The root is made once, signed by shares on separate machines, and given to the zone by hand with its
    fingerprint read aloud. Later roots travel in the bundles.
    """,
)

expires_option = click.option(
    "--expires-days",
    type=click.IntRange(1, 20_000),
    default=ROOT_DAYS,
    show_default=True,
    help="Days until this root has to be followed by another.",
)


@group.command(
    "init",
    example="""
    airgap-bundle root init --signer anna.pub --signer beat.pub --signer carla.pub --threshold 2 --out root/
    airgap-bundle root init --holder a.pub --holder b.pub --signer c.pub --signer d.pub --out root/
    """,
)
@click.option("--signer", "signers", type=At(), multiple=True, required=True,
              help="Public key of someone who signs bundles; repeat.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(1), default=2, show_default=True,
              help="How many of them must sign a bundle.")  # fmt: skip
@click.option("--holder", "holders", type=At(), multiple=True,
              help="Public key of someone who signs roots; repeat. [default: the signers]")  # fmt: skip
@click.option(
    "--root-threshold", type=click.IntRange(1), help="How many must sign a root. [default: --threshold]"
)
@click.option("--out", type=At(), required=True, help="The ceremony's folder.")
@expires_option
def init(
    signers: tuple[Path, ...],
    threshold: int,
    holders: tuple[Path, ...],
    root_threshold: int | None,
    out: Path,
    expires_days: int,
) -> None:
    """Make the first root, not signed yet."""
    from airgap_bundle import ceremony
    from airgap_bundle.metadata import Holders

    people = tuple(PublicKey.read(path) for path in signers)
    root = tuple(PublicKey.read(path) for path in holders) or people
    roles = {"root": Holders(root, root_threshold or threshold), "targets": Holders(people, threshold)}
    _keep(ceremony.init(roles, _expiry(expires_days)), out)


@group.command(
    "rotate",
    example="""
    airgap-bundle root rotate root/ --replace carla-old.pub carla-new.pub
    airgap-bundle root rotate root/ --add targets dora.pub --threshold targets 3
    """,
)
@click.argument("folder", type=At())
@click.option(
    "--add", type=(str, At()), multiple=True, metavar="ROLE KEY", help="Add a key to root or targets."
)
@click.option("--remove", type=At(), multiple=True, metavar="KEY", help="Take a key out of all roles.")
@click.option(
    "--replace", type=(At(), At()), multiple=True, metavar="OLD NEW", help="Another key for someone."
)
@click.option("--threshold", type=(str, int), multiple=True, metavar="ROLE N", help="Another threshold.")
@expires_option
def rotate(
    folder: Path,
    add: tuple[tuple[str, Path], ...],
    remove: tuple[Path, ...],
    replace: tuple[tuple[Path, Path], ...],
    threshold: tuple[tuple[str, int], ...],
    expires_days: int,
) -> None:
    """Make the next root, to be signed by enough of the old one and of the new one."""
    from airgap_bundle import ceremony

    current = _newest(folder)[1]
    roles: dict[str, Holders] = ceremony.roles_of(current)
    for old, new in replace:
        roles = ceremony.replaced(roles, PublicKey.read(old), PublicKey.read(new))
    for role, path in add:
        roles = ceremony.added(roles, role, PublicKey.read(path))
    for path in remove:
        roles = ceremony.revoked(roles, PublicKey.read(path))
    for role, number in threshold:
        roles = ceremony.with_threshold(roles, role, number)
    _keep(ceremony.rotate(current, roles, _expiry(expires_days)), folder)


@group.command("revoke", example="airgap-bundle root revoke root/ carla.pub")
@click.argument("folder", type=At())
@click.argument("key", type=At())
@expires_option
def revoke(folder: Path, key: Path, expires_days: int) -> None:
    """Make the next root without a key that was lost or stolen.

    From the moment a zone sees it, signatures by that key count nowhere.
    """
    from airgap_bundle import ceremony

    current = _newest(folder)[1]
    _keep(ceremony.revoke(current, PublicKey.read(key), _expiry(expires_days)), folder)


@group.command("sign", example="airgap-bundle root sign root/1.root.json --out anna.share")
@click.argument("root", type=At())
@click.option("--out", type=At(), required=True, help="Your share: a small file to hand to who assembles.")
@click.option("--yes", is_flag=True, help="You have read it; do not ask.")
@key_option
def sign(root: Path, out: Path, yes: bool, key: str) -> None:
    """Read a root and sign it on your own machine; the root before it is looked for beside it."""
    from airgap_bundle import ceremony

    data, previous = _root_and_previous(root)
    for line in ceremony.show(data, previous):
        say(line)
    if not yes:
        if not kit.has_terminal():
            raise click.UsageError("nobody is here to be asked; give --yes when the root was read.")
        click.confirm("Sign this?", abort=True, err=True)
    share = ceremony.sign(data, previous, signer(key))
    write_new(out, share.render())
    say(f"{out}: signed by {share.who}")


@group.command("assemble", example="airgap-bundle root assemble root/1.root.json anna.share beat.share")
@click.argument("root", type=At())
@click.argument("shares", type=At(), nargs=-1, required=True)
def assemble(root: Path, shares: tuple[Path, ...]) -> None:
    """Merge the shares into the root; below a threshold nothing is changed."""
    from airgap_bundle import ceremony
    from airgap_bundle.durable import write_durably
    from airgap_bundle.shares import Share

    data, previous = _root_and_previous(root)
    given = [Share.parse(read_small(path), str(path)) for path in shares]
    signed = ceremony.assemble(data, given, previous)
    write_durably(root, signed)
    say(f"{root}: signed; SHA-256 {ceremony.fingerprint(signed)}")
    say(f"next: airgap-bundle root sheet {root} --html sheet.html")


@group.command("show", example="airgap-bundle root show root/")
@click.argument("root", type=At())
def show(root: Path) -> None:
    """Show who may sign, by a root's file or a ceremony's folder."""
    from airgap_bundle import ceremony

    data, previous = _root_and_previous(_newest(root)[0] if root.is_dir() else root)
    if output.for_programs():
        output.json(ceremony.describe(data, previous))
    else:
        print("\n".join(ceremony.show(data, previous)))


@group.command("sheet", example="airgap-bundle root sheet root/1.root.json --html sheet.html")
@click.argument("root", type=At())
@click.option("--html", type=At(), help="Write a page to print. [default: text on stdout]")
def sheet(root: Path, html: Path | None) -> None:
    """Make the fingerprint sheet that is compared aloud when a zone begins to trust this root."""
    from airgap_bundle import fingerprint_sheet
    from airgap_bundle.trusted_root import TrustedRoot

    data = TrustedRoot.parse(read_small(root), str(root)).data
    if html is None:
        print(fingerprint_sheet.text(data))
        return
    write_new(html, fingerprint_sheet.page(data).encode())
    say(f"{html}: print it, and give it by another way than the root itself")


def _expiry(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _keep(draft: Draft, folder: Path) -> None:
    """Write the unsigned root to its place in the chain."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{draft.version}.root.json"
    write_new(path, draft.data)
    for warning in draft.warnings:
        say(f"warning: {warning}")
    say(f"{path}: not signed yet")
    say(f"next, each on their own machine: airgap-bundle root sign {path} --out NAME.share")


def _newest(folder: Path) -> tuple[Path, bytes]:
    versions = sorted(
        int(path.name.partition(".")[0])
        for path in folder.glob("*.root.json")
        if path.name.partition(".")[0].isdecimal()
    )
    if not versions:
        raise WrongInput(what=f"{folder} holds no root", remedy="Make one: airgap-bundle root init.")
    path = folder / f"{versions[-1]}.root.json"
    return path, read_small(path)


def _root_and_previous(path: Path) -> tuple[bytes, bytes | None]:
    """A root, and the one before it in the same folder."""
    from airgap_bundle.shares import read_root

    data = read_small(path)
    version = read_root(data, str(path)).version
    before = path.with_name(f"{version - 1}.root.json")
    if version == 1:
        return data, None
    if not before.exists():
        raise WrongInput(
            what=f"{before.name} is not beside {path}",
            remedy="Put the root before it into the same folder: its holders must sign too.",
        )
    return data, read_small(before)
