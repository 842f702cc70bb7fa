"""How Alembic runs a migration here: on the connection it is handed, in that connection's transaction."""

from __future__ import annotations

from alembic import context

from hydrad.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,  # on SQLite the whole upgrade happens or none of it; MariaDB commits each statement
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
