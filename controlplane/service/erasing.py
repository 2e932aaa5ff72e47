"""Erase: delete everything, whoever made it, and certify what was there and is gone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from airgap_bundle.sshsig import sign
from controlplane.service.ground import Ground
from controlplane.service.journal import JobJournal
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import CertificateRow, JobRow, RecordRow
from controlplane.tenants import erasure
from controlplane.tenants.apply import reason_of
from controlplane.tenants.errors import ApplyIncomplete, CloudRefused
from controlplane.tenants.ports import Thing

ROUNDS = 4
"""How often an erasure looks for what is left before it gives up."""


class Erasing:
    """The handler of `erase`."""

    def __init__(self, ground: Ground, plane_key: PrivateKey) -> None:
        self._on, self._key = ground, plane_key

    def erase(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Delete everything, look until nothing is left, and sign a certificate of it."""
        with reading(self._on.sight.database) as session:
            record = session.get(RecordRow, (job.tenant, "domain"))
        domain = record.openstack_id if record else ""
        self._on.mark_begun(job)
        seen = {(t.kind, t.id): t for t in self._seen_before(job)}
        self._remove(list(seen.values()))  # resumed: also what no listing shows once its project is gone
        left: Sequence[Thing] = ()
        for turn in range(ROUNDS):
            left = self._on.cloud.inventory(domain) if domain else ()
            seen |= {(t.kind, t.id): t for t in left}
            self._remember_things(
                job, list(seen.values())
            )  # crash after this: the certificate still names them
            if not left:
                break
            if turn == 0:
                journal.tell("started", total=len(left))
            self._remove(left, journal)
        else:
            left = self._on.cloud.inventory(domain)
        if left:
            first = f"{left[0].kind} {left[0].name or left[0].id}"
            reason = f"{len(left)} things are still there, the first is {first}"
            raise ApplyIncomplete(
                tenant=job.tenant,
                done=len(seen) - len(left),
                total=len(seen),
                address=left[0].kind,
                reason=reason,
            )
        return {"removed": len(seen), "certificate": self._certify(job, list(seen.values()))}

    def _remove(self, things: Sequence[Thing], journal: JobJournal | None = None) -> None:
        """Stage by stage; what does not go now is tried again in the next round."""
        for stage in erasure.stages(things):
            for thing, problem in self._on.pool.map(self._remove_one, stage):
                if journal:
                    state, why = ("failed", {"reason": reason_of(problem)}) if problem else ("done", {})
                    address = f"{thing.kind}/{thing.name or thing.id}"
                    journal.tell("step", address=address, action="delete", state=state, **why)

    def _remove_one(self, thing: Thing) -> tuple[Thing, Problem | None]:
        try:
            self._on.cloud.remove(thing)
        except CloudRefused as problem:
            return thing, problem
        return thing, None

    def _seen_before(self, job: JobRow) -> list[Thing]:
        return [Thing(**thing) for thing in (job.result or {}).get("seen", ())]

    def _remember_things(self, job: JobRow, things: Sequence[Thing]) -> None:
        with writing(self._on.sight.database) as session:
            if row := session.get(JobRow, job.id):
                row.result = {"seen": [vars(thing) | {"facts": dict(thing.facts)} for thing in things]}

    def _certify(self, job: JobRow, removed: Sequence[Thing]) -> str:
        now = self._on.sight.clock()
        body = erasure.certificate(
            job.tenant,
            removed=removed,
            left=(),
            requested_by=job.requester,
            plane=self._key.public.line,
            at=now,
        )
        text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
        signature = sign(self._key, erasure.NAMESPACE, text.encode())
        with writing(self._on.sight.database) as session:
            session.merge(
                CertificateRow(
                    id=job.id,
                    tenant=job.tenant,
                    made_at=now,
                    body=json.dumps({"certificate": text, "signature": signature}),
                )
            )
        return job.id
