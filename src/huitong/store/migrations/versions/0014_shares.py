"""Studies shared by link, and the browsers in which they were opened.

Revision: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    words = ("person", "sharer", "by", "institution", "study_uid", "label")
    digests = ("manifest_sha256", "page_sha256", "token_sha256")
    op.create_table(
        "share",
        sa.Column("pk", _KEY, primary_key=True, autoincrement=True),
        sa.Column("public_id", _WORDS, nullable=False, unique=True),
        *(sa.Column(name, _WORDS, nullable=False) for name in words),
        *(sa.Column(name, sa.LargeBinary(32), nullable=False, unique=True) for name in digests),
        sa.Column("file", _WORDS, nullable=False),
        sa.Column("passcode_hash", _WORDS, nullable=False),
        sa.Column("wrong_passcodes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("revoked_by", _WORDS, nullable=False, server_default=""),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.Column("openings", sa.Integer, nullable=False, server_default="0"),
        sa.Column("opened_at_ms", sa.BigInteger),
    )
    op.create_index("share_by_person", "share", ["person"])
    op.create_index("share_by_sharer", "share", ["sharer"])
    op.create_table(
        "share_session",
        sa.Column("secret_sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("public_id", _WORDS, nullable=False),
        sa.Column("share_pk", _KEY, sa.ForeignKey("share.pk"), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("share_session_by_share", "share_session", ["share_pk"])
    op.create_index("share_session_by_time", "share_session", ["until_ms"])
    op.create_table(
        "share_file",
        sa.Column("secret_sha256", sa.LargeBinary(32), primary_key=True),
        sa.Column("file", _WORDS, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
    )
