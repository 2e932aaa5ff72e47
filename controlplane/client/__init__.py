"""What the CLI, the TUI and scripts call: `Client`, and the problems that the plane answers with."""

from controlplane.client.connection import Client, Event
from controlplane.client.refusal import Refusal, ReplyLost, ReplyUnreadable, Unreachable

__all__ = ["Client", "Event", "Refusal", "ReplyLost", "ReplyUnreadable", "Unreachable"]
