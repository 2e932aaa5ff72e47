"""The database: migrations equal models, writers wait for each other, moments keep their zone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text
from sqlmodel import select

from controlplane.store import database
from controlplane.store.database import connect, reading, require_current, upgrade, writing
from controlplane.store.operators import Nonce, Operator, forget_nonces, remember_nonce

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = connect(f"sqlite:///{tmp_path}/plane.db")
    upgrade(engine)
    yield engine
    engine.dispose()


def anna() -> Operator:
    return Operator(name="anna", roles="operator", enrolled_at=NOW, enrolled_by="init")


def test_the_migrations_make_the_tables_that_the_models_describe(engine: Engine) -> None:
    tables = database.all_tables()
    assert {"operator", "operator_key", "nonce", "tenant", "job"} <= set(tables.tables)
    with engine.connect() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), tables
        )
    assert differences == [], "run: python -m controlplane.store.migrations.regenerate"


def test_the_tables_can_be_taken_back(engine: Engine) -> None:
    with engine.begin() as connection:
        command.downgrade(database.alembic_config(connection), "base")
    with engine.connect() as connection:
        names = connection.execute(text("select name from sqlite_master where type='table'")).scalars().all()
    assert names == ["alembic_version"]


def test_an_upgrade_twice_changes_nothing(engine: Engine) -> None:
    upgrade(engine)
    require_current(engine)


def test_a_database_without_tables_is_refused_until_the_plane_upgraded_it(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(database.DatabaseNotCurrent, match="revision none") as caught:
        require_current(engine)
    assert "controlplane serve" in caught.value.remedy


def test_a_database_of_a_newer_version_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'v9999'"))
    for refuse in (upgrade, require_current):
        with pytest.raises(database.DatabaseNotCurrent, match="v9999"):
            refuse(engine)


def test_a_database_that_does_not_open_says_so_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(database.DatabaseUnusable, match="unable to open database file"):
        upgrade(connect(f"sqlite:///{tmp_path}/missing/plane.db"))
    with pytest.raises(database.DatabaseUnusable) as caught:
        upgrade(connect("postgresql+psycopg://plane:hunter2@127.0.0.1:1/plane?connect_timeout=2"))
    assert "hunter2" not in str(caught.value)


def test_sqlite_keeps_what_it_promised(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_moment_comes_back_as_it_went_in(engine: Engine) -> None:
    elsewhere = NOW.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+05:30").tzinfo)
    with writing(engine) as session:
        session.add(Operator(name="anna", roles="operator", enrolled_at=elsewhere, enrolled_by="init"))
    with reading(engine) as session:
        found = session.exec(select(Operator)).one()
    assert found.enrolled_at == NOW
    assert found.enrolled_at.tzinfo is UTC


def test_a_block_that_raises_writes_nothing(engine: Engine) -> None:
    def fail() -> None:
        with writing(engine) as session:
            session.add(anna())
            session.flush()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    with reading(engine) as session:
        assert session.exec(select(Operator)).all() == []


def test_many_writers_wait_for_each_other(engine: Engine) -> None:
    """Read, then write, in eight threads: none fails with `database is locked`, none is lost."""
    with writing(engine) as session:
        session.add(anna())

    def count() -> None:
        for _ in range(10):
            with writing(engine) as session:
                operator = session.get_one(Operator, "anna")
                operator.roles = str(int(operator.roles) + 1) if operator.roles.isdigit() else "1"

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as session:
        assert session.get_one(Operator, "anna").roles == "80"


class TestNonces:
    def test_a_nonce_is_new_once(self, engine: Engine) -> None:
        answers = []
        for fingerprint in ("SHA256:a", "SHA256:a", "SHA256:b"):
            with writing(engine) as session:
                answers.append(remember_nonce(session, fingerprint, "n", NOW))
        assert answers == [True, False, True]

    def test_one_of_many_who_bring_the_same_nonce_is_first(self, engine: Engine) -> None:
        answers: list[bool] = []

        def bring() -> None:
            with writing(engine) as session:
                answers.append(remember_nonce(session, "SHA256:a", "n", NOW))

        threads = [threading.Thread(target=bring) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [False] * 15 + [True]

    def test_what_would_be_stale_is_forgotten(self, engine: Engine) -> None:
        with writing(engine) as session:
            remember_nonce(session, "SHA256:a", "old", NOW - timedelta(seconds=1))
            remember_nonce(session, "SHA256:a", "new", NOW + timedelta(seconds=1))
            forget_nonces(session, NOW)
        with reading(engine) as session:
            assert [n.nonce for n in session.exec(select(Nonce)).all()] == ["new"]


def test_postgresql_serves_as_well(postgresql: str) -> None:
    engine = connect(postgresql)
    upgrade(engine)
    require_current(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, database.all_tables()) == []
    with writing(engine) as session:
        session.add(anna())
        assert remember_nonce(session, "SHA256:a", "n", NOW)
    with writing(engine) as session:
        assert not remember_nonce(session, "SHA256:a", "n", NOW)
    with reading(engine) as session:
        assert session.get_one(Operator, "anna").enrolled_at == NOW
    engine.dispose()
