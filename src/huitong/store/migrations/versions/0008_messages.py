"""What HL7 messages tell: visits, and which messages were taken; persons are found by their date of birth.

Revision: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "visit",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("institution", _WORDS, nullable=False),
        sa.Column("patient_number", _WORDS, nullable=False),
        sa.Column("number", _WORDS, nullable=False),
        sa.Column("patient_class", _WORDS, nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger),
        sa.Column("closed_at_ms", sa.BigInteger),
        sa.Column("effective_at_ms", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("institution", "patient_number", "number"),
    )
    op.create_table(
        "hl7_message",
        sa.Column("institution", _WORDS, primary_key=True),
        sa.Column("application", _WORDS, primary_key=True),
        sa.Column("control_id", _WORDS, primary_key=True),
        sa.Column("sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("hl7_message_by_time", "hl7_message", ["at_ms"])
    op.create_index("patient_by_birth_date", "patient", ["birth_date", "person_pk"])
