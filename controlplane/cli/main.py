"""Where the command `controlplane` begins. Imports nothing before it knows what is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from controlplane import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code (`controlplane help exit-codes`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"controlplane {__version__}")
        return 0
    from controlplane.cli.root import run

    return run(given)


if __name__ == "__main__":
    sys.exit(main())
