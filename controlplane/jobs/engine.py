"""Durable jobs on DBOS: a job is a row of ours and a workflow of the same id, stored in one transaction.

One workflow serves every verb: it runs the verb's handler as a step. A handler observes and ensures, so it
can be run again at any time; DBOS sees to it that it is, after a crash, until it has returned once.

The bus is data in the database: nothing but the job's id travels on it, never a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import Engine
from sqlalchemy.orm import Session

NAME = "controlplane"
QUEUE = "jobs"
WORKFLOW = "run_job"
VERSION = "1"
"""Raise it when a running workflow could not go on under new code; workers take only their own version."""

logging.getLogger("dbos").setLevel(logging.WARNING)

Handler = Callable[[str], None]
"""Does the work of the job with this id and writes its outcome into its row. Safe to run again."""


class JobQueue:
    """Where jobs are put, by any process that has the database."""

    def __init__(self, database: Engine) -> None:
        DBOS.migrate(database.url.render_as_string(hide_password=False))  # done already: nothing happens
        self._client = DBOSClient(system_database_engine=database, application_name=NAME, lazy=True)

    def put(self, session: Session, job_id: str) -> None:
        """Enqueue a job in the caller's transaction: row and workflow appear together or not at all."""
        options: Any = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": job_id,
            "app_version": VERSION,
        }
        self._client.enqueue_in_transaction(session, options, job_id)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.destroy()


class Worker:
    """Runs jobs in this process."""

    def __init__(
        self,
        database: Engine,
        executor: str,
        handler: Handler,
        *,
        at_once: int = 16,
        poll_seconds: float = 0.2,
    ) -> None:
        self._url = database.url.render_as_string(hide_password=False)
        """DBOS opens the database itself: on SQLite it needs transactions of its own kind."""
        self._executor, self._handler = executor, handler
        self._at_once, self._poll = at_once, poll_seconds

    def start(self) -> None:
        """Take over what this executor left behind, then take jobs from the queue."""
        config: DBOSConfig = {
            "name": NAME,
            "system_database_url": self._url,
            "executor_id": self._executor,
            "application_version": VERSION,
            "log_level": "WARNING",
            "max_executor_threads": 4 * self._at_once,
        }
        DBOS(config=config)
        handler = self._handler

        @DBOS.step(name="work")
        def work(job_id: str) -> None:
            handler(job_id)

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        def run_job(job_id: str) -> None:
            work(job_id)  # crash inside: the step runs again, observes, and does what is left

        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=self._at_once, polling_interval_sec=self._poll)

    def stop(self, seconds: float = 10) -> None:
        """Stop taking jobs; those at work are left to be resumed."""
        DBOS.destroy(workflow_completion_timeout_sec=int(seconds))
