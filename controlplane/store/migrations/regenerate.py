"""Write the initial migration anew from the tables: `python -m controlplane.store.migrations.regenerate`.

Only until the first release: after that, sites have databases, and a change of tables is a new migration
(`--message "what changes"` writes its draft).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command

from controlplane.store.database import MIGRATIONS, alembic_config, connect, upgrade

INITIAL = MIGRATIONS / "versions" / "v0001_initial.py"


def main() -> int:
    """Write the file and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--message", help="write a further migration instead of the initial one anew")
    message: str | None = parser.parse_args().message
    number = 1 if message is None else len(list(INITIAL.parent.glob("v*.py"))) + 1
    if message is None:
        INITIAL.unlink(missing_ok=True)
    with TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{folder}/empty.db")
        if message is not None:
            upgrade(engine)
        with engine.begin() as connection:
            script = command.revision(
                alembic_config(connection),
                message or "Initial tables",
                autogenerate=True,
                rev_id=f"v{number:04d}",
            )
    written = Path(script.path)  # type: ignore[union-attr]
    if message is None:
        written = written.rename(INITIAL)
    for tool in (["format", "-q"], ["check", "-q", "--fix"]):
        subprocess.run([sys.executable, "-m", "ruff", *tool, str(written)], check=False)
    print(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
