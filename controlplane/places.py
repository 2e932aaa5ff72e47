"""Where things are, unless one says otherwise: for the daemon and for those who call it.

    What          Named by                                    Otherwise
    site folder   --site, $CONTROLPLANE_SITE                  /var/lib/controlplane for root,
                                                              ~/.local/state/controlplane for others
    socket        --socket, $CONTROLPLANE_SOCKET,             plane.sock in the site's folder,
                  `socket` in site.toml                       /run/controlplane/plane.sock for root's
    key           --key, $CONTROLPLANE_KEY                    ~/.ssh/id_ed25519

Standard library only: every command imports this.
"""

from __future__ import annotations

import os
from pathlib import Path

SITE_FILE = "site.toml"
SYSTEM_SITE = Path("/var/lib/controlplane")
SYSTEM_SOCKET = Path("/run/controlplane/plane.sock")
SOCKET_NAME = "plane.sock"


def site_folder() -> Path:
    """The site's folder when none is named on the command line."""
    if named := os.environ.get("CONTROLPLANE_SITE"):
        return Path(named).expanduser().absolute()
    if os.geteuid() == 0:
        return SYSTEM_SITE
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "controlplane"


def default_socket(folder: Path) -> Path:
    """The socket of the site in `folder`, unless its site.toml names another.

    A site's folder is closed to all but its owner; the system's site is for several people, so its socket
    is outside.
    """
    return SYSTEM_SOCKET if folder == SYSTEM_SITE else folder / SOCKET_NAME


def socket_path(site: str | None = None) -> Path:
    """The socket that a client calls: `$CONTROLPLANE_SOCKET`, or the site's, or the system's."""
    if site is None and (named := os.environ.get("CONTROLPLANE_SOCKET")):
        return Path(named).expanduser().absolute()
    folder = Path(site).expanduser().absolute() if site is not None else site_folder()
    socket = named_socket(folder) or default_socket(folder)
    if (
        site is None
        and "CONTROLPLANE_SITE" not in os.environ
        and not socket.exists()
        and SYSTEM_SOCKET.exists()
    ):
        return SYSTEM_SOCKET
    return socket


def named_socket(folder: Path) -> Path | None:
    """`socket` in the site's file, if it can be read and names one."""
    try:
        text = (folder / SITE_FILE).read_text()
    except OSError:
        return None
    if "socket" not in text:
        return None
    import tomllib  # here, because a short command seldom needs it

    try:
        named = tomllib.loads(text).get("socket")
    except tomllib.TOMLDecodeError:
        return None
    return folder / named if isinstance(named, str) else None


def key_path() -> Path:
    """The operator's private key when none is named on the command line."""
    return Path(os.environ.get("CONTROLPLANE_KEY") or "~/.ssh/id_ed25519").expanduser()
