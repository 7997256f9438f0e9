"""Searches by person: two hospitals' P0001 never mix, and one person's studies of all hospitals come together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydicom.dataset import Dataset
from tests.archives import TestArchive, archive_in
from tests.objects import part10
from tests.people import whole

from huitong.imaging import actions
from huitong.imaging.actions import reindex
from huitong.people import actions as people
from huitong.wire.query import Condition, Level, Match, Query

LI_MING = "11010519491231002X"
PATIENT_ID, ISSUER, OTHER_IDS = "00100020", "00100021", "00101002"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


def certificate(number: str, kind: str = "NI") -> list[Dataset]:
    item, qualifier = Dataset(), Dataset()
    item.PatientID, item.TypeOfPatientID = number, "TEXT"
    qualifier.IdentifierTypeCode = kind
    item.IssuerOfPatientIDQualifiersSequence = [qualifier]
    return [item]


def send(archive: TestArchive, institution: str, number: str | None, **attributes: Any) -> str:
    [kept] = archive.keep_now(part10(PatientID=number, **attributes), institution=institution)
    assert not isinstance(kept, BaseException)
    archive.match()
    return kept.study_uid


def by_number(archive: TestArchive, number: str, level: Level = Level.STUDY, **more: Any) -> list[dict[str, Any]]:
    return archive.find(level, Condition(PATIENT_ID, Match.EQUAL, (number,)), **more).rows


def uids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["0020000D"]["Value"][0] for row in rows}


def value(row: dict[str, Any], tag: str) -> Any:
    return row[tag]["Value"][0]


def id_of(archive: TestArchive, institution: str, number: str) -> str:
    person = people.person_of(archive.reader, institution, number)
    assert person is not None
    return person.exchange_id


def test_the_same_number_of_two_institutions_is_answered_as_two_persons(archive: TestArchive) -> None:
    ours = send(archive, "TAIYUAN", "P0001", PatientName="李^明")
    theirs = send(archive, "YUNCHENG", "P0001", PatientName="王^芳", PatientSex="F")
    rows = {row["0020000D"]["Value"][0]: row for row in archive.find().rows}
    assert value(rows[ours], PATIENT_ID) == id_of(archive, "TAIYUAN", "P0001")
    assert value(rows[theirs], PATIENT_ID) == id_of(archive, "YUNCHENG", "P0001")
    assert uids(by_number(archive, value(rows[ours], PATIENT_ID))) == {ours}
    assert uids(by_number(archive, value(rows[theirs], PATIENT_ID))) == {theirs}


def test_an_answer_has_the_exchange_as_issuer_and_the_number_of_the_institution_beside_it(archive: TestArchive) -> None:
    send(archive, "TAIYUAN", "P0001", OtherPatientIDsSequence=certificate(LI_MING))
    (row,) = archive.find().rows
    assert value(row, ISSUER) == "HUITONG"
    own, sent = row[OTHER_IDS]["Value"]
    assert (value(own, PATIENT_ID), value(own, ISSUER)) == ("P0001", "TAIYUAN")
    assert value(sent, PATIENT_ID) == LI_MING


@pytest.fixture
def one_person(archive: TestArchive) -> tuple[str, str, str]:
    """Two studies of one person under two numbers, and one of somebody else under one of these."""
    certified = {"PatientName": "李^明", "OtherPatientIDsSequence": certificate(LI_MING)}
    ours = send(archive, "TAIYUAN", "P0001", **certified)
    theirs = send(archive, "YUNCHENG", "2026-77", **certified)
    return ours, theirs, send(archive, "YUNCHENG", "P0001", PatientName="王^芳", PatientSex="F")


def test_one_persons_studies_of_all_institutions_come_together(
    archive: TestArchive, one_person: tuple[str, str, str]
) -> None:
    found = by_number(archive, id_of(archive, "TAIYUAN", "P0001"))
    assert uids(found) == set(one_person[:2])
    assert {value(row, PATIENT_ID) for row in found} == {id_of(archive, "YUNCHENG", "2026-77")}
    pattern = Condition(PATIENT_ID, Match.WILDCARD, (f"*{id_of(archive, 'TAIYUAN', 'P0001')}*",))
    assert uids(archive.find(Level.STUDY, pattern).rows) == set(one_person[:2])


def test_a_split_and_a_join_move_studies_at_once(archive: TestArchive, one_person: tuple[str, str, str]) -> None:
    registrar = archive.access.registrar("127.0.0.1")
    person = people.person_of(registrar, "TAIYUAN", "P0001")
    assert person is not None
    people.split(registrar, people.history(registrar, person)[0].pk)
    assert uids(by_number(archive, id_of(archive, "TAIYUAN", "P0001"))) == {one_person[0]}
    assert uids(by_number(archive, id_of(archive, "YUNCHENG", "2026-77"))) == {one_person[1]}
    gone = id_of(archive, "YUNCHENG", "2026-77")
    people.join(registrar, ("TAIYUAN", "P0001"), ("YUNCHENG", "2026-77"))
    assert uids(by_number(archive, gone)) == set(one_person[:2])


def test_join_split_and_join_again_answer_every_search_byte_for_byte(
    archive: TestArchive, one_person: tuple[str, str, str]
) -> None:
    registrar = archive.access.registrar("127.0.0.1")
    ids = {id_of(archive, "TAIYUAN", "P0001")}

    def answers() -> bytes:
        """All studies, series and instances, and those by each exchange id there ever was."""
        every = [archive.find(level, include=(PATIENT_ID, ISSUER, OTHER_IDS)).rows for level in Level]
        return orjson.dumps([every, [by_number(archive, each, level) for each in sorted(ids) for level in Level]])

    def last_join() -> int:
        person = people.person_of(registrar, "TAIYUAN", "P0001")
        assert person is not None
        return people.history(registrar, person)[-1].pk

    people.split(registrar, last_join())
    ids.add(id_of(archive, "YUNCHENG", "2026-77"))
    apart = answers()
    people.join(registrar, ("TAIYUAN", "P0001"), ("YUNCHENG", "2026-77"))
    joined = answers()
    assert joined != apart
    people.split(registrar, last_join())
    assert answers() == apart
    people.join(registrar, ("YUNCHENG", "2026-77"), ("TAIYUAN", "P0001"))
    assert answers() == joined


def test_join_split_and_join_again_give_the_same_answers_byte_for_byte(tmp_path: Path) -> None:
    """With images, beside all else that there is of people: what is kept, and what every address answers."""
    said = ("TAIYUAN", "H8"), ("YUNCHENG", "H8")

    def now(archive: TestArchive) -> tuple[dict[str, list[tuple[Any, ...]]], dict[str, bytes]]:
        kept = {name: rows for name, rows in whole.kept_by(archive).items() if name not in _TOLD}
        return kept, {at: body for at, body in whole.seen(archive).items() if not at.startswith(_TELLING)}

    with archive_in(tmp_path) as archive:
        whole.fill(archive)
        for (institution, number), name in zip(said, ("蒋^平", "沈^安"), strict=True):  # whom no rule would join
            send(archive, institution, number, PatientName=name, PatientBirthDate=None)
        archive.settle()
        registrar = archive.access.registrar("127.0.0.1")
        apart = now(archive)
        people.join(registrar, *said)
        joined = now(archive)
        assert joined != apart
        person = people.person_of(registrar, *said[0])
        assert person is not None
        assert len(uids(by_number(archive, person.exchange_id))) == 2
        people.split(registrar, people.history(registrar, person)[-1].pk)
        assert now(archive) == apart
        people.join(registrar, *said)
        assert now(archive) == joined
        people.split(registrar, people.history(registrar, person)[-1].pk)
        assert now(archive) == apart


#: What is told of joins and splits grows with each, and so does what the pages of people show of it.
_TOLD = ("link_event", "question", "ledger")
_TELLING = ("/person/", "/question/")


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
def test_series_and_instances_are_found_and_answered_by_person_too(
    archive: TestArchive, one_person: tuple[str, str, str], level: Level
) -> None:
    exchange_id = id_of(archive, "TAIYUAN", "P0001")
    found = by_number(archive, exchange_id, level)
    assert uids(found) == set(one_person[:2])
    assert {value(row, PATIENT_ID) for row in found} == {exchange_id}
    assert {value(row, PATIENT_ID) for row in archive.find(level, include=(PATIENT_ID,)).rows} == {
        exchange_id,
        id_of(archive, "YUNCHENG", "P0001"),
    }


def test_an_institutions_own_number_finds_those_who_have_it_and_an_issuer_narrows(
    archive: TestArchive, one_person: tuple[str, str, str]
) -> None:
    number = Condition(PATIENT_ID, Match.EQUAL, ("P0001",))
    assert uids(archive.find(Level.STUDY, number).rows) == {one_person[0], one_person[2]}
    issuer = Condition(ISSUER, Match.EQUAL, ("YUNCHENG",))
    assert uids(archive.find(Level.STUDY, number, issuer).rows) == {one_person[2]}
    ours = Condition(ISSUER, Match.EQUAL, ("HUITONG",))
    exchange = Condition(PATIENT_ID, Match.EQUAL, (id_of(archive, "TAIYUAN", "P0001"),))
    assert uids(archive.find(Level.STUDY, exchange, ours).rows) == set(one_person[:2])


def test_at_an_institutions_own_root_all_is_as_it_was_sent(
    archive: TestArchive, one_person: tuple[str, str, str]
) -> None:
    (row,) = archive.find(Level.STUDY, institution="TAIYUAN").rows
    assert value(row, PATIENT_ID) == "P0001"
    assert OTHER_IDS not in row
    assert uids(by_number(archive, "P0001", institution="YUNCHENG")) == {one_person[2]}
    assert by_number(archive, id_of(archive, "TAIYUAN", "P0001"), institution="TAIYUAN") == []


def test_metadata_and_files_stay_as_they_were_sent(archive: TestArchive, one_person: tuple[str, str, str]) -> None:
    (stored,) = actions.locate_all(archive.reader, one_person[1])
    assert value(actions.header(archive.reader, stored), PATIENT_ID) == "2026-77"


def test_an_exchange_id_that_nobody_has_finds_nothing(archive: TestArchive) -> None:
    send(archive, "TAIYUAN", "P0001")
    assert by_number(archive, "HT00000000000000000") == []


def test_studies_without_a_number_are_nobodys(archive: TestArchive) -> None:
    send(archive, "TAIYUAN", None)
    send(archive, "YUNCHENG", "")
    rows = archive.find().rows
    assert [row[PATIENT_ID].get("Value") for row in rows] == [None, None]
    assert [row[ISSUER].get("Value") for row in rows] == [None, None]


def test_the_list_finds_a_person_by_exchange_id_and_says_whose_each_study_is(
    archive: TestArchive, one_person: tuple[str, str, str]
) -> None:
    exchange_id = id_of(archive, "TAIYUAN", "P0001")
    rows = archive.rows(Condition(PATIENT_ID, Match.WILDCARD, (f"*{exchange_id}*",)))
    assert {row.study_uid for row in rows} == set(one_person[:2])
    assert {row.exchange_id for row in rows} == {exchange_id}
    assert actions.show_study(archive.reader, one_person[0])[0].exchange_id == exchange_id


def test_a_study_that_comes_later_fills_in_what_nobody_has_said(archive: TestArchive) -> None:
    send(archive, "TAIYUAN", "P0001", PatientName="李^明", PatientSex=None)
    send(archive, "TAIYUAN", "P0001", PatientName="错^名", OtherPatientIDsSequence=certificate(LI_MING))
    page = people.person_page(archive.reader, id_of(archive, "TAIYUAN", "P0001"))
    (record,) = page.records
    assert (record.known.names, record.known.sex) == (("李^明",), "M")
    assert record.known.certificates == (("GB11643", LI_MING),)


def test_every_row_of_a_page_says_whose_it_is(archive: TestArchive) -> None:
    for number in range(5):
        send(archive, "TAIYUAN", f"P{number}")
    found = actions.find(archive.reader, Query(Level.STUDY, limit=3))
    assert len({value(row, PATIENT_ID) for row in found.rows if value(row, PATIENT_ID).startswith("HT")}) == 3
    assert found.next is not None


def test_a_reindex_gives_the_same_persons(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        send(archive, "TAIYUAN", "P0001", PatientName="李^明", OtherPatientIDsSequence=certificate(LI_MING))
        send(archive, "YUNCHENG", "2", PatientName="李^明", OtherPatientIDsSequence=certificate(LI_MING))
        before = sorted((value(r, PATIENT_ID), value(r, "0020000D")) for r in archive.find().rows)
    with archive_in(tmp_path, alone=True) as archive:
        reindex(archive.store)
    with archive_in(tmp_path) as archive:
        archive.match()
        assert sorted((value(r, PATIENT_ID), value(r, "0020000D")) for r in archive.find().rows) == before
