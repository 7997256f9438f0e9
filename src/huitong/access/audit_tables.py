"""The tables of the audit: its lines, the heads of the tree over them, and the subtrees from which proofs are made."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table

from huitong.store.tables import METADATA, Key, Words

AUDIT = Table(
    "audit",
    METADATA,
    #: Without gaps: counted by the writer, who is alone.
    Column("seq", Key, primary_key=True, autoincrement=True),
    #: Milliseconds since 1970-01-01 UTC.
    Column("at_ms", BigInteger, nullable=False),
    #: Who, through which door, from where; JSON with sorted keys.
    Column("asker", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("allowed", Integer, nullable=False),
    Column("rule", Words, nullable=False),
    Column("purpose", Words, nullable=False),
    #: Exchange id, empty where no person is known.
    Column("person", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("object", Words, nullable=False),
    Column("institution", Words, nullable=False),
    #: JSON with sorted keys.
    Column("detail", Words, nullable=False),
    #: SHA-256 over the hash of the line before and this line, of which the columns below are no part.
    Column("hash", LargeBinary(32), nullable=False),
    #: What `asker` says of them, to be searched by: `name` and `institution`, empty where it has none.
    Column("account", Words, nullable=False, server_default=""),
    Column("asker_institution", Words, nullable=False, server_default=""),
)
Index("audit_by_person", AUDIT.c.person, AUDIT.c.seq)
Index("audit_by_account", AUDIT.c.account, AUDIT.c.seq)
Index("audit_by_asker_institution", AUDIT.c.asker_institution, AUDIT.c.seq)
Index("audit_by_action", AUDIT.c.action, AUDIT.c.seq)
Index("audit_by_object", AUDIT.c.object, AUDIT.c.seq)
Index("audit_by_time", AUDIT.c.at_ms, AUDIT.c.seq)
_REFUSED = AUDIT.c.allowed == 0
Index("audit_refused", AUDIT.c.seq, sqlite_where=_REFUSED, postgresql_where=_REFUSED)

#: What the log was when it had `size` lines. Never altered or removed.
AUDIT_HEAD = Table(
    "audit_head",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    #: When it was made, milliseconds since 1970-01-01 UTC; not signed.
    Column("at_ms", BigInteger, nullable=False),
    #: The tree as `merkle.Frontier` has it, its hashes one behind another: the next head reads new lines only.
    Column("frontier", LargeBinary, nullable=False),
    #: Of line `size`: shows at once, before the next head, that the end was written anew.
    Column("last_hash", LargeBinary(32), nullable=False),
    #: The checkpoint as it is published, with its signature if it has one; names size and root.
    Column("note", Words, nullable=False),
)
#: Subtrees that are whole within the newest head, of level 8 and its multiples; derived from the lines.
AUDIT_NODE = Table(
    "audit_node",
    METADATA,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)

TABLES = (AUDIT, AUDIT_HEAD, AUDIT_NODE)
NUMBERED = (AUDIT,)
