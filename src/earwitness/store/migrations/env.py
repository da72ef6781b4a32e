"""Alembic's entry: runs on the connection that ``store.schema`` opened."""

from __future__ import annotations

from alembic import context

from earwitness.store.tables import Base

connection = context.config.attributes.get("connection")
if connection is None:
    raise RuntimeError("run migrations through earwitness.store.schema.upgrade(url)")
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
