"""Patients for the tests of cards: registered, joined and split as institutions and registrars do it."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.archives import TestArchive

from huitong.people import actions
from huitong.people.model import RecordKey, Registration

EARLY, LATER = (datetime(2026, 3, day, tzinfo=UTC) for day in (1, 2))


def register(
    archive: TestArchive,
    number: str,
    name: str,
    certificate: str = "",
    institution: str = "TAIYUAN",
    *,
    sex: str | None = None,
    birth_date: str | None = None,
) -> str:
    """The exchange id of the patient's person."""
    certificates = (("GB11643", certificate),) if certificate else None
    said = Registration(
        institution, number, EARLY, names=(name,), sex=sex, birth_date=birth_date, certificates=certificates
    )
    return actions.register(archive.sender(institution), said).exchange_id


def give(archive: TestArchive, number: str, certificate: str, institution: str = "TAIYUAN") -> None:
    """The patient's citizen number has come."""
    said = Registration(institution, number, LATER, certificates=(("GB11643", certificate),))
    actions.register(archive.sender(institution), said)


def join(archive: TestArchive, one: RecordKey, other: RecordKey) -> str:
    """A registrar says that both are one person, whose exchange id is given."""
    actions.join(archive.access.registrar("127.0.0.1"), one, other)
    person = actions.person_of(archive.reader, *one)
    assert person is not None
    return person.exchange_id


def split(archive: TestArchive, record: RecordKey) -> None:
    """The last join of the record's person is undone."""
    person = actions.person_of(archive.reader, *record)
    assert person is not None
    event = actions.history(archive.reader, person)[-1]
    actions.split(archive.access.registrar("127.0.0.1"), event.pk)
