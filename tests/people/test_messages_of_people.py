"""What ADT messages make of records and persons; the newer is right, whenever it comes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in
from tests.people.doors.mllp_sink import adt

from huitong.base.errors import HuitongError, NotFound
from huitong.people import actions, receiving
from huitong.people.model import Record
from huitong.wire.hl7 import BadMessage, parse

ID = "11010519491231002X"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as archive:
        yield archive


def pid(
    number: str, name: str = "王^小东", rest: str = "||19491231|F", certificate: str = "", issuer: str = "TAIYUAN"
) -> str:
    own = f"{number}^^^{issuer}^MR" + (f"~{certificate}^^^^NI" if certificate else "")
    return f"PID|1||{own}||{name}{rest}"


class Hospital:
    """Sends messages, each with a number of its own."""

    def __init__(self, archive: TestArchive, code: str = "TAIYUAN") -> None:
        self.archive, self.code, self.number = archive, code, 0

    def send(self, event: str, *segments: str, when: int = 0) -> None:
        self.number += 1
        data = adt(self.number, *segments, facility=self.code, event=event, when=when)
        receiving.take_message(self.archive.access.by_message("HIS", self.code, "127.0.0.1"), parse(data))

    def record(self, number: str) -> Record:
        person = actions.person_of(self.archive.reader, self.code, number)
        assert person is not None
        every = actions.records_of(self.archive.reader, person)
        return next(each for each in every if each.key == (self.code, number))

    def person(self, number: str) -> str:
        person = actions.person_of(self.archive.reader, self.code, number)
        assert person is not None
        return person.exchange_id


def test_one_certificate_at_two_hospitals_is_one_person(archive: TestArchive) -> None:
    taiyuan, yuncheng = Hospital(archive), Hospital(archive, "YUNCHENG")
    taiyuan.send("A04", pid("P1", certificate=ID))
    yuncheng.send("A01", pid("P1", certificate=ID, issuer="YUNCHENG"))
    yuncheng.send("A28", pid("P2", "李^四", "||19800101|M", issuer="YUNCHENG"))
    assert taiyuan.person("P1") == yuncheng.person("P1") != yuncheng.person("P2")


def test_a_name_in_gbk_under_a_wrong_declaration_is_that_name(archive: TestArchive) -> None:
    data = adt(1, pid("P1")).replace("王^小东".encode(), "王^小东".encode("gbk"))
    receiving.take_message(archive.access.by_message("HIS", "TAIYUAN", "127.0.0.1"), parse(data))
    assert Hospital(archive).record("P1").known.names == ("王^小东",)


def test_the_newer_is_right_in_whatever_order_messages_come(archive: TestArchive) -> None:
    events = [
        ("A04", pid("P", "王^小东", "||19491231|M"), 10),
        ("A08", pid("P", "王^晓东", "||19491231|M|||||138"), 20),
        ("A31", pid("P", "王^晓冬", '||""|F'), 30),
    ]
    seen = set()
    for count, order in enumerate(permutations(events)):
        hospital = Hospital(archive)
        hospital.number = 100 * count
        for event, segment, when in order:
            hospital.send(event, segment.replace("|P^", f"|P{count}^"), when=when)
        seen.add(hospital.record(f"P{count}").known)
    (known,) = seen
    assert (known.names, known.birth_date, known.sex) == (("王^晓冬",), "", "F")


def test_visits_change_nothing_of_the_patient(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A01", pid("P1"), when=1)
    for when, event in enumerate(["A02", "A03", "A11", "A12", "A13", "A38"], 10):
        hospital.send(event, pid("P1", "李^四", "||19800101|M"), "PV1|1|I", when=when)
    assert hospital.record("P1").known.names == ("王^小东",)


def test_a_patient_of_two_numbers_is_one_person(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A04", "PID|1||P1^^^TAIYUAN^MR~Z9^^^TAIYUAN^PI||王^小东||19491231|F")
    assert hospital.person("P1") == hospital.person("Z9")
    assert hospital.record("Z9").known == hospital.record("P1").known
    assert actions.open_questions(archive.reader) == 0


def test_a_number_that_is_merged_leads_to_the_one_that_stays(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A04", pid("P0", "王^某", "||19500101|F"))
    hospital.send("A04", pid("P1"))
    assert hospital.person("P0") != hospital.person("P1")
    hospital.send("A40", pid("P1"), "MRG|P0^^^TAIYUAN")
    assert hospital.person("P0") == hospital.person("P1")
    assert hospital.record("P0").merged_into == "P1"


def test_a_number_that_is_changed_leads_to_the_new_one(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A04", pid("TEMP-1", certificate=ID))
    hospital.send("A47", pid("P1"), "MRG|TEMP-1^^^TAIYUAN")
    assert hospital.person("TEMP-1") == hospital.person("P1")


def test_two_numbers_are_linked_and_unlinked(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A04", pid("P1"))
    hospital.send("A04", pid("P2", "李^四", "||19800101|M"))
    apart = hospital.person("P1"), hospital.person("P2")
    hospital.send("A24", pid("P1"), pid("P2"))
    assert hospital.person("P1") == hospital.person("P2")
    assert hospital.record("P1").merged_into == hospital.record("P2").merged_into == ""
    hospital.send("A37", pid("P1"), pid("P2"))
    assert (hospital.person("P1"), hospital.person("P2")) == apart
    hospital.send("A24", pid("P1"), pid("P2"))
    assert hospital.person("P1") == hospital.person("P2")


def test_what_waits_for_a_question_is_decided_when_the_institution_answers_it(archive: TestArchive) -> None:
    taiyuan, yuncheng = Hospital(archive), Hospital(archive, "YUNCHENG")
    passport = "~E12345678^^^^PPN||"
    taiyuan.send("A04", pid("P1", certificate=ID).replace("||王", f"{passport}王"))
    taiyuan.send("A04", pid("P2", "李^四").replace("||李", f"{passport}李"))
    yuncheng.send("A04", pid("Y1", certificate=ID, issuer="YUNCHENG"))
    assert actions.open_questions(archive.reader) == 1
    assert taiyuan.person("P1") != yuncheng.person("Y1")
    taiyuan.send("A24", pid("P1"), pid("P2"))
    assert taiyuan.person("P1") == taiyuan.person("P2") == yuncheng.person("Y1")


def refused(hospital: Hospital, event: str, *segments: str) -> HuitongError:
    with pytest.raises(HuitongError) as error:
        hospital.send(event, *segments)
    return error.value


def test_what_certificates_contradict_is_not_linked_and_what_they_prove_is_not_unlinked(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    hospital.send("A04", pid("P1", certificate=ID))
    hospital.send("A04", pid("P2", certificate="440524188001010014", rest="||18800101|M"))
    assert getattr(refused(hospital, "A24", pid("P1"), pid("P2")), "condition", 0) == 206
    hospital.send("A04", pid("P3", certificate=ID))
    assert hospital.person("P1") == hospital.person("P3")
    assert getattr(refused(hospital, "A37", pid("P1"), pid("P3")), "condition", 0) == 206
    assert isinstance(refused(hospital, "A24", pid("P1"), pid("UNKNOWN")), NotFound)


def test_a_message_that_is_refused_half_way_leaves_nothing(archive: TestArchive) -> None:
    hospital = Hospital(archive)
    with pytest.raises(BadMessage):
        hospital.send("A40", pid("P1"), "MRG|P0", "PID|1||")
    error = refused(hospital, "A40", pid("P1"), "MRG|P0", pid("P0"), "MRG|P1")
    assert "was merged into" in str(error)
    assert actions.person_of(archive.reader, "TAIYUAN", "P0") is None


def test_a_newborn_is_known_by_the_mother_and_rekeyed_by_a_number(archive: TestArchive) -> None:
    maternity, clinic = Hospital(archive), Hospital(archive, "YUNCHENG")
    mother = f"|||||||||||||{ID}^^^^NI|||Y|"
    maternity.send("A28", pid("B1", "王^芳之子", f"||20260301|M{mother}1"), when=1)
    maternity.send("A28", pid("B2", "王^芳之子", f"||20260301|M{mother}2"), when=1)
    clinic.send("A28", pid("N1", "王^芳之子", f"||20260301|M{mother}1", issuer="YUNCHENG"), when=2)
    assert clinic.person("N1") == maternity.person("B1") != maternity.person("B2")
    child = maternity.person("B1")
    maternity.send("A31", pid("B1", "李^安", f"||20260301|M{mother}1", certificate="140105202603010018"), when=3)
    assert clinic.person("N1") == maternity.person("B1") == child
