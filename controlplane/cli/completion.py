"""`controlplane completion`: the shell's own completion, printed."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from controlplane.cli.base import Command
from controlplane.cli.root import root


@click.command(
    "completion",
    cls=Command,
    example="""
    controlplane completion bash > /etc/bash_completion.d/controlplane
    controlplane completion zsh > "${fpath[1]}/_controlplane"
    controlplane completion fish > ~/.config/fish/completions/controlplane.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for your shell.

    Write it where the shell looks for such scripts, as in the examples, and start a new shell.
    """
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    # The template, without click's check of the bash that runs now: the script may be for another machine.
    script = found(root, {}, "controlplane", "_CONTROLPLANE_COMPLETE")
    print(script.source_template % script.source_vars())
