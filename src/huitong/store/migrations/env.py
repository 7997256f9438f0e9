"""Run by Alembic: applies the migrations on the engine that `Database.migrate` hands over."""

from alembic import context

from huitong.store.tables import METADATA

engine = context.config.attributes["engine"]
with engine.connect().execution_options(huitong_write=True) as connection:
    context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
