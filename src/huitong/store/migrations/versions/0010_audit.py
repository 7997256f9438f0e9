"""Who looked: the audit, beside the ledger.

Revision: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", _KEY, primary_key=True, autoincrement=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("asker", _WORDS, nullable=False),
        sa.Column("action", _WORDS, nullable=False),
        sa.Column("allowed", sa.Integer, nullable=False),
        sa.Column("rule", _WORDS, nullable=False),
        sa.Column("purpose", _WORDS, nullable=False),
        sa.Column("person", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("object", _WORDS, nullable=False),
        sa.Column("institution", _WORDS, nullable=False),
        sa.Column("detail", _WORDS, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
    )
    op.create_index("audit_by_person", "audit", ["person", "seq"])
