# mypy: ignore-errors
"""One service of the lab: `python -m tests.lab.openstack.inside.serve NAME`, started by `processes`.

The listening socket is inherited, so requests queue until the service is ready.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import logging
import os
import signal
import socket
import sys
import traceback
from pathlib import Path

from tests.lab.openstack.configuration import TOKEN_CACHE
from tests.lab.openstack.inside import applications, databases, sqlite
from tests.lab.openstack.inside.token_memory import TokenMemory, with_token_memory
from tests.lab.openstack.layout import Site

THREADS = 8
KEYSTONE_THREADS = 1
"""Keystone keeps the token of the current request on an object that all threads share."""


def main(name: str) -> None:
    """Serve until SIGTERM; make the database first when LAB_FRESH is set."""
    gc.disable()  # while hundreds of modules load, there is nothing to collect
    faulthandler.register(signal.SIGUSR1)  # kill -USR1 shows where every thread is
    signal.signal(signal.SIGTERM, _end)
    site = Site.load(Path(os.environ["LAB_FOLDER"]))
    sqlite.make_concurrent()
    if name in ("nova", "cinder"):
        importlib.import_module(f"{name}.monkey_patch").patch("threading")
    if os.environ.get("LAB_FRESH"):
        _make_database(site, name)
    listening = socket.socket(fileno=int(os.environ["LAB_SOCKET"]))
    listening.setblocking(False)
    application = applications.application(site, name)
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGTERM, _end)  # some services put their own handler there
    import waitress
    from oslo_context import context

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)

    def call(environ, start_response):
        # Keystone caches by request context, and a thread keeps the one of its last request: without this,
        # a token that was valid there stays valid here after its revocation.
        context._request_store.__dict__.clear()
        return application(environ, start_response)

    waitress.serve(
        with_token_memory(call, TokenMemory(site.revocations), TOKEN_CACHE),
        sockets=[listening],
        threads=KEYSTONE_THREADS if name == "keystone" else THREADS,
        clear_untrusted_proxy_headers=True,
        channel_timeout=600,
        connection_limit=1000,
        max_request_body_size=2 << 30,
        ident=None,
        expose_tracebacks=False,
    )


def _make_database(site: Site, name: str) -> None:
    """In a forked child: the imports are paid once, and the child's oslo.config dies with it."""
    for module in applications.PREIMPORTED[name].split():
        importlib.import_module(module)
    child = os.fork()
    if child == 0:
        try:
            databases.create(site, name)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        except BaseException:
            traceback.print_exc()
            code = 4
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        os._exit(4)


def _end(*_: object) -> None:
    os._exit(0)  # threads of the services do not join


if __name__ == "__main__":
    main(sys.argv[1])
