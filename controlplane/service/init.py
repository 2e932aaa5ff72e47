"""`controlplane init`: make a site. Apart from the server, whose imports it does not need."""

from __future__ import annotations

import sys
from pathlib import Path

from airgap_bundle.keys import PublicKey
from controlplane.service import site as sites
from controlplane.service.enrolment import OperatorInvalid


def init(
    folder: Path, *, cloud: str, clouds_file: Path, operator: str, name: str | None, database_url: str
) -> None:
    """Make a site and say what to do next.

    `operator` is a public key line, or the path of a `.pub` file; without `name`, the operator is called
    as the key's comment says before its `@`.

    Raises SiteExists, FolderInUse, SiteInvalid, OperatorInvalid, KeyProblem, DatabaseUnusable.
    """
    path = Path(operator).expanduser()
    is_line = " " in operator.strip() and not path.exists()
    key = PublicKey.parse(operator, "--operator") if is_line else PublicKey.read(path)
    called = name or key.comment.partition("@")[0].lower()
    if not called:
        remedy = "Name the operator with --name."
        raise OperatorInvalid(operator="(none)", why="the key's comment gives no name", remedy=remedy)
    settings = {"database_url": database_url} if database_url else {}
    site = sites.create(
        folder, cloud=cloud, clouds_file=clouds_file, operator=key, operator_name=called, settings=settings
    )
    say(f"made the site {site.name} in {site.folder}")
    say(f"first operator: {called} ({key.fingerprint})")
    say(f"the plane's own key: {site.key().public.fingerprint}")
    say(f"next: controlplane serve --site {site.folder}")


def say(line: str) -> None:
    """Narrate on stderr; stdout is data."""
    print(line, file=sys.stderr, flush=True)
