"""What every command of `controlplane` shares: the global options, and the settings that they make.

    group = Group("tenant", help="Tenants: what they should be and what they are.")

    @group.command("show", example="controlplane tenant show ministry")
    @click.argument("name")
    @pass_settings
    def show(settings: Settings, name: str) -> None:  # its docstring is its help
        output.show(settings.client.get(f"/v1/tenants/{segment(name)}"))

The kit that both programs stand on is `airgap_bundle.cli.kit`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import click

from airgap_bundle.cli import kit
from airgap_bundle.cli.kit import global_option

if TYPE_CHECKING:  # the client is imported when a command first calls the plane
    from controlplane.client import Client


@dataclass
class Settings(kit.Settings):
    """What the global options and the environment say."""

    output: str = field(default_factory=lambda: os.environ.get("CONTROLPLANE_OUTPUT", "table"))
    site: str | None = None
    socket: str | None = None
    url: str | None = field(default_factory=lambda: os.environ.get("CONTROLPLANE_URL") or None)
    ca_file: str | None = field(default_factory=lambda: os.environ.get("CONTROLPLANE_CA_FILE") or None)
    key: str | None = None
    _client: Client | None = field(default=None, init=False)

    @property
    def client(self) -> Client:
        """The signed connection to the plane, one for the whole command."""
        if self._client is None:
            from controlplane.client import Client

            url = self.url if self.socket is None and self.site is None else None
            self._client = Client(
                site=self.site,
                socket_path=self.socket,
                url=url,
                ca_file=self.ca_file,
                key=self.key,
                passphrase=kit.ask_passphrase if kit.has_terminal() else None,
            )
        return self._client

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()


pass_settings = click.make_pass_decorator(Settings)

_OUTPUT, *_REST = kit.common_options("CONTROLPLANE")
GLOBAL_OPTIONS: Sequence[click.Option] = (
    _OUTPUT,
    global_option("--site", metavar="FOLDER", help="The site's folder. [env: CONTROLPLANE_SITE]"),
    global_option("--socket", metavar="PATH", help="The plane's Unix socket. [env: CONTROLPLANE_SOCKET]"),
    global_option(
        "--url", metavar="URL", help="The plane over TCP, https://HOST:PORT. [env: CONTROLPLANE_URL]"
    ),
    global_option(
        "--ca-file",
        metavar="FILE",
        help="Authority that its certificate comes from. [env: CONTROLPLANE_CA_FILE]",
    ),
    global_option(
        "--key", metavar="FILE", help="Your private key. [env: CONTROLPLANE_KEY; else ~/.ssh/id_ed25519]"
    ),
    *_REST,
)


class Command(kit.Command):
    """A command of controlplane."""

    shared: ClassVar[Sequence[click.Option]] = GLOBAL_OPTIONS


class Group(kit.Group):
    """A noun of controlplane."""

    shared: ClassVar[Sequence[click.Option]] = GLOBAL_OPTIONS
    command_class = Command


class LazyGroup(kit.LazyGroup):
    """The root of controlplane."""

    shared: ClassVar[Sequence[click.Option]] = GLOBAL_OPTIONS
