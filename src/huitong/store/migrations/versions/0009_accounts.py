"""Who signs in: accounts, their sessions, and the failures that lock them for a while.

Revision: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("name", _WORDS, nullable=False, unique=True),
        sa.Column("display", _WORDS, nullable=False),
        sa.Column("kind", _WORDS, nullable=False),
        sa.Column("institution", _WORDS, nullable=False, server_default=""),
        sa.Column("roles", _WORDS, nullable=False, server_default=""),
        sa.Column("person", _WORDS, nullable=False, server_default=""),
        sa.Column("password_hash", _WORDS, nullable=False, server_default=""),
        sa.Column("totp_secret", _WORDS, nullable=False, server_default=""),
        sa.Column("totp_step", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("active", sa.Integer, nullable=False, server_default="1"),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "session",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("public_id", _WORDS, nullable=False, unique=True),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False, unique=True),
        sa.Column("account_pk", _KEY, sa.ForeignKey("account.pk"), nullable=False),
        sa.Column("stage", _WORDS, nullable=False),
        sa.Column("totp_secret", _WORDS, nullable=False, server_default=""),
        sa.Column("host", _WORDS, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
        sa.Column("used_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("session_by_account", "session", ["account_pk"])
    op.create_index("session_by_start", "session", ["began_at_ms"])
    op.create_table(
        "sign_in_failure",
        sa.Column("subject", _WORDS, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_in_failure_by_time", "sign_in_failure", ["last_at_ms"])
