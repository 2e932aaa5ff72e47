"""`airgap-bundle build`, `summary` and `attest`: from a lock to a bundle that is ready to be signed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import (
    At,
    Command,
    bytes_progress,
    key_option,
    megabytes,
    read_small,
    signer,
    write_new,
)
from airgap_bundle.cli.collect import cache_option
from airgap_bundle.cli.kit import say
from airgap_bundle.cli.problems import WrongInput

if TYPE_CHECKING:
    from airgap_bundle.build import Draft
    from airgap_bundle.travel import Held

EXPIRES_AFTER = 400
"""Days: a bundle a year, and a month to be late. Shorter windows brick sites, longer ones help a freeze."""


@click.command(
    "build",
    cls=Command,
    example="""
    airgap-bundle build november.lock --root root/ --sequence 1 --out one/
    airgap-bundle build december.lock --root root/ --previous one/ --out two/
    airgap-bundle build december.lock --root root/ --previous one/ --out two/ \\
        --receipt receipt.json --receipt-signer zone.pub --kept one/
    """,
)
@click.argument("lock", type=At())
@cache_option
@click.option("--root", "roots", type=At(), required=True, help="The folder of the root chain.")
@click.option("--out", type=At(), required=True, help="The bundle's new folder.")
@click.option("--previous", type=At(), help="The folder of the bundle before, sequence - 1.")
@click.option(
    "--sequence",
    type=click.IntRange(1),
    help="Its place in its stream. [default: one more than --previous, else 1]",
)
@click.option("--title", help="One line for people. [default: as the recipe says]")
@click.option("--expires-days", type=click.IntRange(1, 4000), default=EXPIRES_AFTER, show_default=True,
              help="After so many days, a site asks two people before it takes it.")  # fmt: skip
@click.option("--receipt", type=At(), help="Leave out what this receipt says is in the zone.")
@click.option("--receipt-signer", "signers", type=At(), multiple=True, help="Public key of the site; repeat.")
@click.option("--receipt-threshold", type=click.IntRange(1), default=1, show_default=True,
              help="How many of them must have signed the receipt.")  # fmt: skip
@click.option(
    "--kept", type=At(), multiple=True, help="Folder of a bundle that the receipt names as kept; repeat."
)
@click.option("--leaky", is_flag=True, help="Build also when something in it resolves outside of it.")
def build_command(
    lock: Path,
    cache: Path,
    roots: Path,
    out: Path,
    previous: Path | None,
    sequence: int | None,
    title: str | None,
    expires_days: int,
    receipt: Path | None,
    signers: tuple[Path, ...],
    receipt_threshold: int,
    kept: tuple[Path, ...],
    leaky: bool,
) -> None:
    """Make an unsigned bundle of a lock and its cache.

    The same lock, root and options give the same bytes. With a receipt, what its kept releases hold does not
    travel, and large images travel as deltas.
    """
    from airgap_bundle import airtight
    from airgap_bundle import build as building
    from airgap_bundle.cache import Cache
    from airgap_bundle.lock import Lock
    from airgap_bundle.release import Base
    from airgap_bundle.sbom import sbom
    from airgap_bundle.travel import Wanted

    pinned = Lock.parse(read_small(lock, 256 * 1024 * 1024), str(lock))
    before = building.read_draft(previous) if previous else None
    number = sequence or (before.release.sequence + 1 if before else 1)
    contents = Cache(cache)

    def find(sha256: str) -> Path:
        if not (path := contents.path(sha256)).exists():
            raise KeyError(sha256)
        return path

    base: Base | None = None
    held: Held | None = None
    if receipt:
        base, held = _held(receipt, signers, receipt_threshold, kept, find)
    plan = building.Plan(
        bundle=pinned.bundle,
        sequence=number,
        title=title or pinned.title,
        created=pinned.created,
        next_expected=pinned.next_expected,
        expires=pinned.created + timedelta(days=expires_days),
        previous=before.release if before else None,
        base=base,
    )
    if not leaky:
        airtight.require(pinned, contents)
    items = [*pinned.items, sbom(pinned, contents)]
    wanted = [Wanted(item.path, item.sha256, item.size, item.type) for item in items]
    with bytes_progress("build") as count:
        release = building.build(plan, wanted, find, _chain(roots), out, held, count)
    say(
        f"{out}: {release.bundle} {release.sequence}, {release.entries} entries, {megabytes(release.size)}; "
        f"{megabytes(release.carried)} travel"
    )
    say(f"next: airgap-bundle summary {out}; then each signer: airgap-bundle sign {out} --out NAME.share")


def _chain(folder: Path) -> dict[int, bytes]:
    """The root chain of a ceremony's folder."""
    from airgap_bundle.metadata import LIMITS

    chain: dict[int, bytes] = {}
    while (path := folder / f"{len(chain) + 1}.root.json").exists():
        chain[len(chain) + 1] = read_small(path, LIMITS["root"])
    if not chain:
        raise WrongInput(what=f"{folder} has no 1.root.json", remedy="Make one: airgap-bundle root init.")
    return chain


