"""Where a lab's parts are: one folder, one block of ports.

This module and `configuration` are read on both sides, by the tests' own Python and inside the
OpenStack environment, and therefore use the standard library only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
DEFAULT_FOLDER = CHECKOUT / ".lab" / "openstack"
CLOUD = "lab"
"""The cloud's name in `clouds.yaml`: the administrator, scoped to the project `admin`."""
SYSTEM_CLOUD = "lab-system"
"""The same administrator, scoped to the whole system."""

# Above 32767 Linux hands ports to clients, and a client of a closed port may then meet itself.
FIRST_PORT, LAST_PORT, BLOCK = 25_000, 32_600, 20
HOST = "127.0.0.1"
TOKEN_SECONDS = 86_400


@dataclass(frozen=True)
class Service:
    """One API service: its place in the block of ports, its catalog type and the path of its API."""

    name: str
    offset: int
    type: str
    path: str


SERVICES = {
    service.name: service
    for service in (
        Service("keystone", 0, "identity", "/v3"),
        Service("placement", 1, "placement", ""),
        Service("glance", 2, "image", ""),
        Service("neutron", 3, "network", ""),
        Service("nova", 4, "compute", "/v2.1"),
        Service("cinder", 5, "block-storage", "/v3"),
    )
}
ENGINES = ("nova", "cinder")
"""Services whose process also runs the workers behind the API; each says when they are ready."""

DATABASES = ("keystone", "placement", "glance", "neutron", "nova_api", "nova", "nova_cell0", "cinder")


@dataclass(frozen=True)
class Site:
    """One lab: its folder, the first port of its block, and the environment its services run in."""

    folder: Path
    port: int
    environment: Path
    token_seconds: int = TOKEN_SECONDS

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def databases(self) -> Path:
        return self.folder / "db"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def processes(self) -> Path:
        """One file a running service, and one an engine that is ready."""
        return self.folder / "pid"

    @property
    def images(self) -> Path:
        return self.folder / "glance" / "images"

    @property
    def clouds_yaml(self) -> Path:
        return self.folder / "clouds.yaml"

    @property
    def revocations(self) -> Path:
        """Touching this file makes every service forget the tokens it has validated."""
        return self.folder / "revocations"

    @property
    def complete(self) -> Path:
        """Exists once the databases are whole: a start that died earlier begins again from nothing."""
        return self.databases / ".complete"

    @property
    def ready(self) -> Path:
        """Exists once a start has finished, facilities and all."""
        return self.processes / "ready"

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    def service_port(self, name: str) -> int:
        return self.port + SERVICES[name].offset

    def root_url(self, name: str) -> str:
        """The service's address without a path: where it lists its API versions."""
        return f"http://{HOST}:{self.service_port(name)}"

    def url(self, name: str) -> str:
        """The service's address in the catalog."""
        return self.root_url(name) + SERVICES[name].path

    def database(self, name: str) -> Path:
        return self.databases / f"{name}.db"

    def database_url(self, name: str) -> str:
        return f"sqlite:///{self.database(name)}?timeout=60"

    def save(self) -> None:
        """Record the site in its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()
        }
        (self.folder / "lab.json").write_text(json.dumps(record, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Site | None:
        """The site recorded in `folder`, or None when there was never one."""
        try:
            record = json.loads((folder / "lab.json").read_text())
        except FileNotFoundError:
            return None
        return cls(
            folder=Path(record["folder"]),
            port=int(record["port"]),
            environment=Path(record["environment"]),
            token_seconds=int(record["token_seconds"]),
        )
