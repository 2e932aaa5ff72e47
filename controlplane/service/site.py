"""A site: the folder that one plane lives in, its settings, and how it is made.

site.toml        settings; written last, so a folder that has it is a whole site
plane.db         the database (SQLite), unless database_url names another
plane_key        the plane's own Ed25519 key, and plane_key.pub
serve.lock       held while the daemon runs

# site.toml
name = "zone-a"
cloud = "lab"                              # a cloud in clouds_file
clouds_file = "/etc/openstack/clouds.yaml"
grace_days = 30                            # between retiring and erasing a tenant
"""

from __future__ import annotations

import fcntl
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from airgap_bundle.durable import sync_folder, write_durably
from airgap_bundle.errors import InputProblem, StateProblem
from airgap_bundle.keys import PrivateKey, PublicKey
from controlplane import places
from controlplane.access.roles import Role
from controlplane.access.signing import SOCKET_AUTHORITY
from controlplane.access.verification import Policy, names_of
from controlplane.service import enrolment
from controlplane.store import database

FIRST_ROLES = (Role.OPERATOR, Role.APPROVER, Role.SECURITY_OFFICER)
DATABASE_FILE = "plane.db"
KEY_FILE = "plane_key"
LOCK_FILE = "serve.lock"
OURS = re.compile(rf"{DATABASE_FILE}(-wal|-shm|-journal)?|{KEY_FILE}(\.pub)?|{LOCK_FILE}|\..*\.partial")
"""What an `init` that was cut short can leave behind."""
SOCKET_PATH_LIMIT = 107  # bytes, unix(7)


class SiteInvalid(InputProblem):
    """site.toml, or what was given for it, cannot be used."""

    exit_code = 13
    message = "{where}: {why}"
    hint = "{remedy}"


class SiteMissing(StateProblem):
    """There is no site in that folder."""

    exit_code = 30
    message = "there is no site in {folder}"
    hint = "Make one with `controlplane init --site {folder} ...`, or name another with --site."


class SiteExists(StateProblem):
    """`init` never touches a site that is there."""

    exit_code = 36
    message = "there is already a site in {folder}, for the cloud {cloud}; nothing was changed"
    hint = "Start it with `controlplane serve --site {folder}`, or choose another folder."


class FolderInUse(StateProblem):
    """The folder for a new site holds other things."""

    exit_code = 36
    message = "{folder} is not empty: it holds {found}"
    hint = "Choose an empty folder, or one that is not there yet."


