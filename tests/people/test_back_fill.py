"""A store of studies from before there were persons gets its records when it is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, text
from tests.archives import archive_in
from tests.objects import part10
from tests.people.registry import Registry

from huitong.access.tables import TABLES as ACCESS
from huitong.imaging.tables import STUDY
from huitong.people import actions
from huitong.people.tables import PATIENT, TABLES


def test_records_that_were_there_know_the_person_they_began_with(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        registry = Registry(archive)
        keys = [f"TAIYUAN/{number}" for number in range(4)]
        for key in keys:
            registry.register(key, names=(key,))
        for one, other in ((1, 2), (0, 2), (3, 0)):
            registry.join(keys[one], keys[other])
        whole = registry.state()
        with archive.store.database.write() as tx:
            tx.execute(text("ALTER TABLE patient DROP COLUMN first_person_pk"))
            tx.execute(text("UPDATE alembic_version SET version_num = '0019'"))
        archive.store.database.migrate()
        assert registry.state() == whole


def test_studies_that_were_there_get_their_records_and_persons(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10(PatientID="P0001", PatientName="Li^Ming=李^明"), part10(PatientID="P0001"))
        archive.keep_now(part10(PatientID="P0001", PatientName="王^芳"), part10(PatientID=None), institution="YUNCHENG")
        with archive.store.database.read() as tx:
            wanted = select(PATIENT.c.issuer, PATIENT.c.number, PATIENT.c.names, PATIENT.c.sex, PATIENT.c.said)
            before = {row.issuer: tuple(row) for row in tx.execute(wanted)}
        with archive.store.database.write() as tx:
            tx.execute(text("DROP INDEX study_by_record"))
            tx.execute(text("ALTER TABLE study DROP COLUMN patient_pk"))
            for table in reversed((*ACCESS, *TABLES)):
                tx.execute(text(f"DROP TABLE {table.name}"))
            tx.execute(text("ALTER TABLE endpoint DROP COLUMN certificate_name"))
            tx.execute(text("UPDATE alembic_version SET version_num = '0005'"))
        archive.store.database.migrate()
        with archive.store.database.read() as tx:
            assert {row.issuer: tuple(row) for row in tx.execute(wanted)} == before
            whose = select(STUDY.c.institution, STUDY.c.patient_id, PATIENT.c.issuer, PATIENT.c.number)
            found = tx.execute(whose.join_from(STUDY, PATIENT, PATIENT.c.pk == STUDY.c.patient_pk)).all()
            assert len(found) == 3
            assert all((r.institution, r.patient_id) == (r.issuer, r.number) for r in found)
        archive.match()
        persons = actions.persons_of(archive.reader, [("TAIYUAN", "P0001"), ("YUNCHENG", "P0001")])
        assert len({person.exchange_id for person in persons.values()}) == 2
        [kept] = archive.keep_now(part10(PatientID="P0002"))
        assert not isinstance(kept, BaseException)
