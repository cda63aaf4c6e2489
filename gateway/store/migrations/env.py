"""Run by alembic for each upgrade, inside the transaction of the connection that gateway/store/upgrade.py gives it."""

from alembic import context

from gateway.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite can't alter a column: alembic copies the table
)
context.run_migrations()