class Overcommit(BaseModel):
    """How much more than what hosts have may be promised to tenants; 1.0 is no more."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpu: Annotated[float, Field(ge=1, le=64)] = 4.0
    ram: Annotated[float, Field(ge=1, le=8)] = 1.0
    disk: Annotated[float, Field(ge=1, le=8)] = 1.0


class Site(BaseModel):
    """Settings of a site; relative paths are relative to its folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """What this site is called: letters, digits and `-`."""
    cloud: Annotated[str, Field(min_length=1)]
    """The cloud's name in `clouds_file`."""
    clouds_file: Path
    """An OpenStack clouds.yaml with the plane's own login."""
    database_url: str = ""
    """Empty: SQLite, plane.db in the folder. `postgresql+psycopg://...` for several machines."""
    socket: Path | None = None
    """Empty: plane.sock in the folder; /run/controlplane/plane.sock for the site in /var/lib/controlplane."""
    socket_group: str | None = None
    """The Unix group that may connect; empty: the group that the daemon runs as."""
    tcp: str | None = None
    """HOST:PORT to listen on as well; empty: only the socket."""
    tls_certificate: Path | None = None
    """PEM certificate chain for `tcp`; without it, TCP is not encrypted and the daemon warns."""
    tls_key: Path | None = None
    """Its unencrypted PEM key."""
    names: tuple[str, ...] = ()
    """Values of Host, such as `plane.zone:8443`, that mean this plane besides `tcp` itself."""
    grace_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Days between retiring a tenant and the first moment it may be erased."""
    cloud_timeout_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """The longest wait for one answer of OpenStack."""
    quota_classes: Path | None = None
    """A YAML file of quota classes; empty: the built-in ones."""
    overcommit: Overcommit = Overcommit()
    """See below."""
    signature_window_seconds: Annotated[int, Field(ge=5, le=900)] = 60
    """How far a request's clock may be from the plane's, each way."""
    body_limit_bytes: Annotated[int, Field(ge=1024, le=256 * 1024 * 1024)] = 4 * 1024 * 1024
    """The largest body of a request."""

    @field_validator("tcp")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", value):
            raise ValueError("must be HOST:PORT")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Site:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_LIMIT:
            raise ValueError(
                f"socket is longer than {SOCKET_PATH_LIMIT} bytes, which the system does not allow"
            )
        return self

    @property
    def socket_path(self) -> Path:
        """Where the daemon listens."""
        return self.folder / self.socket if self.socket else places.default_socket(self.folder)

    @property
    def database(self) -> str:
        """The database's url."""
        return self.database_url or f"sqlite:///{self.folder / DATABASE_FILE}"

    @property
    def clouds_path(self) -> Path:
        """The file with the cloud's endpoints and credentials, absolute."""
        return self.folder / self.clouds_file

    @property
    def key_path(self) -> Path:
        """The plane's own private key."""
        return self.folder / KEY_FILE

    @property
    def grace(self) -> timedelta:
        """How long a retired tenant is kept."""
        return timedelta(days=self.grace_days)

    @property
    def policy(self) -> Policy:
        """What requests to this plane must satisfy."""
        names = [SOCKET_AUTHORITY, *self.names, *([self.tcp] if self.tcp else [])]
        return Policy(names_of(names), timedelta(seconds=self.signature_window_seconds))

    def key(self) -> PrivateKey:
        """The plane's own key. Raises KeyProblem."""
        return PrivateKey.load(self.key_path)

    @contextmanager
    def lock(self) -> Iterator[bool]:
        """Hold the site for one process; yields False when another has it. The kernel lets go at death."""
        with open(self.folder / LOCK_FILE, "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def load(folder: Path) -> Site:
    """Read the site in `folder`. Raises SiteMissing, SiteInvalid."""
    path = folder / places.SITE_FILE
    try:
        text = path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        raise SiteMissing(folder=folder) from None
    except (OSError, UnicodeDecodeError) as error:
        why = f"cannot be read ({getattr(error, 'strerror', None) or 'it is not UTF-8'})"
        raise SiteInvalid(where=path, why=why, remedy="Run as the user who made the site.") from None
    try:
        settings = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SiteInvalid(where=path, why=f"is not TOML: {error}", remedy="Mend that line.") from None
    return checked(path, {"folder": folder.absolute(), **settings})


def checked(where: Path | str, settings: dict[str, Any]) -> Site:
    """Settings as a Site. Raises SiteInvalid that names the first setting at fault."""
    try:
        return Site.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"])) or "settings"
        why = "there is no such setting" if first["type"] == "extra_forbidden" else first["msg"]
        raise SiteInvalid(
            where=where, why=f"{setting}: {why}", remedy="See docs/reference/site.md for all settings."
        ) from None


def create(
    folder: Path,
    *,
    cloud: str,
    clouds_file: Path,
    operator: PublicKey,
    operator_name: str,
    settings: dict[str, Any] | None = None,
) -> Site:
    """Make a site with its database, its key and its first operator.

    site.toml is written last. A crash before leaves a folder without it, and the same `init` again clears
    the pieces away and finishes; a crash after leaves a whole site.

    Raises SiteExists, FolderInUse, SiteInvalid, DatabaseUnusable, OperatorInvalid.
    """
    folder = folder.absolute()
    name = re.sub(r"[^a-z0-9-]+", "-", cloud.lower()).strip("-")[:63] or "site"
    given: dict[str, Any] = {
        "name": name,
        "cloud": cloud,
        "clouds_file": str(clouds_file.absolute()),
        **(settings or {}),
    }
    require_cloud(clouds_file, cloud)
    site = checked("init", {"folder": folder, **given})
    enrolment.checked_name(operator_name)
    refuse_existing(folder)
    make_folder(folder)
    with site.lock() as alone:
        if not alone:
            raise FolderInUse(folder=folder, found="a plane or an init that is running")
        clear(folder)
        folder.chmod(0o700)
        key = PrivateKey.generate(f"controlplane@{site.name}")
        write_durably(site.key_path, key.to_openssh(), 0o600)
        write_durably(site.key_path.with_suffix(".pub"), f"{key.public.line}\n".encode())
        if not site.database_url:
            os.close(os.open(folder / DATABASE_FILE, os.O_CREAT | os.O_WRONLY, 0o600))
        engine = database.connect(site.database)
        database.upgrade(engine)
        enrolment.enrol_first(engine, operator_name, FIRST_ROLES, operator, datetime.now(UTC))
        engine.dispose()
        sync_folder(folder)
        write_durably(folder / places.SITE_FILE, toml(given), 0o600)
    return load(folder)


def refuse_existing(folder: Path) -> None:
    """Raise SiteExists when there is a site."""
    if (folder / places.SITE_FILE).exists():
        raise SiteExists(folder=folder, cloud=load(folder).cloud)


def make_folder(folder: Path) -> None:
    """Make the folder, closed to others. Raises SiteInvalid."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot be made ({error.strerror})"
        raise SiteInvalid(where=folder, why=why, remedy="Choose another folder with --site.") from None


def clear(folder: Path) -> None:
    """Remove what an unfinished init left. Raises SiteExists, FolderInUse before it removes anything."""
    refuse_existing(folder)  # it may have been made while we waited for the lock
    names = sorted(path.name for path in folder.iterdir())
    if strange := [name for name in names if not OURS.fullmatch(name)]:
        raise FolderInUse(folder=folder, found=", ".join(strange[:3]) + (" ..." if strange[3:] else ""))
    for name in names:
        if name != LOCK_FILE:  # held right now
            (folder / name).unlink()


def require_cloud(clouds_file: Path, cloud: str) -> None:
    """Return when `clouds_file` describes `cloud`. Nothing is contacted. Raises SiteInvalid."""
    try:
        described = yaml.safe_load(clouds_file.read_text())
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise SiteInvalid(where=clouds_file, why=why, remedy="Name your clouds.yaml with --clouds.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise SiteInvalid(where=clouds_file, why="is not YAML", remedy="Name a clouds.yaml.") from None
    clouds = described.get("clouds") if isinstance(described, dict) else None
    if not isinstance(clouds, dict) or not clouds:
        raise SiteInvalid(where=clouds_file, why="describes no clouds", remedy="Name a clouds.yaml.")
    if cloud not in clouds:
        there = ", ".join(map(str, list(clouds)[:5]))
        raise SiteInvalid(
            where=clouds_file, why=f"has no cloud {cloud}", remedy=f"It has: {there}. Use --cloud."
        )


def toml(settings: dict[str, Any]) -> bytes:
    """Flat settings as TOML; its basic strings are JSON's, but for DEL, which does not occur in names."""
    import json

    head = "# A site of the control plane. docs/reference/site.md lists every setting.\n"
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items()]
    return (head + "".join(lines)).encode()
