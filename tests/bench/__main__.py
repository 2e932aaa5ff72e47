"""`python -m tests.bench`: the plane beside the other ways to do the same work, on the same lab.

Every figure is of this machine and this run: compare within a table, not between runs. Nothing is asserted;
an aim that is not met is printed as such. docs/explanation/performance.md says what the figures mean.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.bench import drift, labs, provision, start
from tests.bench.tables import Report

PARTS = ("provision", "drift", "start", "all")
QUICK_TENANTS, QUICK_SIZES, QUICK_RUNS = 2, (1, 3), 5


def main(arguments: list[str]) -> int:
    """Run what was asked for, print the tables; 0 when all could be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("part", nargs="?", default="all", choices=PARTS)
    parser.add_argument("--tenants", type=int, default=20, help="for provision (default: 20)")
    parser.add_argument(
        "--most", type=int, default=drift.MOST, help="tenants of the largest drift check (default: 200)"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few tenants, without the slow tools: a smoke test"
    )
    parser.add_argument("--output", choices=("table", "json"), default="table", help="form of stdout")
    asked = parser.parse_args(arguments)
    report = Report()
    began = time.monotonic()
    report.note(f"{time.strftime('%Y-%m-%d')}, {labs.machine()}")
    if asked.part in ("start", "all"):
        start.bench(report, QUICK_RUNS if asked.quick else start.RUNS)
    if asked.part in ("provision", "all"):
        provision.bench(report, QUICK_TENANTS if asked.quick else asked.tenants, quick=asked.quick)
    if asked.part in ("drift", "all"):
        sizes = (asked.most // 4, asked.most // 2, asked.most)
        drift.bench(report, QUICK_SIZES if asked.quick else sizes)
    report.say(f"took {time.monotonic() - began:.0f} s")
    print(report.as_json() if asked.output == "json" else report.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
