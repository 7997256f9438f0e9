"""The tables every room stands on. Each room adds its own to `METADATA`; migrations create them all."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

METADATA = MetaData()

#: SQLite gives rowid keys only to INTEGER; PostgreSQL needs 64 bits.
Key = BigInteger().with_variant(Integer, "sqlite")

PACK = Table(
    "pack",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    #: Every record before this offset is in the index.
    Column("indexed_bytes", BigInteger, nullable=False, server_default="0"),
    #: Whether its writer is gone and its end has been judged: nothing will be appended.
    Column("sealed", Integer, nullable=False, server_default="0"),
)

LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", Key, primary_key=True, autoincrement=True),
    #: Milliseconds since 1970-01-01 UTC.
    Column("at_ms", BigInteger, nullable=False),
    #: Room and fact, as in `imaging.study_settled`.
    Column("kind", Text, nullable=False),
    Column("institution", Text, nullable=False),
    #: What it is about, in the room's own words.
    Column("subject", Text, nullable=False),
    #: JSON with sorted keys.
    Column("body", Text, nullable=False),
    #: SHA-256 over the hash of the line before and this line.
    Column("hash", LargeBinary(32), nullable=False),
    sqlite_autoincrement=True,
)
Index("ledger_by_subject", LEDGER.c.subject, LEDGER.c.kind)
