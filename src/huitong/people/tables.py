"""The tables of the people room."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from huitong.people.cards import tables as cards
from huitong.people.message_tables import HL7_MESSAGE, VISIT
from huitong.store.tables import METADATA, Key, Words

PERSON = Table(
    "person",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("exchange_id", Words, nullable=False, unique=True),
    #: The person that this one was joined into; NULL for one that stands for itself.
    Column("joined_into_pk", ForeignKey("person.pk")),
)
_JOINED = PERSON.c.joined_into_pk.is_not(None)
Index("person_by_joined", PERSON.c.joined_into_pk, sqlite_where=_JOINED, postgresql_where=_JOINED)

PATIENT = Table(
    "patient",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: Code of the institution whose number it is.
    Column("issuer", Words, nullable=False),
    Column("number", Words, nullable=False),
    Column("person_pk", ForeignKey("person.pk"), nullable=False),
    #: The person that was made with the record, and whose it is while no join stands. Not checked.
    Column("first_person_pk", Key, nullable=False, server_default="0"),
    #: Lists are written one entry a line.
    Column("names", Words, nullable=False),
    Column("sex", Words, nullable=False),
    Column("birth_date", Words, nullable=False),
    Column("phones", Words, nullable=False),
    Column("address", Words, nullable=False),
    Column("mother_name", Words, nullable=False),
    Column("birth_order", Integer),
    #: JSON: field -> when that was so, in milliseconds; 0 for what only images say.
    Column("said", Words, nullable=False),
    Column("revision", Integer, nullable=False),
    #: Compared with others when this has caught up with `revision`.
    Column("matched_revision", Integer, nullable=False, server_default="0"),
    #: The record of the number that is used instead. Not checked: it may be the younger, which a move copies later.
    Column("merged_into_pk", Key),
    Column("active", Integer, nullable=False, server_default="1"),
    UniqueConstraint("issuer", "number"),
)
Index("patient_by_person", PATIENT.c.person_pk)
Index("patient_by_number", PATIENT.c.number)
Index("patient_by_birth_date", PATIENT.c.birth_date, PATIENT.c.person_pk)
_UNMATCHED = PATIENT.c.matched_revision < PATIENT.c.revision
Index("patient_unmatched", PATIENT.c.pk, sqlite_where=_UNMATCHED, postgresql_where=_UNMATCHED)

PATIENT_IDENTIFIER = Table(
    "patient_identifier",
    METADATA,
    Column("patient_pk", ForeignKey("patient.pk"), primary_key=True),
    #: "own" or "mother".
    Column("whose", Words, primary_key=True),
    #: As in `identifiers.KINDS`, or as the sender calls it.
    Column("kind", Words, primary_key=True),
    #: As `identifiers.normal` has it; as it came where it proves nothing.
    Column("value", Words, primary_key=True),
    #: Whether it has the form and the check digit of its kind: what has not is shown, and compared with nothing.
    Column("sound", Integer, nullable=False),
)
Index("patient_identifier_by_value", PATIENT_IDENTIFIER.c.value, PATIENT_IDENTIFIER.c.kind)

#: What a record is looked up by: keys of the score ("k:…"), forms of its names ("n:…").
PATIENT_KEY = Table(
    "patient_key",
    METADATA,
    Column("key", Words, primary_key=True),
    Column("patient_pk", ForeignKey("patient.pk"), primary_key=True),
)
Index("patient_key_by_patient", PATIENT_KEY.c.patient_pk)

#: Joins and splits as they happened; only `undone_by_pk` is ever set later.
LINK_EVENT = Table(
    "link_event",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    #: "join" or "split".
    Column("kind", Words, nullable=False),
    Column("kept_pk", ForeignKey("person.pk"), nullable=False),
    Column("other_pk", ForeignKey("person.pk"), nullable=False),
    Column("kept_patient_pk", ForeignKey("patient.pk"), nullable=False),
    Column("other_patient_pk", ForeignKey("patient.pk"), nullable=False),
    #: JSON: keys of `patient`, in order.
    Column("moved", Words, nullable=False),
    #: JSON: `model.Evidence.body()`.
    Column("evidence", Words, nullable=False),
    Column("who", Words, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("undoes_pk", Key),
    Column("undone_by_pk", Key),
)
Index("link_event_by_kept", LINK_EVENT.c.kept_pk)
Index("link_event_by_other", LINK_EVENT.c.other_pk)

#: One for each pair of records that a human has had to do with.
QUESTION = Table(
    "question",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("low_pk", ForeignKey("patient.pk"), nullable=False),
    Column("high_pk", ForeignKey("patient.pk"), nullable=False),
    #: "open", "joined", "apart" or "withdrawn".
    Column("state", Words, nullable=False),
    Column("evidence", Words, nullable=False),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("who", Words, nullable=False, server_default=""),
    Column("answered_at_ms", BigInteger),
    Column("note", Words, nullable=False, server_default=""),
    UniqueConstraint("low_pk", "high_pk"),
)
Index("question_by_high", QUESTION.c.high_pk)
Index("question_by_state", QUESTION.c.state, QUESTION.c.pk)

#: In the order in which one refers to another.
TABLES = (PERSON, PATIENT, PATIENT_IDENTIFIER, PATIENT_KEY, LINK_EVENT, QUESTION, VISIT, HL7_MESSAGE, *cards.TABLES)
#: Those whose rows are numbered by the database.
NUMBERED = (PERSON, PATIENT, LINK_EVENT, QUESTION, VISIT, *cards.NUMBERED)
