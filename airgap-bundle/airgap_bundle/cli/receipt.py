"""`airgap-bundle receipt`: read, sign, verify and show receipts, as files and as QR codes."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from airgap_bundle.cli import output
from airgap_bundle.cli.base import At, Group, key_option, read_small, signer, write_new
from airgap_bundle.cli.kit import say
from airgap_bundle.cli.problems import WrongInput
from airgap_bundle.cli.trust import trust_option
from airgap_bundle.keys import PublicKey
from airgap_bundle.receipt import MOST_KEPT, OUTCOMES, QR_CHARACTERS

group = Group(
    "receipt",
    help="""Receipts: what is in the zone now, signed there and carried back out.

    The zone's people sign one, you verify it, and the next `build --receipt` leaves out all that it says is
    there.
    """,
)


@group.command(
    "draft",
    example="airgap-bundle receipt draft --store store/ --trust trust/ --site zone-geneva --out receipt.json",
)
@click.option("--store", type=At(), required=True, envvar="AIRGAP_BUNDLE_STORE", help="The store.")
@trust_option
@click.option("--site", required=True, help="The site's name, such as zone-geneva.")
@click.option("--outcome", type=click.Choice(OUTCOMES), default="accepted", show_default=True,
              help="What became of the newest bundle.")  # fmt: skip
@click.option("--remarks", default="", help="One line for the other side.")
@click.option("--checkpoint", type=At(), help="A checkpoint of the site's audit log, to be carried out too.")
@click.option("--out", type=At(), required=True, help="The receipt, to be signed.")
def draft(
    store: Path, trust: Path, site: str, outcome: str, remarks: str, checkpoint: Path | None, out: Path
) -> None:
    """Write what is in a store and accepted here as a receipt, not signed yet."""
    from airgap_bundle.receipt import Held, Receipt, envelope
    from airgap_bundle.store import Store
    from airgap_bundle.trust_state import TrustState

    past = TrustState.load(trust).past
    if past.bundle is None or not past.highest:
        raise WrongInput(what="nothing was accepted here yet", remedy="Ingest a bundle first.")
    kept = Store.at(store).kept(past.bundle)[-MOST_KEPT:]
    made = Receipt(
        site=site,
        bundle=past.bundle,
        outcome=outcome,
        accepted=Held(past.highest, past.accepted[past.highest].release),
        kept=tuple(Held(one.release.sequence, one.digest) for one in kept),
        created=datetime.now(UTC).replace(microsecond=0),
        remarks=remarks,
        checkpoint=read_small(checkpoint, 16_384).decode() if checkpoint else None,
    )
    Receipt.parse(made.render())  # a site's name or remarks that no reader would take are refused here
    write_new(out, envelope(made).render())
    say(f"{out}: names {len(made.kept)} kept releases; next: airgap-bundle receipt sign {out}")


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
@click.option("--characters", type=click.IntRange(40, 2000), default=QR_CHARACTERS, show_default=True,
              help="Most in one code: 120 fits a screen of 80x24.")  # fmt: skip
def codes(file: Path, html: Path | None, text: bool, characters: int) -> None:
    """Draw a receipt as QR codes, for a phone or a scanner on the other side."""
    import segno

    from airgap_bundle.dsse import Envelope
    from airgap_bundle.receipt import WHAT, to_codes

    data = read_small(file)
    Envelope.parse(data, WHAT)
    texts = to_codes(data, characters)
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
        one.terminal(out=sys.stdout, compact=True, border=2)


@group.command("read", example="airgap-bundle receipt read scanned.txt --out receipt.json")
@click.argument("file", type=At(), default="-")
@click.option("--out", type=At(), required=True, help="The receipt file.")
def read(file: Path, out: Path) -> None:
    """Put scanned QR codes together: a text file (or stdin) with one code a line, in any order."""
    from airgap_bundle.receipt import from_codes

    text = sys.stdin.read() if str(file) == "-" else read_small(file).decode("utf-8", "replace")
    write_new(out, from_codes([line for line in text.splitlines() if line.strip()]))
    say(f"{out}: complete; `airgap-bundle receipt verify` checks who signed it")
