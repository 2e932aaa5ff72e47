"""`controlplane serve` and `controlplane worker`: the daemon's processes.

The daemon holds the site's lock, brings the database forward, starts the workers, listens on the Unix
socket (and on TCP if asked), says it is ready, and on SIGTERM or SIGINT ends in the opposite order. Whatever
it was working on when it dies is in the database and is taken up by the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import signal
import socket
import ssl
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from airgap_bundle.errors import StateProblem
from controlplane import places
from controlplane.service import site as sites
from controlplane.service import wiring
from controlplane.service.app import build_app
from controlplane.service.site import Site, SiteInvalid
from controlplane.store.database import connect, require_current, upgrade

SOCKET_MODE = 0o660
GRACE_SECONDS = 10
"""How long open requests may go on after SIGTERM."""
BACKLOG = 512

Listener = tuple[socket.socket, ssl.SSLContext | None]

log = logging.getLogger("controlplane.service")


class AlreadyServing(StateProblem):
    """Another daemon has the site, or the socket."""

    exit_code = 38
    message = "another plane already serves {what}"
    hint = "Stop it first, or name another site with --site."


class CannotListen(StateProblem):
    """The socket cannot be made."""

    exit_code = 38
    message = "cannot listen on {where}: {why}"
    hint = "{remedy}"


class Server(uvicorn.Server):
    """uvicorn's server with two differences.

    Signals end it in peace: the workers are stopped after it, and the exit code is 0. And each socket has its
    own TLS, because the Unix socket has none.
    """

    def __init__(self, config: uvicorn.Config, listeners: Sequence[Listener]) -> None:
        super().__init__(config)
        self.listeners = listeners

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on every socket."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return H11Protocol(self.config, self.server_state, self.lifespan.state, loop)

        self.servers = [
            await loop.create_server(protocol, sock=listener, ssl=tls, backlog=BACKLOG)
            for listener, tls in self.listeners
        ]
        self.started = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the main loop; a second SIGINT does not wait for open requests."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def serve(
    folder: Path,
    *,
    tcp: str | None = None,
    tls_certificate: Path | None = None,
    tls_key: Path | None = None,
    workers: bool = True,
) -> None:
    """Run the daemon until SIGTERM or SIGINT. The options take the place of those in site.toml.

    Raises SiteMissing, SiteInvalid, AlreadyServing, CannotListen, DatabaseUnusable, DatabaseNotCurrent.
    """
    configure_logging()
    site = with_options(sites.load(folder), tcp, tls_certificate, tls_key)
    with site.lock() as alone:
        if not alone:
            raise AlreadyServing(what=f"the site in {folder}")
        engine = connect(site.database)
        upgrade(engine)
        parts = wiring.build(site)
        app = build_app(site, parts.routers, engine)
        with contextlib.ExitStack() as stack:
            listeners: list[Listener] = []
            listeners.append((stack.enter_context(unix_socket(site.socket_path, site.socket_group)), None))
            if site.tcp:
                tls = tls_context(site)
                listeners.append((stack.enter_context(tcp_socket(site.tcp, tls)), tls))
            if workers:
                parts.start()
                stack.callback(stop_and_leave, parts)
            asyncio.run(listen(app, site, listeners))
            notify("STOPPING=1")
            say("stopping: no more requests; workers finish their step")
    say("stopped")


def stop_and_leave(parts: wiring.Parts) -> None:
    """Stop the workers. With unfinished jobs the process ends right here: the next start resumes them."""
    if not parts.stop():
        say("stopped; unfinished jobs go on at the next start")
        sys.stderr.flush()
        os._exit(0)


async def listen(app: object, site: Site, listeners: Sequence[Listener]) -> None:
    """Answer requests until a signal."""
    configuration = uvicorn.Config(
        app,  # type: ignore[arg-type]
        http="h11",  # strict: it refuses what could be read in two ways
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who asks is who signed
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=BACKLOG,
    )
    server = Server(configuration, listeners)

    async def tell_when_ready() -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        where = "" if site.folder == places.site_folder() else f"--site {site.folder} "
        say(f"ready: site {site.name}, cloud {site.cloud}; try: controlplane {where}status")
        if site.tcp:
            say(f"ready: {'https' if site.tls_certificate else 'http'}://{site.tcp}")
        notify("READY=1")

    telling = asyncio.create_task(tell_when_ready())
    try:
        await server.serve()
    finally:
        telling.cancel()


def run_worker(folder: Path) -> None:
    """Run only the workers of the site in `folder`, until SIGTERM or SIGINT.

    Raises SiteMissing, SiteInvalid, DatabaseUnusable, DatabaseNotCurrent.
    """
    configure_logging()
    site = sites.load(folder)
    if site.database.startswith("sqlite"):
        say("note: with SQLite, one process does all the work; more workers make sense with PostgreSQL")
    require_current(connect(site.database))
    parts = wiring.build(site)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parts.start()
    try:
        say(f"ready: worker of site {site.name}")
        notify("READY=1")
        stop.wait()
    finally:
        notify("STOPPING=1")
        say("stopping: finishing the step at hand")
        stop_and_leave(parts)


def with_options(site: Site, tcp: str | None, certificate: Path | None, key: Path | None) -> Site:
    """The site with the command line's options in place of its own. Raises SiteInvalid."""
    given = {"tcp": tcp, "tls_certificate": certificate, "tls_key": key}
    chosen = {name: value for name, value in given.items() if value is not None}
    if not chosen:
        return site
    return sites.checked("command line", {**site.model_dump(), **chosen})


@contextlib.contextmanager
def unix_socket(path: Path, group: str | None) -> Iterator[socket.socket]:
    """A listening Unix socket, mode 0660, removed afterwards. Raises AlreadyServing, CannotListen."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o755, parents=True)
        remove_stale(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o777)  # nobody connects before the mode is right
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        if group:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        path.chmod(SOCKET_MODE)
        listener.listen(BACKLOG)
    except KeyError:
        raise CannotListen(
            where=path, why=f"there is no group {group}", remedy="Mend socket_group."
        ) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotListen(where=path, why=why, remedy="Choose another `socket` in site.toml.") from None
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on. Raises AlreadyServing, CannotListen."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(where=path, why="something else is there", remedy="Move it away.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()  # its daemon died: SIGKILL, power loss
            return
    raise AlreadyServing(what=f"at {path}")


@contextlib.contextmanager
def tcp_socket(address: str, tls: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """A listening TCP socket on HOST:PORT. Raises CannotListen."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if tls is None:
        say(f"warning: {address} is without TLS: requests are signed, but anyone on the way can read them")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CannotListen(where=address, why=why, remedy="Choose another --tcp HOST:PORT.") from None
    with listener:
        yield listener


def tls_context(site: Site) -> ssl.SSLContext | None:
    """TLS 1.3 with the site's certificate, if it has one. Raises SiteInvalid."""
    if site.tls_certificate is None or site.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(site.folder / site.tls_certificate, site.folder / site.tls_key)
    except (OSError, ssl.SSLError) as error:
        remedy = "Give a PEM certificate and its unencrypted PEM key."
        raise SiteInvalid(
            where=site.tls_certificate, why=f"cannot be used ({error})", remedy=remedy
        ) from None
    return context


def notify(state: str) -> None:
    """Tell systemd, if it waits: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)


def configure_logging() -> None:
    """Events to stderr, one a line; the journal or whoever runs the daemon adds what it likes."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for chatty in ("uvicorn", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def say(line: str) -> None:
    """Narrate on stderr; stdout is data."""
    print(line, file=sys.stderr, flush=True)
