"""The tables of whom a provider knows: no token of it opens anything here."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table

from huitong.store.tables import METADATA, Key, Words

#: Whose account somebody is whom a provider names. Together `issuer` and `sub` never name another (Core 5.7).
PROVIDER_ACCOUNT = Table(
    "provider_account",
    METADATA,
    Column("issuer", Words, primary_key=True),
    Column("sub", Words, primary_key=True),
    Column("account_pk", Key, ForeignKey("account.pk"), nullable=False),
    #: Whether name, institution and roles are as the provider says, anew at each sign-in.
    Column("follows", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
Index("provider_account_by_account", PROVIDER_ACCOUNT.c.account_pk, PROVIDER_ACCOUNT.c.issuer, unique=True)

#: Sessions here that began there. A session that has ended leaves its row until its time would have been over anyway.
PROVIDER_SESSION = Table(
    "provider_session",
    METADATA,
    Column("public_id", Words, primary_key=True),
    Column("issuer", Words, nullable=False),
    Column("sub", Words, nullable=False),
    #: The provider's own name of its session; empty where it has said none.
    Column("sid", Words, nullable=False),
    #: By which the provider is told whose session to end (RP-Initiated Logout 1.0, 2).
    Column("id_token", Words, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
)
Index("provider_session_by_sub", PROVIDER_SESSION.c.issuer, PROVIDER_SESSION.c.sub)
Index("provider_session_by_start", PROVIDER_SESSION.c.began_at_ms)

#: In the order in which one refers to another.
TABLES = (PROVIDER_ACCOUNT, PROVIDER_SESSION)
