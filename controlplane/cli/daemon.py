"""`controlplane init`, `serve` and `worker`: the commands that are the plane instead of calling it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click

from controlplane import places
from controlplane.cli.base import Command, Settings, pass_settings


def daemon(module: str) -> Any:
    """An entry point of the daemon, `controlplane.service.MODULE`.

    A face imports the client and nothing below it (the import contract says so), and a short command must
    not pay for the daemon's imports. These three commands only hand over, so they name the module by a
    string and import it when they run.
    """
    return import_module(f"controlplane.service.{module}")


def folder(settings: Settings) -> Path:
    """The site's folder."""
    return Path(settings.site).expanduser().absolute() if settings.site else places.site_folder()


@click.command(
    "init",
    cls=Command,
    example="""
    controlplane init --cloud zone --clouds /etc/openstack/clouds.yaml --operator ~/.ssh/id_ed25519.pub
    controlplane init --site /srv/zone --cloud zone --clouds clouds.yaml --operator "ssh-ed25519 AAAA... anna"
    """,
)
@click.option("--cloud", required=True, metavar="NAME", help="The cloud's name in the clouds file.")
@click.option(
    "--clouds", required=True, metavar="FILE", type=click.Path(path_type=Path), help="The clouds.yaml to use."
)
@click.option(
    "--operator",
    required=True,
    metavar="KEY",
    help="The first operator's public key: its line, or a .pub file.",
)
@click.option("--name", metavar="NAME", help="The first operator's name. [default: from the key's comment]")
@click.option(
    "--database", default="", metavar="URL", help="postgresql+psycopg://... [default: SQLite in the folder]"
)
@pass_settings
def init(
    settings: Settings, cloud: str, clouds: Path, operator: str, name: str | None, database: str
) -> None:
    """Make a site: its folder, database, key and first operator.

    The first operator has the roles to begin with: operator, approver and security officer. Enrol the
    others with `controlplane operator enrol`, then give up the roles that one person should not have alone.
    A site that is there is never touched. If init is cut short, run it again: it finishes.
    """
    daemon("init").init(
        folder(settings), cloud=cloud, clouds_file=clouds, operator=operator, name=name, database_url=database
    )


@click.command(
    "serve",
    cls=Command,
    example="""
    controlplane serve --site /srv/zone
    controlplane serve --tcp plane.zone:8443 --tls-cert plane.pem --tls-key plane.key
    """,
)
@click.option("--tcp", metavar="HOST:PORT", help="Listen there too; requests must name this HOST:PORT.")
@click.option(
    "--tls-cert", metavar="FILE", type=click.Path(path_type=Path), help="PEM certificate chain for --tcp."
)
@click.option("--tls-key", metavar="FILE", type=click.Path(path_type=Path), help="Its unencrypted PEM key.")
@click.option("--no-workers", is_flag=True, help="Only answer requests; `controlplane worker` does the work.")
@pass_settings
def serve(
    settings: Settings, tcp: str | None, tls_cert: Path | None, tls_key: Path | None, no_workers: bool
) -> None:
    """Run the daemon of a site in the foreground, until SIGTERM or SIGINT.

    It listens on the site's Unix socket, on TCP only with --tcp, runs the workers, and prints `ready` when
    it can be called. One daemon serves a site. If it dies, the next one takes up what it left.
    """
    daemon("server").serve(
        folder(settings), tcp=tcp, tls_certificate=tls_cert, tls_key=tls_key, workers=not no_workers
    )


@click.command("worker", cls=Command, example="controlplane worker --site /srv/zone")
@pass_settings
def worker(settings: Settings) -> None:
    """Run further workers of a site, until SIGTERM or SIGINT.

    `controlplane serve` already runs workers. More of them, on this machine or others, make sense when
    the site's database is PostgreSQL.
    """
    daemon("server").run_worker(folder(settings))
