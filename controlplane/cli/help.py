"""`controlplane help`: commands and topics."""

from __future__ import annotations

import click

from airgap_bundle import errors
from controlplane.cli.base import Command
from controlplane.cli.root import root

FIRST_STEPS = """\
1. Make a key, if you have none:      ssh-keygen -t ed25519
2. Make a site:                       controlplane init --cloud NAME --clouds clouds.yaml \\
                                          --operator ~/.ssh/id_ed25519.pub
3. Run the plane (it stays there):    controlplane serve
4. See that it knows you:             controlplane status
5. Write a tenant's spec, check it:   controlplane tenant validate ministry.yaml
6. See what would be done:            controlplane tenant plan ministry.yaml
7. Do it:                             controlplane tenant apply ministry.yaml
8. See whether it stayed so:          controlplane tenant drift ministry
"""

CODES = [
    ("0", "success"),
    ("1", "an unexpected fault in our own code, or the system refused (disk full, no permission)"),
    ("2", "wrong usage"),
    ("3", "differences found: drift"),
    ("10-19", "what was given is wrong; nothing was done"),
    ("20-29", "who asked may not, or could not be recognised"),
    ("30-39", "what is there does not allow it now"),
    ("40-47", "a bundle is not what was signed"),
    ("48-49", "a checkpoint or proof is malformed, or does not verify"),
    ("50-59", "the cloud refused, failed or could not be reached"),
    (str(errors.PlaneUnreachable.exit_code), "the daemon does not answer"),
    (str(errors.WaitingForPerson.exit_code), "nothing is wrong: a person has to agree first"),
    ("130", "interrupted"),
    ("141", "nobody read stdout any more"),
]

TOPICS = ("exit-codes", "first-steps")


@click.command("help", cls=Command, example="controlplane help tenant apply\ncontrolplane help exit-codes")
@click.argument("words", nargs=-1, metavar="[COMMAND|TOPIC]...")
@click.pass_context
def help_command(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain a command or a topic. Topics: exit-codes, first-steps."""
    if words == ("exit-codes",):
        print("Exit codes, by class (each one: docs/reference/exit-codes.md):\n")
        for code, meaning in CODES:
            print(f"  {code:<7}{meaning}")
        return
    if words == ("first-steps",):
        print(FIRST_STEPS, end="")
        return
    command: click.Command = root
    inner = click.Context(root, info_name="controlplane", obj=context.obj)
    for word in words:
        found = command.get_command(inner, word) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"there is no command or topic {word!r}; topics: {', '.join(TOPICS)}")
        command = found
        inner = click.Context(command, info_name=word, parent=inner, obj=context.obj)
    print(command.get_help(inner))
