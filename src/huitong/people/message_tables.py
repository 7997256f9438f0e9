"""The tables of what HL7 messages told: visits, and which messages were taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, UniqueConstraint

from huitong.store.tables import METADATA, Key, Words

VISIT = Table(
    "visit",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("institution", Words, nullable=False),
    Column("patient_number", Words, nullable=False),
    #: Empty where the institution numbers none.
    Column("number", Words, nullable=False),
    #: HL7 table 0004.
    Column("patient_class", Words, nullable=False),
    Column("opened_at_ms", BigInteger),
    #: NULL while it is open.
    Column("closed_at_ms", BigInteger),
    #: Of the newest message about it.
    Column("effective_at_ms", BigInteger, nullable=False),
    UniqueConstraint("institution", "patient_number", "number"),
)

#: Messages that were taken, kept for as long as a sender may repeat them.
HL7_MESSAGE = Table(
    "hl7_message",
    METADATA,
    Column("institution", Words, primary_key=True),
    #: MSH-3 and MSH-10.
    Column("application", Words, primary_key=True),
    Column("control_id", Words, primary_key=True),
    #: SHA-256 of all but MSH-7: senders that start anew begin to count anew.
    Column("sha256", LargeBinary(32), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
)
Index("hl7_message_by_time", HL7_MESSAGE.c.at_ms)
