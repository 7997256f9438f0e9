"""Objections, consents, guardians, emergencies; persons are found by whom they were joined into.

Revision: 0011
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _pk() -> "sa.Column[Any]":
    return sa.Column("pk", _KEY, primary_key=True, autoincrement=True)


def _words(*names: str) -> "list[sa.Column[Any]]":
    return [sa.Column(name, _WORDS, nullable=False) for name in names]


def _said() -> "list[sa.Column[Any]]":
    return [
        *_words("by"),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_by", _WORDS, nullable=False, server_default=""),
        sa.Column("ended_at_ms", sa.BigInteger),
    ]


def upgrade() -> None:
    op.create_table("objection", _pk(), *_words("person"), *_said())
    op.create_index("objection_by_person", "objection", ["person"])
    op.create_table("consent", _pk(), *_words("person", "sensitive_class", "institution"), *_said())
    op.create_index("consent_by_person", "consent", ["person"])
    op.create_table("guardianship", _pk(), *_words("guardian", "person", "basis"), *_said())
    op.create_index("guardianship_by_person", "guardianship", ["person"])
    op.create_index("guardianship_by_guardian", "guardianship", ["guardian"])
    op.create_table(
        "break_glass",
        _pk(),
        *_words("person", "account", "display", "institution", "reason"),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("verdict", _WORDS, nullable=False, server_default=""),
        sa.Column("reviewed_by", _WORDS, nullable=False, server_default=""),
        sa.Column("reviewed_at_ms", sa.BigInteger),
        sa.Column("note", _WORDS, nullable=False, server_default=""),
    )
    op.create_index("break_glass_by_person", "break_glass", ["person"])
    op.create_index("break_glass_by_verdict", "break_glass", ["verdict", "pk"])
    joined = sa.text("joined_into_pk IS NOT NULL")
    op.create_index("person_by_joined", "person", ["joined_into_pk"], sqlite_where=joined, postgresql_where=joined)
