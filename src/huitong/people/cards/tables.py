"""The tables of health cards."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint

from huitong.store.tables import METADATA, Key, Words

CARD = Table(
    "card",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("card_id", Words, nullable=False, unique=True),
    #: The record it was issued for: the card goes with it when people are joined and split.
    Column("patient_pk", ForeignKey("patient.pk"), nullable=False),
    #: Certificate as it was used: type of CV02.01.101 and number.
    Column("kind", Words, nullable=False),
    Column("number", Words, nullable=False),
    #: SM3 of certificate and name: what the holder's key is derived from.
    Column("mindex", LargeBinary(32), nullable=False),
    Column("key_version", Integer, nullable=False),
    #: `model.Attribute` and `model.State`.
    Column("attribute", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("issued_at_ms", BigInteger, nullable=False),
    Column("institution", Words, nullable=False),
    #: The formal card that took the place of a temporary one; no foreign key, as rows are moved in the order of theirs.
    Column("replaced_by_pk", Key),
    UniqueConstraint("kind", "number"),
)
Index("card_by_patient", CARD.c.patient_pk)

CARD_USE = Table(
    "card_use",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("card_pk", ForeignKey("card.pk"), nullable=False),
    Column("step", Words, nullable=False),
    Column("terminal_id", Words, nullable=False),
    Column("terminal_type", Words, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    #: Empty where a reader without institution scanned it.
    Column("institution", Words, nullable=False),
    Column("dynamic", Integer, nullable=False),
)
Index("card_use_by_card", CARD_USE.c.card_pk, CARD_USE.c.at_ms)
Index("card_use_by_time", CARD_USE.c.at_ms, CARD_USE.c.step)

#: Dynamic codes that were taken, for as long as they could be shown again.
CARD_CODE = Table(
    "card_code",
    METADATA,
    Column("card_pk", ForeignKey("card.pk"), primary_key=True, autoincrement=False),
    Column("until_ms", BigInteger, primary_key=True, autoincrement=False),
)
Index("card_code_by_time", CARD_CODE.c.until_ms)

#: In the order in which one refers to another.
TABLES = (CARD, CARD_USE, CARD_CODE)
#: Those whose rows are numbered by the database.
NUMBERED = (CARD, CARD_USE)
