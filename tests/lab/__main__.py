"""`python -m tests.lab …`: real parts on one machine, for tests, the demo and benchmarks."""

from __future__ import annotations

import argparse
import sys

from tests.lab.openstack import command, processes


def main(arguments: list[str]) -> int:
    """Run one command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    command.add_to(parser.add_subparsers(required=True, metavar="PART"))
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except processes.LabError as error:
        processes.narrate(f"error: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
