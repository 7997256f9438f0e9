"""Accounts of an OpenID Provider and sessions that began there; certificates of endpoints by name.

Revision: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "provider_account",
        sa.Column("issuer", _WORDS, primary_key=True),
        sa.Column("sub", _WORDS, primary_key=True),
        sa.Column("account_pk", _KEY, sa.ForeignKey("account.pk"), nullable=False),
        sa.Column("follows", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("provider_account_by_account", "provider_account", ["account_pk", "issuer"], unique=True)
    op.create_table(
        "provider_session",
        sa.Column("public_id", _WORDS, primary_key=True),
        sa.Column("issuer", _WORDS, nullable=False),
        sa.Column("sub", _WORDS, nullable=False),
        sa.Column("sid", _WORDS, nullable=False),
        sa.Column("id_token", _WORDS, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("provider_session_by_sub", "provider_session", ["issuer", "sub"])
    op.add_column("endpoint", sa.Column("certificate_name", _WORDS, nullable=False, server_default=""))
    op.create_index("provider_session_by_start", "provider_session", ["began_at_ms"])
