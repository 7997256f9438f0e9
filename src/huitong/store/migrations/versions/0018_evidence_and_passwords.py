"""What was seen of the document by which somebody is a guardian, and whose password somebody else knows.

Revision: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("guardianship", sa.Column("evidence", _WORDS, nullable=False, server_default=""))
    op.add_column("account", sa.Column("password_known", sa.Integer, nullable=False, server_default="0"))
