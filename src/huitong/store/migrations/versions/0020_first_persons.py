"""Which person was made with a record: whose it is while no join stands.

It is the one that the record's first join took it from; of a record that was never moved it is the one it has.

Revision: 0020
"""

from __future__ import annotations

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_AT_ONCE = 1000


def upgrade() -> None:
    op.add_column("patient", sa.Column("first_person_pk", _KEY, nullable=False, server_default="0"))
    op.execute("UPDATE patient SET first_person_pk = person_pk")
    _of_the_moved()


def _of_the_moved() -> None:
    link = op.get_bind()
    first: dict[int, int] = {}
    for row in link.execute(sa.text("SELECT other_pk, moved FROM link_event WHERE kind = 'join' ORDER BY pk")):
        for pk in orjson.loads(row.moved):
            first.setdefault(pk, row.other_pk)
    rows = [{"pk": pk, "first": person} for pk, person in first.items()]
    change = sa.text("UPDATE patient SET first_person_pk = :first WHERE pk = :pk")
    for at in range(0, len(rows), _AT_ONCE):
        link.execute(change, rows[at : at + _AT_ONCE])
