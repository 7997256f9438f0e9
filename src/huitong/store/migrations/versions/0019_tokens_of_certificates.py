"""With which certificate a system's access token was asked for.

Revision: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("client_token", sa.Column("certificate", _WORDS, nullable=False, server_default=""))
