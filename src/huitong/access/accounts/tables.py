"""The tables of accounts and sessions."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table

from huitong.store.tables import METADATA, Key, Words

ACCOUNT = Table(
    "account",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: As `model.folded_name` has it.
    Column("name", Words, nullable=False, unique=True),
    Column("display", Words, nullable=False),
    #: "staff" or "person".
    Column("kind", Words, nullable=False),
    Column("institution", Words, nullable=False, server_default=""),
    #: Separated by blanks.
    Column("roles", Words, nullable=False, server_default=""),
    #: Exchange id of a resident.
    Column("person", Words, nullable=False, server_default=""),
    #: As argon2 writes it, parameters included (RFC 9106).
    Column("password_hash", Words, nullable=False, server_default=""),
    #: 1 where somebody else made the password: the next sign-in chooses another before it opens anything.
    Column("password_known", Integer, nullable=False, server_default="0"),
    #: Base32 (RFC 6238) as `sealing` keeps it; empty where none is enrolled.
    Column("totp_secret", Words, nullable=False, server_default=""),
    #: The last step whose code was taken: no code is taken twice (RFC 6238 5.2).
    Column("totp_step", BigInteger, nullable=False, server_default="0"),
    Column("active", Integer, nullable=False, server_default="1"),
    Column("made_at_ms", BigInteger, nullable=False),
)

SESSION = Table(
    "session",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: What lists and audit name it by; opens nothing.
    Column("public_id", Words, nullable=False, unique=True),
    Column("secret_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("account_pk", ForeignKey("account.pk"), nullable=False),
    #: As `model.Stage`.
    Column("stage", Words, nullable=False),
    #: What is being enrolled, sealed, until its first code has been seen.
    Column("totp_secret", Words, nullable=False, server_default=""),
    Column("host", Words, nullable=False),
    #: Browser and system, as `model.device_of` read them from User-Agent.
    Column("device", Words, nullable=False, server_default=""),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger, nullable=False),
)
Index("session_by_account", SESSION.c.account_pk)
Index("session_by_start", SESSION.c.began_at_ms)

SIGN_IN_FAILURE = Table(
    "sign_in_failure",
    METADATA,
    #: "account:" and a name, known or not, or "address:" and one.
    Column("subject", Words, primary_key=True),
    Column("failures", Integer, nullable=False),
    #: Of an account the last of them, of an address the first.
    Column("last_at_ms", BigInteger, nullable=False),
)
Index("sign_in_failure_by_time", SIGN_IN_FAILURE.c.last_at_ms)

TABLES = (ACCOUNT, SESSION, SIGN_IN_FAILURE)
#: Those whose rows are numbered by the database.
NUMBERED = (ACCOUNT, SESSION)
