"""Alembic runs this file for every command; `controlplane.store.database` gives it the connection."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy.types import TypeDecorator, TypeEngine

from controlplane.store.database import all_tables


def plain_types(kind: str, item: Any, _autogen: AutogenContext) -> str | Literal[False]:
    """Write our own column types as the plain ones under them: an old migration must not import new code."""
    if kind != "type" or not isinstance(item, TypeDecorator):
        return False
    plain: TypeEngine[Any] = item.impl_instance
    return f"sa.{plain!r}"


connection = context.config.attributes["connection"]
if connection is None:
    raise SystemExit(
        "use controlplane.store.database.upgrade(), or python -m controlplane.store.migrations.regenerate"
    )
context.configure(
    connection=connection,
    target_metadata=all_tables(),
    render_item=plain_types,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
