# mypy: ignore-errors
"""The layer-2 agent's one duty that clients see: a port that was bound becomes ACTIVE.

Neutron casts `port_update` to the agents when it has bound a port, `binding_activate` when a server has
migrated, and the agent answers that the wiring is done. Here the casts go to a thread of the same process,
which answers at once.
"""

from __future__ import annotations

import logging
import queue
import threading

LOG = logging.getLogger(__name__)


def answer_for_agents() -> None:
    """Take the place of the agents; call once the core plugin is loaded."""
    from neutron.db import provisioning_blocks
    from neutron_lib import context
    from neutron_lib.callbacks import resources
    from neutron_lib.plugins import directory

    bound = queue.SimpleQueue()

    def port_update(_context, port, *_network) -> None:
        if port.get("binding:vif_type") == "ovs" and port.get("status") != "ACTIVE":
            bound.put(port["id"])

    def answer() -> None:
        while True:
            port = bound.get()
            try:
                provisioning_blocks.provisioning_complete(
                    context.get_admin_context(), port, resources.PORT, provisioning_blocks.L2_AGENT_ENTITY
                )
            except Exception:  # deleted meanwhile, or what a real agent would report too
                LOG.exception("port %s could not be reported as wired", port)

    def binding_activate(_context, port_id, _host) -> None:
        bound.put(port_id)

    notifier = directory.get_plugin().notifier
    notifier.port_update, notifier.binding_activate = port_update, binding_activate
    threading.Thread(target=answer, name="wiring", daemon=True).start()
