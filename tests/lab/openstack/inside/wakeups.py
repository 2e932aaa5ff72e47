# mypy: ignore-errors
"""oslo.messaging's in-memory driver looks at its queues every 50 ms; here a message wakes it.

Import it after nova and cinder have chosen their threads: oslo.messaging brings eventlet in.
"""

from __future__ import annotations

import threading
import time

from oslo_messaging._drivers import impl_fake


def on_message() -> None:
    """Patch the driver; call once, before any transport is made."""
    arrived = threading.Condition()

    class Clock:
        time = staticmethod(time.time)

        @staticmethod
        def sleep(seconds):
            with arrived:
                arrived.wait(seconds)

    deliver = impl_fake.FakeExchange.deliver_message

    def deliver_message(self, *arguments, **named):
        deliver(self, *arguments, **named)
        with arrived:
            arrived.notify_all()

    impl_fake.time = Clock
    impl_fake.FakeExchange.deliver_message = deliver_message
