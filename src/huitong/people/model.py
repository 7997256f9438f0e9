"""What the people room takes and hands out: registrations, records, persons, links with their evidence, questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: (kind, number): a certificate, kind as in `identifiers.KINDS`.
Certificate = tuple[str, str]
#: HL7 table 0203, as DICOM (Identifier Type Code) and HL7 v2 write it, and the kinds themselves -> kind.
CERTIFICATE_TYPES = {
    "NI": "GB11643", "NNCHN": "GB11643", "GB11643": "GB11643", "PPN": "passport", "PASSPORT": "passport",
    "HMT": "HMT", "TWT": "TWT",
}  # fmt: skip
#: (issuer, number): a record, as its institution names it.
RecordKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Demographics:
    """What is known of somebody, as far as it is."""

    #: Each form as it was received: "family^given" or plain; hanzi and Latin letters.
    names: tuple[str, ...] = ()
    #: "M", "F", "O" or empty.
    sex: str = ""
    #: YYYYMMDD or empty.
    birth_date: str = ""
    phones: tuple[str, ...] = ()
    address: str = ""
    mother_name: str = ""
    mother_certificates: tuple[Certificate, ...] = ()
    #: Among the children of one birth, from 1.
    birth_order: int | None = None
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Registration:
    """What an institution says of one of its patients. None: nothing was said of it; empty: it is to be forgotten."""

    issuer: str
    number: str
    #: When this was so: of two that say something of one field, that of the later time is right.
    effective_at: datetime
    names: tuple[str, ...] | None = None
    sex: str | None = None
    birth_date: str | None = None
    phones: tuple[str, ...] | None = None
    address: str | None = None
    mother_name: str | None = None
    mother_certificates: tuple[Certificate, ...] | None = None
    birth_order: int | None = None
    certificates: tuple[Certificate, ...] | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of a registration."""

    exchange_id: str
    #: The record was not known before.
    new: bool
    #: It says something else now than before.
    changed: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What one institution registered under one patient number."""

    pk: int
    issuer: str
    number: str
    known: Demographics
    #: When the newest of what is known was so; 1970 where only images speak of it.
    effective_at: datetime
    #: Counts the changes.
    revision: int
    #: The number that the institution uses instead of this one; empty where this one is in use.
    merged_into: str
    active: bool
    person_pk: int
    #: Whose it is while no join stands.
    first_person_pk: int

    @property
    def key(self) -> RecordKey:
        return self.issuer, self.number


@dataclass(frozen=True, slots=True)
class Person:
    """One human being, as far as is known."""

    pk: int
    exchange_id: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """What one field adds. Beside the fields: `prior`, `relatives`, and `guard` with the name of the guard as level."""

    field: str
    level: str
    weight_bits: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why two records are held to be one person, or not, or why a human has to say."""

    #: Name of the rule, as in `rules.RULES`.
    rule: str
    #: Of the score; None where no score was needed.
    probability: float | None = None
    weight_bits: float | None = None
    agreements: tuple[Agreement, ...] = ()

    def body(self) -> dict[str, Any]:
        """As it is kept (JSON)."""
        lines = [[a.field, a.level, round(a.weight_bits, 3)] for a in self.agreements]
        score = {} if self.probability is None else {"probability": self.probability, "weight_bits": self.weight_bits}
        return {"rule": self.rule, **score, **({"agreements": lines} if lines else {})}

    @classmethod
    def of(cls, body: dict[str, Any]) -> Evidence:
        lines = tuple(Agreement(*line) for line in body.get("agreements", ()))
        return cls(body["rule"], body.get("probability"), body.get("weight_bits"), lines)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be of the person who is looked for."""

    record: Record
    exchange_id: str
    #: "join", "ask" or "apart".
    decision: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Question:
    """Whether two records are one person, for a human to say."""

    pk: int
    low: Record
    high: Record
    #: "open", "joined", "apart", or "withdrawn" where a rule has answered it meanwhile.
    state: str
    evidence: Evidence
    asked_at: datetime
    #: Who answered, when, and what they said of it; empty and None while it is open.
    by: str = ""
    answered_at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A join or a split of two persons."""

    pk: int
    #: "join" or "split".
    kind: str
    #: Exchange ids: of the person that stays, and of the other.
    kept: str
    other: str
    #: The two records whose likeness is the reason.
    kept_record: RecordKey
    other_record: RecordKey
    #: Records that went from one person to the other.
    moved: tuple[RecordKey, ...]
    evidence: Evidence
    by: str
    at: datetime
    #: The join that a split undid; the split by which a join was undone.
    undoes: int | None = None
    undone_by: int | None = None


@dataclass(frozen=True, slots=True)
class PersonPage:
    """All that is shown of a person."""

    person: Person
    records: list[Record]
    events: list[LinkEvent]
    #: Open questions about the records.
    questions: list[Question] = field(default_factory=list)
    #: What humans have said of them, oldest first.
    answers: list[Question] = field(default_factory=list)
