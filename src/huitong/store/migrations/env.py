"""Run by Alembic: applies the migrations on the engine that `Database.migrate` hands over."""

from alembic import context
from sqlalchemy import text

from huitong.store.tables import METADATA

#: Of processes that start together one migrates and the others find it done.
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(4875697)")

engine = context.config.attributes["engine"]
with engine.connect().execution_options(huitong_write=True) as connection:
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        if engine.dialect.name == "postgresql":
            connection.execute(_ONE_AT_A_TIME)
        context.run_migrations()
