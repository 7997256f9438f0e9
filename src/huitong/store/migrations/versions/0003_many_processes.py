"""What several processes on one store need: marks, and packs whose content lies elsewhere by now.

Revision: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table("mark", sa.Column("name", _WORDS, primary_key=True), sa.Column("value", _WORDS, nullable=False))
    op.add_column("pack", sa.Column("emptied_at_ms", sa.BigInteger))
    _index("pack_emptied", "emptied_at_ms", "emptied_at_ms IS NOT NULL")
    _index("pack_open", "name", "sealed = 0")


def _index(name: str, column: str, where: str) -> None:
    op.create_index(name, "pack", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
