"""The tables of shares and of the browsers in which they were opened. Of secrets there are digests alone."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from huitong.store.tables import METADATA, Key, Words

SHARE = Table(
    "share",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: What lists and audit name it by; opens nothing.
    Column("public_id", Words, nullable=False, unique=True),
    #: Whose study it is, and who shared it: the person, or a child's guardian. Exchange ids of that day.
    Column("person", Words, nullable=False),
    Column("sharer", Words, nullable=False),
    #: The account.
    Column("by", Words, nullable=False),
    Column("institution", Words, nullable=False),
    Column("study_uid", Words, nullable=False),
    Column("label", Words, nullable=False),
    #: Of what programs, our page, and DICOMweb are shown.
    Column("manifest_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("page_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("token_sha256", LargeBinary(32), nullable=False, unique=True),
    #: A JWE whose key stands in the link alone: it says who the person is and holds the token.
    Column("file", Words, nullable=False),
    #: As argon2 writes it (RFC 9106); empty without one.
    Column("passcode_hash", Words, nullable=False),
    Column("wrong_passcodes", Integer, nullable=False, server_default="0"),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("revoked_by", Words, nullable=False, server_default=""),
    #: NULL while it holds.
    Column("revoked_at_ms", BigInteger),
    Column("openings", Integer, nullable=False, server_default="0"),
    Column("opened_at_ms", BigInteger),
)
Index("share_by_person", SHARE.c.person)
Index("share_by_sharer", SHARE.c.sharer)

SHARE_SESSION = Table(
    "share_session",
    METADATA,
    Column("secret_sha256", LargeBinary(32), primary_key=True),
    Column("public_id", Words, nullable=False),
    Column("share_pk", ForeignKey("share.pk"), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
Index("share_session_by_share", SHARE_SESSION.c.share_pk)
Index("share_session_by_time", SHARE_SESSION.c.until_ms)

#: Encrypted files that a program fetches in a second step, each once.
SHARE_FILE = Table(
    "share_file",
    METADATA,
    Column("secret_sha256", LargeBinary(32), primary_key=True),
    Column("share_pk", ForeignKey("share.pk"), nullable=False),
    Column("file", Words, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)

TABLES = (SHARE, SHARE_SESSION, SHARE_FILE)
#: Those whose rows are numbered by the database.
NUMBERED = (SHARE,)
