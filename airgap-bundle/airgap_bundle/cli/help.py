"""`airgap-bundle help` and `airgap-bundle completion`."""

from __future__ import annotations

import click

from airgap_bundle.cli.base import Command
from airgap_bundle.cli.root import root

FIRST_STEPS = """\
Outside, once:
  1. Each signer makes a key:         ssh-keygen -t ed25519
  2. Make the root, 2 of 3:           airgap-bundle root init --signer anna.pub --signer beat.pub \\
                                          --signer carla.pub --threshold 2 --out root/
  3. Two of them sign it:             airgap-bundle root sign root/1.root.json --key KEY --out anna.share
                                      airgap-bundle root assemble root/1.root.json anna.share beat.share
  4. Print its fingerprint:           airgap-bundle root sheet root/ --html sheet.html

Outside, for every bundle:
  5. Pin, fetch, check:               airgap-bundle lock recipe.yaml; collect; airtight
  6. Build:                           airgap-bundle build recipe.lock --root root/ --sequence 1 --out one/
  7. Each signer looks and signs:     airgap-bundle summary one/; airgap-bundle sign one/ --out anna.share
  8. Merge, then write the medium:    airgap-bundle assemble one/ *.share
                                      airgap-bundle carry one/ --to /media/usb

Inside, once:
  9. Trust that root:                 airgap-bundle trust init 1.root.json --fingerprint ... --trust trust/

Inside, for every bundle:
 10. Check it, take it in:            airgap-bundle verify /media/usb --trust trust/
                                      airgap-bundle ingest /media/usb --trust trust/ --store store/
"""

CODES = [
    ("0", "success"),
    ("1", "an unexpected fault in our own code, or the system refused (disk full, no permission)"),
    ("2", "wrong usage"),
    ("3", "differences found"),
    ("10-19", "what was given is wrong; nothing was done"),
    ("30-39", "what is there does not allow it now"),
    ("40", "malformed, or a file that does not belong to it"),
    ("41", "not signed by enough of those who count"),
    ("42", "expired, or later than the next one was due"),
    ("43", "older than what was accepted, or out of order"),
    ("44", "damaged: a digest or a length differs, a volume is cut"),
    ("45", "an earlier bundle, or a version of the root, is not here"),
    ("46-47", "a delta is malformed, or its base is not here"),
    ("48-49", "a checkpoint or proof is malformed, or does not verify"),
    ("75", "nothing is wrong: more volumes, shares or people are needed first"),
    ("130", "interrupted"),
    ("141", "nobody read stdout any more"),
]

TOPICS = ("exit-codes", "first-steps")
SHELLS = ("bash", "zsh", "fish")


@click.command("help", cls=Command, example="airgap-bundle help verify\nairgap-bundle help exit-codes")
@click.argument("words", nargs=-1, metavar="[COMMAND|TOPIC]...")
@click.pass_context
def help_command(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain a command or a topic. Topics: exit-codes, first-steps."""
    if words == ("exit-codes",):
        for code, meaning in CODES:
            print(f"  {code:<7}{meaning}")
        return
    if words == ("first-steps",):
        print(FIRST_STEPS, end="")
        return
    command: click.Command = root
    inner = click.Context(root, info_name="airgap-bundle", obj=context.obj)
    for word in words:
        found = command.get_command(inner, word) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"there is no command or topic {word!r}; topics: {', '.join(TOPICS)}")
        command = found
        inner = click.Context(command, info_name=word, parent=inner, obj=context.obj)
    print(command.get_help(inner))


@click.command(
    "completion",
    cls=Command,
    example="airgap-bundle completion bash > ~/.local/share/bash-completion/airgap-bundle",
)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for your shell."""
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None, shell
    print(maker(root, {}, "airgap-bundle", "_AIRGAP_BUNDLE_COMPLETE").source())
