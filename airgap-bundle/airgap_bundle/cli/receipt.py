"""`airgap-bundle receipt`: read, sign, verify and show receipts, as files and as QR codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Group, key_option, read_small, signer, write_new
from airgap_bundle.cli.kit import say
from airgap_bundle.keys import PublicKey

group = Group(
    "receipt",
    help="""Receipts: what is in the zone now, signed there and carried back out.

    The zone's people sign one, you verify it, and the next `build --receipt` leaves out all that it says is
    there.
    """,
)


@group.command("sign", example="airgap-bundle receipt sign receipt.json --key ~/.ssh/id_ed25519")
@click.argument("file", type=At())
@key_option
def sign(file: Path, key: str) -> None:
    """Add your signature to a receipt, after you have read it with `receipt show`."""
    from airgap_bundle.dsse import Envelope
    from airgap_bundle.durable import write_durably
    from airgap_bundle.receipt import KIND, WHAT, Receipt

    envelope = Envelope.parse(read_small(file), WHAT)
    if envelope.kind == KIND:
        Receipt.parse(envelope.payload)
    person = signer(key)
    write_durably(file, envelope.signed(person).render())
    say(f"{file}: signed by {person.public.fingerprint}")


@group.command("assemble", example="airgap-bundle receipt assemble anna.json beat.json --out receipt.json")
@click.argument("files", type=At(), nargs=-1, required=True)
@click.option("--out", type=At(), required=True, help="The file with all the signatures.")
def assemble(files: tuple[Path, ...], out: Path) -> None:
    """Merge copies of one receipt that were signed on separate machines."""
    from airgap_bundle.dsse import Envelope

    first, *others = [Envelope.parse(read_small(path), str(path)) for path in files]
    for path, other in zip(files[1:], others, strict=True):
        first = first.merged(other, str(path))
    write_new(out, first.render())
    say(f"{out}: {len(first.signatures)} signatures")


@group.command(
    "verify",
    example="airgap-bundle receipt verify receipt.json --signer anna.pub --signer beat.pub --threshold 2",
)
@click.argument("file", type=At())
@click.option(
    "--signer", "signers", type=At(), multiple=True, required=True, help="A public key of the site; repeat."
)
@click.option("--threshold", type=click.IntRange(1), default=1, show_default=True, help="How many must sign.")
def verify(file: Path, signers: tuple[Path, ...], threshold: int) -> None:
    """Check that enough of the site's people signed a receipt, and show what it says."""
    from airgap_bundle import receipt

    keys = [PublicKey.read(path) for path in signers]
    read, signed = receipt.verify(read_small(file), keys, threshold)
    names = [f"{key.fingerprint} {key.comment}".strip() for key in signed]
    output.show({"signed_by": names, "digest": read.sha256, **json.loads(read.render())})


@group.command("show", example="airgap-bundle receipt show receipt.json")
@click.argument("file", type=At())
def show(file: Path) -> None:
    """Show what a receipt says. Nothing is verified."""
    from airgap_bundle.dsse import Envelope
    from airgap_bundle.receipt import WHAT, Receipt

    envelope = Envelope.parse(read_small(file), WHAT)
    read = Receipt.parse(envelope.payload)
    say("not verified: `airgap-bundle receipt verify` checks who signed it")
    claimed = list(envelope.signatures)
    output.show({"claims_to_be_signed_by": claimed, "digest": read.sha256, **json.loads(read.render())})


@group.command(
    "codes",
    example="""
    airgap-bundle receipt codes receipt.json
    airgap-bundle receipt codes receipt.json --html codes.html
    """,
)
@click.argument("file", type=At())
@click.option("--html", type=At(), help="Write a page to print instead.")
@click.option("--text", is_flag=True, help="Print the codes' text instead of drawing them.")
def codes(file: Path, html: Path | None, text: bool) -> None:
    """Draw a receipt as QR codes, for a phone or a scanner on the other side."""
    import segno

    from airgap_bundle.dsse import Envelope
    from airgap_bundle.receipt import WHAT, to_codes

    data = read_small(file)
    Envelope.parse(data, WHAT)
    texts = to_codes(data)
    if text:
        print("\n".join(texts))
        return
    drawn = [segno.make(one, error="m", micro=False) for one in texts]
    if html:
        from airgap_bundle.cli.codes_page import page

        write_new(html, page(file.name, texts, drawn).encode())
        say(f"{html}: {len(drawn)} codes")
        return
    for number, one in enumerate(drawn, 1):
        print(f"{number} of {len(drawn)}")
        one.terminal(out=sys.stdout, compact=True)


@group.command("read", example="airgap-bundle receipt read scanned.txt --out receipt.json")
@click.argument("file", type=At(), default="-")
@click.option("--out", type=At(), required=True, help="The receipt file.")
def read(file: Path, out: Path) -> None:
    """Put scanned QR codes together: a text file (or stdin) with one code a line, in any order."""
    from airgap_bundle.receipt import from_codes

    text = sys.stdin.read() if str(file) == "-" else read_small(file).decode("utf-8", "replace")
    write_new(out, from_codes([line for line in text.splitlines() if line.strip()]))
    say(f"{out}: complete; `airgap-bundle receipt verify` checks who signed it")
