"""The journal of jobs: outcomes and progress, written in groups by one thread.

An outcome that is lost in a crash is found again by its ownership mark, and a secret that is lost is made
anew (`credentials: lost`), so nothing waits for the disk; `flush` is the point after which all is durable.
"""

from __future__ import annotations

import base64
import json
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, SQLModel

from airgap_bundle.keys import PublicKey
from controlplane.store.database import store, writing
from controlplane.store.tenancy import JobEventRow, RecordRow, SealedRow
from controlplane.tenants.apply import reason_of, resource_of
from controlplane.tenants.operations import Operation
from controlplane.tenants.ports import Outcome, Secret
from controlplane.tenants.resources import Kind, kind_of

Write = Callable[[Session], None]


class Ledger:
    """The one writer of a process: what is put in is committed in order, many at a time."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[Write | SQLModel | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._broken: Exception | None = None
        self.commits = 0
        """Grows with each transaction: who shows events looks into the database only when it has grown."""
        self._thread.start()

    def put(self, write: Write | SQLModel) -> None:
        """Have `write` run in a coming transaction, or a row stored in it (over one with the same key)."""
        self._queue.put(write)

    def flush(self) -> None:
        """Return when everything put before is durable. Raises what the database raised."""
        done = threading.Event()
        self._queue.put(done)
        done.wait()
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise broken

    def close(self) -> None:
        """Write what is left, then end."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        while True:
            items = [self._queue.get()]
            while not self._queue.empty() and len(items) < 500:
                items.append(self._queue.get())
            writes = [item for item in items if callable(item) or isinstance(item, SQLModel)]
            try:
                if writes:
                    with writing(self._database) as session:
                        _write_all(session, writes)
                    self.commits += 1
                    # crash before this line: the marks tell the next look
            except (
                Exception
            ) as problem:  # told to whoever flushes: a job does not end as done without its journal
                self._broken = problem
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
            if None in items:
                return


def _write_all(session: Session, writes: Sequence[Write | SQLModel]) -> None:
    """In order; neighbouring rows of one table in one statement."""
    for table, same in groupby(writes, key=lambda w: type(w) if isinstance(w, SQLModel) else None):
        if table is None:
            for write in same:
                write(session)  # type: ignore[operator]
        else:
            store(session, [row for row in same if isinstance(row, SQLModel)])


class JobJournal:
    """The journal of one job, as `apply.run` uses it."""

    def __init__(
        self,
        ledger: Ledger,
        job_id: str,
        tenant: str,
        recipients: Callable[[str], Sequence[str]],
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._job, self._tenant, self._clock = ledger, job_id, tenant, clock
        self._recipients = recipients

    def tell(self, kind: str, **data: Any) -> None:
        """An event that whoever follows the job sees."""
        self._ledger.put(JobEventRow(job_id=self._job, at=self._clock(), kind=kind, data=data))

    def began(self, operation: Operation) -> None:
        """An effect is about to be tried."""
        self.tell("step", address=operation.address, action=operation.effect.action, state="began")

    def done(self, operation: Operation, outcome: Outcome) -> None:
        """An effect happened: keep what it led to."""
        want, address, now = resource_of(operation), operation.address, self._clock()
        sealed = {s.address: self._sealed(s, now) for s in outcome.secrets}

        for at, row in sealed.items():
            if row is not None:
                row["openstack_id"] = outcome.id if at == address else row["openstack_id"]
                self._ledger.put(SealedRow(**row))
        if want is None:
            self._ledger.put(lambda session: _drop(session, self._tenant, address))
        else:
            record = RecordRow(
                tenant=self._tenant,
                address=address,
                openstack_id=outcome.id,
                fields=dict(want.fields),
                changed_at=now,
                job_id=self._job,
            )
            secret = "credentials" in want.fields and sealed.get(address) is None
            self._ledger.put((lambda session: _keep_if_sealed(session, record)) if secret else record)
        self.tell("step", address=address, action=operation.effect.action, state="done")

    def failed(self, operation: Operation, reason: Exception) -> None:
        """An effect could not be brought about."""
        why = reason_of(reason)
        self.tell(
            "step", address=operation.address, action=operation.effect.action, state="failed", reason=why
        )

    def blocked(self, operation: Operation, by: Operation) -> None:
        """An effect was not tried because something before it failed."""
        why = f"waits for {by.address}"
        self.tell(
            "step", address=operation.address, action=operation.effect.action, state="blocked", reason=why
        )

    def _sealed(self, secret: Secret, now: datetime) -> dict[str, Any] | None:
        """The secret as the store keeps it; None when nobody may have it. The clear text ends here."""
        user = secret.address.split("/")[1]
        lines = self._recipients(user)
        if not lines:
            return None
        text = json.dumps({"address": secret.address, **secret.values}, sort_keys=True).encode()
        keys = [PublicKey.parse(line) for line in lines]
        return {
            "tenant": self._tenant,
            "address": secret.address,
            "openstack_id": "" if kind_of(secret.address) is Kind.USER else secret.values.get("id", ""),
            "envelopes": {key.fingerprint: base64.b64encode(key.seal(text)).decode() for key in keys},
            "made_at": now,
        }


def _drop(session: Session, tenant: str, address: str) -> None:
    for table in (RecordRow, SealedRow):
        if row := session.get(table, (tenant, address)):
            session.delete(row)
    session.flush()


def _keep_if_sealed(session: Session, record: RecordRow) -> None:
    """A record that says `sealed` only if the store has it: a change of something else made no new secret."""
    if session.get(SealedRow, (record.tenant, record.address)) is None:
        record.fields = {**record.fields, "credentials": "lost"}
    store(session, [record])
