"""`airgap-bundle carry` and `repair`: onto media, and back from damaged ones."""

from __future__ import annotations

from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Command, bytes_progress, megabytes
from airgap_bundle.cli.kit import ask_passphrase, has_terminal, say


@click.command(
    "carry",
    cls=Command,
    example="""
    airgap-bundle carry two/ --to /media/usb/
    airgap-bundle carry two/ --to /media/usb/ --volume-size fat32 --parity 20+2
    airgap-bundle carry two/ --to /media/dvd-1/ --volume-size dvd --volume 1 --parity volume
    """,
)
@click.argument("bundle", type=At())
@click.option("--to", type=At(), required=True, help="A folder on the medium; made if it is not there.")
@click.option(
    "--volume-size",
    metavar="SIZE",
    help="Cut into volumes: cd, dvd, dvd-dl, bd25, bd50, bd100, fat32, or such as 4.7GB or 2GiB.",
)
@click.option("--volume", type=click.IntRange(1), metavar="N", help="Write only this one, to its own medium.")
@click.option(
    "--parity",
    metavar="WISH",
    help="What may be lost: 20+2 (2 of each 22 blocks), `volume`, or such as 2-volumes.",
)
@click.option("--key", metavar="FILE", help="Sign SHA256SUMS, for who has only ssh-keygen.")
def carry(
    bundle: Path, to: Path, volume_size: str | None, volume: int | None, parity: str | None, key: str | None
) -> None:
    """Write a signed bundle to a medium, read it back, and compare.

    Besides the volumes it writes SHA256SUMS and a carry sheet to print.
    """
    from airgap_bundle import carry as carrying
    from airgap_bundle import carry_sheet
    from airgap_bundle.keys import PrivateKey
    from airgap_bundle.parity import read_wish
    from airgap_bundle.sizes import read_size

    person = (
        PrivateKey.load(Path(key).expanduser(), ask_passphrase if has_terminal() else None) if key else None
    )
    with bytes_progress("carry") as count:
        carried = carrying.carry(
            bundle,
            to,
            volume_size=read_size(volume_size) if volume_size else None,
            only=volume,
            parity=read_wish(parity) if parity else None,
            key=person,
            progress=count,
        )
    carry_sheet.write_sheets(carried, to)
    rows = [
        {"file": one.name, "size": one.size, "sha256": one.sha256, "kept": one.kept} for one in carried.files
    ]
    if output.for_programs():
        output.json({"to": str(to), "volumes": carried.volumes, "files": rows})
        return
    shown = [row | {"size": megabytes(one.size)} for row, one in zip(rows, carried.files, strict=True)]
    output.table(shown, [("FILE", "file"), ("SIZE", "size"), ("SHA-256", "sha256")])
    say(f"{to}: written and read back")
    say(f"next: print {to}/carry-sheet.html; on the other side: airgap-bundle verify {to} --trust TRUST")


@click.command(
    "repair",
    cls=Command,
    example="""
    airgap-bundle repair /media/usb/ --to mended/
    airgap-bundle repair /media/dvd-1/ /media/dvd-3/ --to mended/
    """,
)
@click.argument("paths", type=At(), nargs=-1, required=True)
@click.option("--to", type=At(), help="Folder for the mended volumes.")
@click.option("--in-place", is_flag=True, help="Mend the files where they are instead.")
def repair(paths: tuple[Path, ...], to: Path | None, in_place: bool) -> None:
    """Mend damaged or lost volumes by their parity. What it gives is verified like anything else."""
    from airgap_bundle import repair as repairing

    if (to is None) != in_place:
        raise click.UsageError("give either --to FOLDER or --in-place.")
    with bytes_progress("repair") as count:
        done = repairing.repair(paths, to, tell=lambda rows, of: count(rows * 2**20, of * 2**20))
    if output.for_programs():
        mended = [
            {"name": m.name, "path": str(m.path), "lost": m.lost, "ranges": m.ranges} for m in done.mended
        ]
        output.json({"mended": mended, "sound": done.sound, "parity_damaged": done.parity_damaged})
        return
    for one in done.mended:
        print(one)
    for name in done.sound:
        print(f"{name} needed nothing")
    if done.parity_damaged:
        say(f"{done.parity_damaged} blocks of parity are damaged themselves: make the parity again")