def _held(
    receipt: Path, signers: tuple[Path, ...], threshold: int, kept: tuple[Path, ...], find: Any
) -> tuple[Any, Any]:
    """What the receipt says is there, by the folders of those bundles."""
    import hashlib

    from airgap_bundle import build as building
    from airgap_bundle import receipt as receipts
    from airgap_bundle.keys import PublicKey
    from airgap_bundle.metadata import RELEASE
    from airgap_bundle.release import Base
    from airgap_bundle.travel import Held

    if not signers:
        raise WrongInput(
            what="a receipt counts only with the keys of those who may sign it",
            remedy="Name them: --receipt-signer zone.pub.",
        )
    said, _ = receipts.verify(read_small(receipt), [PublicKey.read(path) for path in signers], threshold)
    if said.accepted is None:
        raise WrongInput(
            what="the receipt says that the zone has accepted nothing yet",
            remedy="Build without --receipt: everything travels.",
        )
    names = {one.release: one for one in said.kept}
    found = []
    for folder in kept:
        draft = building.read_draft(folder)
        if hashlib.sha256(draft.targets[RELEASE]).hexdigest() not in names:
            raise WrongInput(
                what=f"the receipt does not name sequence {draft.release.sequence} ({folder}) as kept",
                remedy="Leave it out, or give the bundle that was shipped.",
            )
        found.append(draft)
    found.sort(key=lambda draft: draft.release.sequence)
    if not found:
        raise WrongInput(
            what="no bundle that the receipt names as kept was given",
            remedy="Name the folders of those that were shipped: --kept.",
        )
    base = Base(said.sha256, said.accepted.sequence)
    return base, Held([draft.content for draft in found], find)


@click.command("summary", cls=Command, example="airgap-bundle summary two/ --previous one/")
@click.argument("bundle", type=At())
@click.option("--previous", type=At(), help="The folder of the bundle before, to compare with.")
def summary_command(bundle: Path, previous: Path | None) -> None:
    """Show what a signer is about to sign, and what it changes."""
    from airgap_bundle.build import read_draft

    draft = read_draft(bundle)
    show_summary(draft, read_draft(previous) if previous else None)


def show_summary(draft: Draft, before: Draft | None) -> None:
    """Print the summary of a bundle."""
    from airgap_bundle.summary import summary

    said = summary(draft, before.content if before else None)
    if output.for_programs():
        output.json(said)
        return
    carried, size = megabytes(said["carried"]), megabytes(said["size"])
    print(f"{said['bundle']} {said['sequence']}  {said['title']}")
    print(f"{len(draft.content.entries)} entries, {size}; {carried} travel")
    print(f"created {said['created']}, next expected {said['next_expected']}, expires {said['expires']}")
    base = said["base"]
    if base:
        print(f"stands on sequence {base['sequence']} (receipt {base['receipt'][:16]}...)")
    else:
        print("stands on nothing: a full bundle")
    print()
    parts = [one | {"size": megabytes(one["size"])} for one in said["parts"]]
    columns = [(name.upper(), name) for name in ("part", "entries", "size", "new", "changed", "gone", "same")]
    output.table(parts, columns)
    print()
    for one in said["attestations"]:
        keys = ", ".join(one["keys"])
        print(f"{one['part']}: {one['team']} vouches ({one['says']}), by {keys}, not verified here")
    print(f"release  {spaced(said['release'])}")
    print(f"signing  {spaced(said['signing'])}")


def spaced(digest: str) -> str:
    """A digest in groups that can be read aloud."""
    return " ".join(digest[at : at + 8] for at in range(0, len(digest), 8))


@click.command(
    "attest",
    cls=Command,
    example="airgap-bundle attest two/ --part apt --team packages --says 'tested on staging'",
)
@click.argument("bundle", type=At())
@click.option("--part", help="The part: apt, pypi, images ...")
@click.option("--team", help="Who vouches for it.")
@click.option("--says", help="What was done, one line.")
@click.option("--out", type=At(), help="Write the attestation there, and leave the bundle as it is.")
@click.option("--add", type=At(), help="Add this attestation, made elsewhere, instead of making one.")
@key_option
def attest_command(
    bundle: Path,
    part: str | None,
    team: str | None,
    says: str | None,
    out: Path | None,
    add: Path | None,
    key: str,
) -> None:
    """Vouch for a part of a bundle that nobody has signed yet."""
    from airgap_bundle import attest as attesting
    from airgap_bundle.build import WrongAttestation, add_attestation, read_draft

    if add:
        say(f"{bundle}: added as {add_attestation(bundle, read_small(add))}")
        return
    if not (part and team and says):
        raise click.UsageError("--part, --team and --says are needed (or --add FILE).")
    parts = read_draft(bundle).release.parts
    if part not in parts:
        raise WrongAttestation(part=part, why="there is no such part")
    made = attesting.attest(part, parts[part], team, says, signer(key)).render()
    if out:
        write_new(out, made)
        say(f"{out}: add it with `airgap-bundle attest {bundle} --add {out}`")
    else:
        say(f"{bundle}: added as {add_attestation(bundle, made)}")
