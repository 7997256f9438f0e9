"""The tables of rights: objections, consents, guardians, and emergencies in which the glass was broken.

Persons are named by exchange id, as they were when it was said: after a join all ids that lead to a person count, and
after a split each side keeps its own. Rows are ended, never removed.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Table

from huitong.access import audit_tables as audit
from huitong.access.accounts import tables as accounts
from huitong.access.openid import tables as openid
from huitong.access.sharing import tables as sharing
from huitong.access.systems import tables as systems
from huitong.store.tables import METADATA, Key, Words


def _said() -> list[Column[object]]:
    """Who said it and when, and who took it back and when; NULL while it holds."""
    return [
        Column("by", Words, nullable=False),
        Column("at_ms", BigInteger, nullable=False),
        Column("ended_by", Words, nullable=False, server_default=""),
        Column("ended_at_ms", BigInteger),
    ]


OBJECTION = Table(
    "objection",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("person", Words, nullable=False),
    *_said(),
)
Index("objection_by_person", OBJECTION.c.person)

CONSENT = Table(
    "consent",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("person", Words, nullable=False),
    #: As in `catalog.access.SENSITIVE`.
    Column("sensitive_class", Words, nullable=False),
    #: To whom; empty for all.
    Column("institution", Words, nullable=False),
    *_said(),
)
Index("consent_by_person", CONSENT.c.person)

GUARDIANSHIP = Table(
    "guardianship",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: The guardian.
    Column("guardian", Words, nullable=False),
    #: The child.
    Column("person", Words, nullable=False),
    #: What shows it: "birth-certificate", "household-register" or "court" (a text of those named before 0018).
    Column("basis", Words, nullable=False),
    #: What was seen of it: its number, and the office that issued it.
    Column("evidence", Words, nullable=False, server_default=""),
    *_said(),
)
Index("guardianship_by_person", GUARDIANSHIP.c.person)
Index("guardianship_by_guardian", GUARDIANSHIP.c.guardian)

BREAK_GLASS = Table(
    "break_glass",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("person", Words, nullable=False),
    #: Whose emergency it was: nobody else sees by it.
    Column("account", Words, nullable=False),
    Column("display", Words, nullable=False),
    Column("institution", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    #: "" while nobody has looked, then "justified" or "unjustified".
    Column("verdict", Words, nullable=False, server_default=""),
    Column("reviewed_by", Words, nullable=False, server_default=""),
    Column("reviewed_at_ms", BigInteger),
    Column("note", Words, nullable=False, server_default=""),
)
Index("break_glass_by_person", BREAK_GLASS.c.person)
Index("break_glass_by_verdict", BREAK_GLASS.c.verdict, BREAK_GLASS.c.pk)

_RIGHTS = (OBJECTION, CONSENT, GUARDIANSHIP, BREAK_GLASS)
#: All of the room, in the order in which one refers to another.
TABLES = (*_RIGHTS, *audit.TABLES, *accounts.TABLES, *openid.TABLES, *systems.TABLES, *sharing.TABLES)
#: Those whose rows are numbered by the database.
NUMBERED = (*_RIGHTS, *audit.NUMBERED, *accounts.NUMBERED, *systems.NUMBERED, *sharing.NUMBERED)
