"""Health cards, their uses, and the dynamic codes that were taken.

Revision: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "card",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("card_id", _WORDS, nullable=False, unique=True),
        sa.Column("patient_pk", _KEY, sa.ForeignKey("patient.pk"), nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("number", _WORDS, nullable=False),
        sa.Column("mindex", sa.LargeBinary(32), nullable=False),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("attribute", sa.Integer, nullable=False),
        sa.Column("state", sa.Integer, nullable=False),
        sa.Column("issued_at_ms", sa.BigInteger, nullable=False),
        sa.Column("institution", _WORDS, nullable=False),
        sa.Column("replaced_by_pk", _KEY),
        sa.UniqueConstraint("kind", "number"),
    )
    op.create_index("card_by_patient", "card", ["patient_pk"])
    op.create_table(
        "card_use",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("card_pk", _KEY, sa.ForeignKey("card.pk"), nullable=False),
        sa.Column("step", _WORDS, nullable=False),
        sa.Column("terminal_id", _WORDS, nullable=False),
        sa.Column("terminal_type", _WORDS, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("institution", _WORDS, nullable=False),
        sa.Column("dynamic", sa.Integer, nullable=False),
    )
    op.create_index("card_use_by_card", "card_use", ["card_pk", "at_ms"])
    op.create_index("card_use_by_time", "card_use", ["at_ms", "step"])
    op.create_table(
        "card_code",
        sa.Column("card_pk", _KEY, sa.ForeignKey("card.pk"), primary_key=True, autoincrement=False),
        sa.Column("until_ms", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("card_code_by_time", "card_code", ["until_ms"])
