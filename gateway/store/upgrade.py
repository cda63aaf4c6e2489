"""Bringing a database's tables to the newest form. Imported only where they aren't: it loads alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from gateway.store.schema import REVISION, DatabaseVersionError


def upgrade(connection: Connection) -> None:
    """Runs the migrations that are missing, inside the transaction that `connection` is in: all of them or none.

    Raises DatabaseVersionError where the database was written by a newer program; nothing is changed then.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    stored = MigrationContext.configure(connection).get_current_revision()
    if stored is not None and stored not in known:
        raise DatabaseVersionError(stored)
    command.upgrade(config, REVISION)
