"""Of which share the encrypted files are that a program fetches in a second step; those that wait are fetched anew.

Revision: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.drop_table("share_file")
    op.create_table(
        "share_file",
        sa.Column("secret_sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("share_pk", _KEY, sa.ForeignKey("share.pk"), nullable=False),
        sa.Column("file", _WORDS, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
