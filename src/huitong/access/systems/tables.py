"""The tables of systems' clients. Neither a secret nor a token is in them: public keys and digests are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from huitong.store.tables import METADATA, Key, Words

CLIENT = Table(
    "client",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("client_id", Words, nullable=False, unique=True),
    Column("institution", Words, nullable=False),
    Column("name", Words, nullable=False),
    #: JWK Set (RFC 7517) as it was registered; empty where `jwks_url` says where it is.
    Column("jwks", Words, nullable=False),
    Column("jwks_url", Words, nullable=False),
    #: Scopes that it may be granted, separated by spaces.
    Column("scopes", Words, nullable=False),
    #: From where it may ask, separated by spaces; empty for everywhere.
    Column("networks", Words, nullable=False),
    Column("active", Integer, nullable=False),
    Column("added_at_ms", BigInteger, nullable=False),
)
#: Assertions that were taken, for as long as they could be shown again.
ASSERTION = Table(
    "client_assertion",
    METADATA,
    Column("client_pk", ForeignKey("client.pk"), primary_key=True, autoincrement=False),
    Column("jti_sha256", LargeBinary(32), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
)
Index("client_assertion_by_time", ASSERTION.c.until_ms)
TOKEN = Table(
    "client_token",
    METADATA,
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("client_pk", ForeignKey("client.pk"), nullable=False),
    Column("scopes", Words, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    #: Fingerprint of the certificate with which it was asked for, lower-case hex; empty where none was shown.
    Column("certificate", Words, nullable=False, server_default=""),
)
Index("client_token_by_time", TOKEN.c.until_ms)

#: In the order in which one refers to another.
TABLES = (CLIENT, ASSERTION, TOKEN)
#: Those whose rows are numbered by the database.
NUMBERED = (CLIENT,)
