"""Institutions' systems that sign in by SMART Backend Services, assertions that were taken, access tokens.

Revision: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "client",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("client_id", _WORDS, nullable=False, unique=True),
        sa.Column("institution", _WORDS, nullable=False),
        sa.Column("name", _WORDS, nullable=False),
        sa.Column("jwks", _WORDS, nullable=False),
        sa.Column("jwks_url", _WORDS, nullable=False),
        sa.Column("scopes", _WORDS, nullable=False),
        sa.Column("networks", _WORDS, nullable=False),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("added_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "client_assertion",
        sa.Column("client_pk", _KEY, sa.ForeignKey("client.pk"), primary_key=True, autoincrement=False),
        sa.Column("jti_sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("client_assertion_by_time", "client_assertion", ["until_ms"])
    op.create_table(
        "client_token",
        sa.Column("sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("client_pk", _KEY, sa.ForeignKey("client.pk"), nullable=False),
        sa.Column("scopes", _WORDS, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("client_token_by_time", "client_token", ["until_ms"])
