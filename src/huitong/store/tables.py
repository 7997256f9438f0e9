"""The tables every room stands on. Each room adds its own to `METADATA`; migrations create them all."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

#: Compared byte by byte, as SQLite does: dates, UIDs and numbers go in the same order on both.
Words = Text().with_variant(Text(collation="C"), "postgresql")

#: SQLite gives rowid keys only to INTEGER; PostgreSQL needs 64 bits.
Key = BigInteger().with_variant(Integer, "sqlite")


def sorted_json(body: Any) -> str:
    """JSON as columns keep it: keys in order, so that the same is the same text."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


PACK = Table(
    "pack",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("name", Words, nullable=False, unique=True),
    #: Every record before this offset is in the index.
    Column("indexed_bytes", BigInteger, nullable=False, server_default="0"),
    #: Whether its writer is gone and its end has been judged: nothing will be appended.
    Column("sealed", Integer, nullable=False, server_default="0"),
    #: When all that it held had been written to another (milliseconds): it is deleted some time after.
    Column("emptied_at_ms", BigInteger),
)
_EMPTIED = PACK.c.emptied_at_ms.is_not(None)
Index("pack_emptied", PACK.c.emptied_at_ms, sqlite_where=_EMPTIED, postgresql_where=_EMPTIED)
_OPEN = PACK.c.sealed == 0
Index("pack_open", PACK.c.name, sqlite_where=_OPEN, postgresql_where=_OPEN)

#: What processes tell one another of the store as a whole.
MARK = Table("mark", METADATA, Column("name", Words, primary_key=True), Column("value", Words, nullable=False))

LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", Key, primary_key=True, autoincrement=True),
    #: Milliseconds since 1970-01-01 UTC.
    Column("at_ms", BigInteger, nullable=False),
    #: Room and fact, as in `imaging.study_settled`.
    Column("kind", Words, nullable=False),
    Column("institution", Words, nullable=False),
    #: What it is about, in the room's own words.
    Column("subject", Words, nullable=False),
    #: JSON with sorted keys.
    Column("body", Words, nullable=False),
    #: SHA-256 over the hash of the line before and this line.
    Column("hash", LargeBinary(32), nullable=False),
    sqlite_autoincrement=True,
)
Index("ledger_by_subject", LEDGER.c.subject, LEDGER.c.kind)
