"""AuditEvent over FHIR: found by each parameter, paged, and given to nobody but those whose it is to read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.bundle import Bundle
from sqlalchemy import insert
from tests.archives import TestArchive, archive_in
from tests.askers import KnowingAccess, doctor, link, resident, staff, system, work_of
from tests.people.doors.test_fhir_door import Fhir

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.model import Asker, Kind, Role
from huitong.access.tables import GUARDIANSHIP
from huitong.app.asgi import application
from huitong.directory.actions import read_directory
from huitong.people import actions
from huitong.people.model import Registration

AT = datetime(2026, 3, 1, 4, tzinfo=UTC)
SUPERVISOR = staff(Role.SUPERVISOR, institution=None)
CLIENT = Asker(Kind.SYSTEM, "siem", "SIEM", "YUNCHENG", session="token-1")
Json = dict[str, Any]


class Place:
    """An archive with a mother, her child and a stranger, and lines about them, an hour apart."""

    def __init__(self, archive: TestArchive) -> None:
        self.archive = archive
        self.mother, self.child, self.other = (
            self._person(f"P{n}", born) for n, born in enumerate(("19850101", "20200101", "19900101"))
        )
        self.at = AT - timedelta(hours=1)
        see = ("imaging.see", True, "open visit", "TREAT")
        self.put(doctor(), Looked(*see, self.mother, "study", "1.2.3", "TAIYUAN", {"visit": "VISIT-1"}))
        self.put(doctor(), Looked("imaging.see", False, "objection", "", self.mother, "study", "1.2.4", "TAIYUAN"))
        self.put(doctor("TAIYUAN"), Looked("imaging.list", True, "own institution", "TREAT", "", "list", "", "TAIYUAN"))
        self.put(resident(self.mother), Looked("imaging.see", True, "self", "PATRQT", self.mother, "study", "1.2.3"))
        self.put(doctor("TAIYUAN"), Looked(*see, self.child, "study", "1.2.5", "YUNCHENG"))
        self.put(system(), Looked("people.see", False, "unknown", "", "", "person", "HT9"))
        signed_in = ("accounts.sign-in", True, "password", "HOPERAT", self.mother, "account", "mother")
        self.put(resident(self.mother), Looked(*signed_in))
        self.put(link("TAIYUAN", "1.2.3", self.mother), Looked("share.open", True, "share", "PATRQT", self.mother,
                                                               "share", "abc", "TAIYUAN"))  # fmt: skip
        self.fhir = Fhir(archive)

    def _person(self, number: str, born: str) -> str:
        sender = self.archive.sender("TAIYUAN")
        actions.register(sender, Registration("TAIYUAN", number, AT, names=(f"{number}^X",), birth_date=born))
        person = actions.person_of(self.archive.reader, "TAIYUAN", number)
        assert person is not None
        return person.exchange_id

    def put(self, asker: Asker, looked: Looked) -> None:
        self.at += timedelta(hours=1)
        at = self.at
        auditing.record(work_of(self.archive, asker, lambda: at), looked)

    def asking(self, asker: Asker | None) -> None:
        assert isinstance(self.archive.access, KnowingAccess)
        self.archive.access.asker = asker

    def ask(self, path: str, asker: Asker | None = SUPERVISOR) -> httpx.Response:
        self.asking(asker)
        try:
            return self.fhir.ask("GET", f"AuditEvent{path}")
        finally:
            self.asking(None)

    def bundle(self, query: str, asker: Asker = SUPERVISOR) -> Json:
        answer = self.ask(f"?{query}", asker)
        assert answer.status_code == 200, answer.text
        Bundle.model_validate(answer.json())
        return dict(answer.json())

    def found(self, query: str, asker: Asker = SUPERVISOR) -> list[int]:
        """Numbers of the lines of the fixture."""
        return [number for each in self.bundle(query, asker).get("entry", ()) if (number := _number(each)) <= 8]


def _number(entry: Json) -> int:
    return int(entry["resource"].get("id", 1000))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("events")
    with archive_in(folder) as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        yield Place(opened)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("_id=3", [3]),
        ("_id=3,5", [5, 3]),
        ("_id=x", []),
        ("patient={mother}", [8, 7, 4, 2, 1]),
        ("patient=Patient/{mother},{child}", [8, 7, 5, 4, 2, 1]),
        ("patient={mother}&patient={child}", []),
        ("patient=HTNOBODY", []),
        ("patient.identifier=urn:huitong:person|{child}", [5]),
        ("patient.identifier={child}", [5]),
        ("patient.identifier=urn:oid:2.16.156.10011.1.3|{child}", []),
        ("entity=Patient/{child}", [5]),
        ("entity.identifier=urn:dicom:uid|urn:oid:1.2.3", [4, 1]),
        ("entity.identifier=urn:oid:1.2.4", [2]),
        ("entity.identifier=urn:huitong:share|abc", [8]),
        ("entity.identifier=urn:huitong:person|{child}", [5]),
        ("entity-role=24&date=lt2026-03-02", [3]),
        ("entity-type=http://terminology.hl7.org/CodeSystem/audit-entity-type|1&_id=3,5", [5]),
        ("agent=Organization/TAIYUAN", [5, 3]),
        ("agent=Organization/TAIYUAN,Organization/YUNCHENG&outcome=4", [6]),
        ("agent=Patient/{mother}", [8, 7, 4]),
        ("agent.identifier=urn:huitong:account|doctor-TAIYUAN", [5, 3]),
        ("agent.identifier=doctor-TAIYUAN", [5, 3]),
        ("agent.identifier=urn:huitong:institution|TAIYUAN", [8, 5, 3]),
        ("altid=doctor-YUNCHENG", [2, 1]),
        ("altid=YUNCHENG", [6]),
        ("agent-name=doctor-taiyuan", [5, 3]),
        ("agent-name:contains=TAIYUAN", [5, 3]),
        ("agent-name:exact=doctor-taiyuan", []),
        ("agent-role=doctor", [5, 3, 2, 1]),
        ("agent-role=urn:huitong:asker|share", [8]),
        ("address=127.0.0&agent-role=share", [8]),
        ("address=10.&_id=1", []),
        ("action=E&date=lt2026-03-02", [7, 3]),
        ("action=R,E&_id=3,4", [4, 3]),
        ("outcome=0&patient={mother}", [8, 7, 4, 1]),
        ("outcome=8", [2]),
        ("outcome=4,8", [6, 2]),
        ("outcome=4&outcome=8", []),
        ("type=rest&date=lt2026-03-02", [6, 5, 4, 3, 2, 1]),
        ("type=http://dicom.nema.org/resources/ontology/DCM|110114", [7]),
        ("type=other|110114", []),
        ("subtype=110103", [5, 4, 2, 1]),
        ("subtype=110103,disclose", [8, 5, 4, 2, 1]),
        ("subtype=http://hl7.org/fhir/restful-interaction|search-type&date=lt2026-03-02", [3]),
        ("subtype=nothing", []),
        ("date=2026-03-01T05:00", [2]),
        ("date=ge2026-03-01T09:00Z&date=lt2026-03-01T11:00Z", [7, 6]),
        ("date=gt2026-03-01T09:00:00Z&date=le2026-03-01T11:00Z", [8, 7]),
        ("date=2026-03-01T05:00,2026-03-01T07:00", [4, 2]),
        ("date=lt2026", []),
        ("date=ne2026-03-01T05:00&patient={mother}", [8, 7, 4, 1]),
        ("_lastUpdated=2026-03-01T05:00", [2]),
        ("date=gt9999-12-31", []),
        ("policy=nothing", []),
    ],
)
def test_each_parameter_finds_what_it_says(place: Place, query: str, found: list[int]) -> None:
    named = query.format(mother=place.mother, child=place.child)
    assert place.found(named) == found


@pytest.mark.parametrize(
    "query", ["date=yesterday", "agent=HT1", "patient:missing=true", "_after=x", "agent-name:above=x"]
)
def test_what_cannot_be_meant_is_refused(place: Place, query: str) -> None:
    answer = place.ask(f"?{query}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    "name", ["patient", "altid", "agent.identifier", "entity.identifier", "agent-name", "_id", "type"]
)
@pytest.mark.parametrize("value", ["a%00b", "urn:oid:%00", "%F0%9F%92%A9", "x" * 5000, "x|", "%5C"])
def test_what_nobody_writes_finds_nothing(place: Place, name: str, value: str) -> None:
    answer = place.ask(f"?{name}={value}")
    assert answer.status_code in (200, 400), answer.text
    assert not [each for each in answer.json().get("entry", ()) if _number(each) <= 8]


def test_pages_lead_through_all_of_them_once(place: Place) -> None:
    numbers, address, pages = [], f"?patient={place.mother}&_count=2", 0
    while address:
        bundle = place.ask(address).json()
        numbers += [_number(entry) for entry in bundle["entry"] if _number(entry) <= 8]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        assert "total" not in bundle or not links.get("next")
        address, pages = links.get("next", "").partition("AuditEvent")[2], pages + 1
    assert numbers == [8, 7, 4, 2, 1]
    assert pages >= 3


def test_a_count_is_given_where_all_were_looked_at(place: Place) -> None:
    assert place.bundle("outcome=8")["total"] == 1
    counted = place.bundle("outcome=8&_summary=count")
    assert (counted["total"], "entry" in counted) == (1, False)


def test_many_lines_that_do_not_pass_are_a_page_with_a_way_on(tmp_path: Path) -> None:
    with archive_in(tmp_path) as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        with opened.store.database.writing() as session:
            for number in range(2100):
                looked = Looked("imaging.see", True, "share" if number == 0 else "self", "PATRQT", "", "study", "1.2.3")
                auditing.record_in(session, work_of(opened, doctor(name="last" if number == 0 else "")), looked)
        opened.access.asker = SUPERVISOR
        fhir = Fhir(opened)
        first = fhir.ask("GET", "AuditEvent?agent-name=last&subtype=110103").json()
        assert "entry" not in first
        assert "total" not in first
        following = next(each["url"] for each in first["link"] if each["relation"] == "next")
        second = fhir.ask("GET", following).json()
        assert [_number(entry) for entry in second["entry"]] == [1]
        assert "next" not in [each["relation"] for each in second["link"]]


def test_one_is_read_with_its_hash_as_the_log_has_it(place: Place) -> None:
    answer = place.ask("/2")
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"1"'
    (said,) = answer.json()["extension"]
    assert auditing.holds(place.archive.store, 2, said["valueString"])
    assert answer.json()["outcomeDesc"] == "objection"


@pytest.mark.parametrize("number", ["99999", "0", "x", "02", str(1 << 63), "-1"])
def test_what_is_no_line_is_not_found(place: Place, number: str) -> None:
    assert place.ask(f"/{number}").status_code == 404


def test_the_same_is_posted_as_a_form(place: Place) -> None:
    place.asking(SUPERVISOR)
    try:
        answer = place.fhir.ask("POST", "AuditEvent/_search", data={"outcome": "8"})
    finally:
        place.asking(None)
    assert [_number(each) for each in answer.json()["entry"]] == [2]


def test_the_capability_statement_has_it_with_its_profiles(place: Place) -> None:
    resources = place.fhir.ask("GET", "metadata").json()["rest"][0]["resource"]
    said = next(each for each in resources if each["type"] == "AuditEvent")
    assert {"date", "patient", "agent", "entity", "action", "outcome", "type", "subtype"} <= {
        each["name"] for each in said["searchParam"]
    }
    named = {each.rpartition("IHE.BasicAudit.")[2] for each in said["supportedProfile"]}
    assert {"PatientRead", "PatientQuery", "PrivacyDisclosure.Source", "OAUTHaccessTokenUse.Minimal"} <= named


# --- who may ---


@pytest.mark.parametrize(
    "asker",
    [
        doctor(),
        *(staff(role) for role in (Role.ADMIN, Role.REGISTRAR, Role.CLERK)),
        system(),
        link("TAIYUAN", "1.2.3", "x"),
        None,
    ],
)
def test_nobody_else_reads_it_and_that_they_tried_is_a_line(place: Place, asker: Asker | None) -> None:
    before = len(_audits(place))
    for path in ("?outcome=0", "/1", "/99999"):
        answer = place.ask(path, asker)
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (403, "forbidden")
    tried = _audits(place)[before:]
    assert [each.allowed for each in tried] == ([False] * 3 if asker else [])


def _audits(place: Place) -> list[Looked]:
    return [each.looked for each in reversed(auditing.lines(place.archive.store)) if each.looked.action == "audit.see"]


def test_that_a_supervisor_looked_is_a_line_with_what_was_asked(place: Place) -> None:
    place.bundle(f"patient={place.mother}&outcome=0&agent-name:contains=doc")
    place.ask("/3")
    searched, read = _audits(place)[-2:]
    assert (read.kind, read.id) == ("audit line", "3")
    assert (searched.kind, searched.person, searched.allowed) == ("audit search", place.mother, True)
    assert searched.detail == {"patient": place.mother, "outcome": "0", "agent-name:contains": "doc"}


def test_a_system_with_a_token_reads_what_was_done_in_its_institutions_name(place: Place) -> None:
    assert place.found("date=lt2026-03-02", CLIENT) == [6, 2, 1]
    assert place.found("agent=Organization/TAIYUAN", CLIENT) == []
    assert place.found(f"patient={place.child}", CLIENT) == []
    assert place.ask("/1", CLIENT).status_code == 200
    others, none = place.ask("/3", CLIENT), place.ask("/99999", CLIENT)
    assert (others.status_code, others.text) == (404, none.text)


def test_a_resident_reads_what_is_about_them_without_addresses(place: Place) -> None:
    mother = resident(place.mother)
    assert place.found("", mother) == [8, 4, 2, 1]
    assert place.found("outcome=8", mother) == [2]
    assert place.found("altid=doctor-YUNCHENG", mother) == []
    assert place.found("address=127", mother) == []
    text = place.ask("/1", mother).text
    assert "Doctor-Yuncheng" in text
    assert '"127.0.0.1"' not in text
    assert '"127.0.0.1"' in place.ask("/1").text
    assert "VISIT-1" not in text


def test_nobody_elses_to_a_resident(place: Place) -> None:
    mother = resident(place.mother)
    absent = place.ask("/99999", mother)
    for number in (3, 5, 6, 7):  # about nobody, the child, nobody, and what the account did with itself
        answer = place.ask(f"/{number}", mother)
        assert (answer.status_code, answer.text) == (404, absent.text)
    assert place.ask("/2", mother).status_code == 200
    assert place.ask(f"?patient={place.other}", mother).status_code == 404
    assert place.ask(f"?patient={place.mother},{place.other}", mother).status_code == 404


def test_a_guardian_reads_what_is_about_the_child(place: Place) -> None:
    mother = resident(place.mother)
    assert place.ask(f"?patient={place.child}", mother).status_code == 404
    with place.archive.store.database.write() as tx:
        row = {"person": place.child, "guardian": place.mother, "basis": "x", "by": "x", "at_ms": 0}
        tx.execute(insert(GUARDIANSHIP).values(row))
    try:
        assert place.found(f"patient={place.child}", mother) == [5]
        assert place.ask("/5", mother).status_code == 200
    finally:
        with place.archive.store.database.write() as tx:
            tx.execute(GUARDIANSHIP.delete())


def test_without_a_session_nobody_is_known(tmp_path: Path) -> None:
    with archive_in(tmp_path, readers=()) as opened:
        fhir = Fhir(opened)
        fhir.app = application(opened.store, opened.access, lambda: 0)
        assert fhir.ask("GET", "AuditEvent").status_code == 401
