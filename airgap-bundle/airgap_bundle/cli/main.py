"""Where the command `airgap-bundle` begins. Imports nothing before it knows what is asked."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airgap_bundle import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code (`airgap-bundle help exit-codes`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        print(f"airgap-bundle {__version__}")
        return 0
    from airgap_bundle.cli.root import run

    return run(given)


if __name__ == "__main__":
    sys.exit(main())
