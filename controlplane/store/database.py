"""The database: how it is opened, read and written, and its migrations.

SQLite (WAL) needs no server and is the default; PostgreSQL serves several machines. Tables are SQLModel
classes in this folder; `python -m controlplane.store.migrations.regenerate` writes their initial migration.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, SQLModel

from airgap_bundle.errors import StateProblem

MIGRATIONS = Path(__file__).parent / "migrations"
TABLE_MODULES = ("controlplane.store.operators", "controlplane.store.tenancy")
BUSY_SECONDS = 30
"""How long a SQLite writer waits for another."""


class DatabaseUnusable(StateProblem):
    """The database does not open."""

    exit_code = 39
    message = "the database {url} cannot be used: {why}"
    hint = "Check database_url in site.toml, and that the database is there and lets this user in."


class DatabaseNotCurrent(StateProblem):
    """The database's tables belong to another version of the plane."""

    exit_code = 39
    message = "the database is at revision {have}, and this version of the plane needs {need}"
    hint = "{remedy}"


@lru_cache(maxsize=8)
def connect(url: str) -> Engine:
    """The engine for `url`, one for each database in a process. Nothing is opened yet."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", prepare_sqlite)
    event.listen(engine, "begin", begin_sqlite)
    return engine


def prepare_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    """Settings of every SQLite connection."""
    for pragma in (
        "journal_mode = WAL",  # readers and one writer do not block each other
        "synchronous = FULL",  # what was committed survives power loss: nonces and journals depend on it
        "foreign_keys = ON",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def begin_sqlite(connection: Connection) -> None:
    """Begin as `reading` and `writing` ask; others (DBOS) begin by themselves or by the driver's rules.

    A transaction that reads first and then writes cannot wait: SQLite fails it at once with "database is
    locked" if another wrote in between, because its snapshot is old. So `writing` takes the write lock at
    the beginning, where waiting for it is still possible.
    """
    if how := connection.get_execution_options().get("begin"):
        connection.exec_driver_sql(f"BEGIN {how}")


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that sees one moment and writes nothing."""
    with Session(engine.execution_options(begin="DEFERRED")) as session:
        yield session


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at its end, or leaves nothing behind if the block raises."""
    with (
        Session(engine.execution_options(begin="IMMEDIATE"), expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session  # crash here: nothing was written
    # crash after this: all of it was


def store(session: Session, rows: Sequence[SQLModel]) -> None:
    """Insert rows of one table in one statement, over those with the same primary key."""
    table: Any = type(rows[0]).__table__  # type: ignore[attr-defined]
    keys = [column.name for column in table.primary_key]
    values = [row.model_dump() for row in rows]
    if all(value[keys[0]] is None for value in values):  # the database numbers them
        session.execute(
            table.insert(), [{k: v for k, v in value.items() if k not in keys} for value in values]
        )
        return
    dialect = session.get_bind().dialect.name
    insert = sqlite_insert(table) if dialect == "sqlite" else postgresql_insert(table)
    changed = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in keys}
    session.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), values)


def all_tables() -> MetaData:
    """The metadata of every table, all modules that define some imported."""
    for name in TABLE_MODULES:
        try:
            import_module(name)
        except ModuleNotFoundError as missing:
            if missing.name != name:
                raise
    return SQLModel.metadata


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, made here: there is no ini file to find."""
    config = Config(stdout=sys.stderr)
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Bring the tables to this version, in one transaction. Raises DatabaseUnusable, DatabaseNotCurrent."""
    try:
        with engine.execution_options(begin="IMMEDIATE").begin() as connection:
            refuse_newer(connection)
            command.upgrade(alembic_config(connection), "head")
    except SQLAlchemyError as error:
        raise unusable(engine, error) from error


def require_current(engine: Engine) -> None:
    """Return when the tables are of this version. Raises DatabaseUnusable, DatabaseNotCurrent."""
    try:
        with engine.connect() as connection:
            refuse_newer(connection)
            have, need = revisions(connection)
    except SQLAlchemyError as error:
        raise unusable(engine, error) from error
    if have != need:
        remedy = "Start `controlplane serve` of this version once; it brings the database forward."
        raise DatabaseNotCurrent(have=have or "none", need=need, remedy=remedy)


def refuse_newer(connection: Connection) -> None:
    """Raise DatabaseNotCurrent when the tables come from a version that this one does not know."""
    have, need = revisions(connection)
    if have and have not in {r.revision for r in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}:
        remedy = "A newer version of the plane was here. Run that version, or restore the database's backup."
        raise DatabaseNotCurrent(have=have, need=need, remedy=remedy)


def revisions(connection: Connection) -> tuple[str | None, str]:
    """The revision that the database has (None: no tables yet) and the one that this version needs."""
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), head or "none"


def unusable(engine: Engine, error: SQLAlchemyError) -> DatabaseUnusable:
    """The driver's words without its stack, the url without its password."""
    cause: Any = getattr(error, "orig", None) or error
    why = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    return DatabaseUnusable(url=engine.url.render_as_string(hide_password=True), why=why)
