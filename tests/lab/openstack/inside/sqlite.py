# mypy: ignore-errors
"""SQLite under several threads without 'database is locked'.

oslo.db begins every transaction as a reader; two of them that turn writer deadlock, and SQLite then
fails one at once, whatever its timeout. So a transaction of oslo.db's writer begins with
`BEGIN IMMEDIATE`, the log is write-ahead, and connections stay in a pool: oslo.db would close
each one, and the last to close a file folds its log back into it.
"""

from __future__ import annotations

import sqlalchemy
from oslo_db.sqlalchemy import enginefacade
from sqlalchemy import event, pool
from sqlalchemy.engine import Engine


def make_concurrent() -> None:
    """Patch SQLAlchemy and oslo.db; call once, before any engine is made."""
    event.listen(Engine, "connect", _prepare)
    event.listen(Engine, "before_cursor_execute", _begin, retval=True)
    _keep_connections()
    _mark_writers()


def _prepare(connection, record) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # a lab that loses power is made again
        connection.execute("PRAGMA busy_timeout=60000")
        if any(file.endswith("keystone.db") for _, _, file in connection.execute("PRAGMA database_list")):
            # Keystone leaves the roles of a deleted application credential to the database
            connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection, cursor, statement, parameters, context, executemany):
    if statement == "BEGIN" and connection.get_execution_options().get("lab_writer"):
        statement = "BEGIN IMMEDIATE"
    return statement, parameters


def _keep_connections() -> None:
    create = sqlalchemy.create_engine

    def create_engine(url, **options):
        if options.get("poolclass") is pool.NullPool and str(url).startswith("sqlite:////"):
            options.update(poolclass=pool.QueuePool, pool_size=16, max_overflow=64, pool_pre_ping=False)
            options.setdefault("connect_args", {}).update(check_same_thread=False)
        return create(url, **options)

    sqlalchemy.create_engine = create_engine


def _mark_writers() -> None:
    factory, writer_mode = enginefacade._TransactionFactory, enginefacade._WRITER
    create_session, create_connection = factory._create_session, factory._create_connection

    def writer(self):
        engine = self.__dict__.get("_lab_writer")
        if engine is None:
            if not self._started:
                self._start()
            engine = self.__dict__["_lab_writer"] = self._writer_engine.execution_options(lab_writer=True)
        return engine

    def session(self, mode, bind=None):
        return create_session(self, mode, writer(self) if mode is writer_mode and bind is None else bind)

    def connection(self, mode):
        return writer(self).connect() if mode is writer_mode else create_connection(self, mode)

    factory._create_session, factory._create_connection = session, connection
