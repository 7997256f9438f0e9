"""An archive for tests of the people room, with short ways to register, and to see the state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from tests.archives import TestArchive

from huitong.access.work import Work
from huitong.imaging.tables import STUDY
from huitong.people import actions
from huitong.people.model import LinkEvent, Registered, Registration
from huitong.people.tables import PATIENT, PATIENT_IDENTIFIER, PATIENT_KEY, PERSON

LI_MING = "11010519491231002X"
OTHER = "440524188001010014"
DAY = datetime(2026, 3, 1, 8, tzinfo=UTC)


def certified(*numbers: str, kind: str = "GB11643") -> tuple[tuple[str, str], ...]:
    return tuple((kind, number) for number in numbers)


class Registry:
    """What institutions and registrars do in an archive."""

    def __init__(self, archive: TestArchive) -> None:
        self.archive = archive

    @property
    def registrar(self) -> Work:
        return self.archive.access.registrar("127.0.0.1")

    def register(self, key: str, *, hours: float = 0, **fields: Any) -> Registered:
        """`key` is "ISSUER/number"."""
        issuer, _, number = key.partition("/")
        said = Registration(issuer, number, DAY + timedelta(hours=hours), **fields)
        return actions.register(self.archive.sender(issuer), said)

    def id_of(self, key: str) -> str:
        issuer, _, number = key.partition("/")
        person = actions.person_of(self.archive.reader, issuer, number)
        assert person is not None
        return person.exchange_id

    def one(self, *keys: str) -> bool:
        """Whether all of these are one person."""
        return len({self.id_of(key) for key in keys}) == 1

    def asked(self) -> list[set[str]]:
        """The pairs of records that humans are asked about."""
        return [{f"{r.issuer}/{r.number}" for r in (each.low, each.high)} for each in actions.questions(self.registrar)]

    def answer(self, said: str, *keys: str) -> None:
        (pk,) = [
            each.pk
            for each in actions.questions(self.registrar)
            if {f"{r.issuer}/{r.number}" for r in (each.low, each.high)} == set(keys)
        ]
        actions.answer(self.registrar, pk, said)

    def join(self, one: str, other: str) -> None:
        """A registrar says that both are one person."""
        (issuer, _, number), (issuer_of_other, _, number_of_other) = one.partition("/"), other.partition("/")
        actions.join(self.registrar, (issuer, number), (issuer_of_other, number_of_other))

    def events(self, key: str) -> list[LinkEvent]:
        issuer, _, number = key.partition("/")
        person = actions.person_of(self.archive.reader, issuer, number)
        assert person is not None
        return actions.history(self.archive.reader, person)

    def state(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that says who is who and whose studies are whose, byte for byte."""
        with self.archive.store.database.read() as tx:
            return {
                table.name: [tuple(row) for row in tx.execute(select(table).order_by(*table.primary_key.columns))]
                for table in (PERSON, PATIENT, PATIENT_IDENTIFIER, PATIENT_KEY, STUDY)
            }
