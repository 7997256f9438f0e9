"""Who sees which study: each relation on a real archive, opened and closed, one by one and in lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.archives import TestArchive, archive_in
from tests.askers import doctor, link, resident, staff, system, work_of
from tests.imaging.test_persons import certificate, id_of, send, uids

from huitong.access import auditing
from huitong.access.actions import Access
from huitong.access.model import Asker, Role
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotAllowed, NotFound
from huitong.directory.actions import read_directory
from huitong.imaging import actions, permitting
from huitong.people import actions as people
from huitong.people import rights
from huitong.people.adt import Effect, VisitChange
from huitong.people.identifiers import exchange_id
from huitong.people.visiting import change_visit
from huitong.wire.query import Condition, Level, Match, Query

LI_MING = "11010519491231002X"
NOON = datetime(2026, 11, 26, 4, tzinfo=UTC)
#: An exchange id that leads to nobody.
NOBODY = exchange_id(1)


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def archive(tmp_path: Path, clock: Clock) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        opened.access = Access(opened.store, read_directory(None, demo=True), clock)
        yield opened


class Ward:
    """A patient with a CT at TAIYUAN, registered at YUNCHENG under another number."""

    def __init__(self, archive: TestArchive, clock: Clock) -> None:
        self.archive, self.clock = archive, clock
        born: dict[str, Any] = {"OtherPatientIDsSequence": certificate(LI_MING), "PatientName": "李^明"}
        self.there = send(archive, "TAIYUAN", "T1", StudyDescription="胸部平扫", **born)
        self.here = send(archive, "YUNCHENG", "Y1", StudyDescription="头颅", **born)
        self.person = id_of(archive, "TAIYUAN", "T1")
        assert self.person == id_of(archive, "YUNCHENG", "Y1")

    def work(self, asker: Asker) -> Work:
        return work_of(self.archive, asker, self.clock)

    def sees(self, asker: Asker, study_uid: str | None = None) -> bool:
        try:
            actions.show_study(self.work(asker), study_uid or self.there)
        except NotFound:
            return False
        return True

    def listed(self, asker: Asker, *conditions: Condition, **more: Any) -> set[str]:
        return uids(actions.find(self.work(asker), Query(Level.STUDY, conditions, **more)).rows)

    def of_person(self, asker: Asker) -> set[str]:
        return self.listed(asker, Condition("00100020", Match.EQUAL, (self.person,)))

    def visit(self, effect: Effect, at: datetime, kind: str = "I", institution: str = "YUNCHENG") -> None:
        change = VisitChange(patient_number="Y1", number="V1", patient_class=kind, effect=effect, at=at)
        with self.archive.store.database.write() as tx:
            change_visit(tx, institution, change, at)


@pytest.fixture
def ward(archive: TestArchive, clock: Clock) -> Ward:
    return Ward(archive, clock)


DOCTOR, SYSTEM = doctor(), system()


@pytest.mark.parametrize("asker", [DOCTOR, SYSTEM])
def test_anothers_study_is_opened_by_a_visit_and_closed_after_its_grace(ward: Ward, clock: Clock, asker: Asker) -> None:
    assert ward.sees(asker, ward.here)
    assert not ward.sees(asker)
    ward.visit(Effect.OPENS, NOON)
    assert ward.sees(asker)
    ward.visit(Effect.CLOSES, NOON + timedelta(hours=1))
    clock.time = NOON + timedelta(days=3)
    assert ward.sees(asker)
    clock.time = NOON + timedelta(days=4)
    ward.archive.store.once("access.remembered", dict).forget()  # 30 s on the clock of the machine
    assert not ward.sees(asker)


@pytest.mark.parametrize(("kind", "days"), [("I", 180), ("O", 3)])
def test_a_visit_whose_end_nobody_told_ends_by_itself(ward: Ward, clock: Clock, kind: str, days: int) -> None:
    ward.visit(Effect.OPENS, NOON, kind)
    clock.time = NOON + timedelta(days=days + 1)
    assert not ward.sees(DOCTOR)
    clock.time = NOON + timedelta(days=days - 1)
    assert ward.sees(DOCTOR)


def test_a_visit_at_one_institution_opens_nothing_at_another(ward: Ward) -> None:
    ward.visit(Effect.OPENS, NOON)
    assert not ward.sees(doctor("DATONG"))
    assert not ward.sees(doctor("DATONG"), ward.here)


def test_only_doctors_and_systems_see_images(ward: Ward) -> None:
    ward.visit(Effect.OPENS, NOON)
    for role in set(Role) - {Role.DOCTOR}:
        assert not ward.sees(staff(role), ward.here)
        assert not ward.sees(staff(role))
        assert ward.listed(staff(role)) == ward.of_person(staff(role)) == set()


def test_a_list_is_of_ones_own_and_by_person_of_what_is_open(ward: Ward) -> None:
    other = send(ward.archive, "TAIYUAN", "T9", PatientName="王^芳")
    assert ward.listed(DOCTOR) == {ward.here}
    assert ward.listed(DOCTOR, institution="TAIYUAN") == set()
    assert ward.listed(doctor("TAIYUAN")) == {ward.there, other}
    assert ward.of_person(DOCTOR) == {ward.here}
    ward.visit(Effect.OPENS, NOON)
    assert ward.of_person(DOCTOR) == {ward.here, ward.there}
    assert ward.listed(DOCTOR) == {ward.here}
    found = actions.list_studies(ward.work(DOCTOR), Query(Level.STUDY))[1]
    assert found.total == 1


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
def test_below_study_level_lists_are_of_the_same(ward: Ward, level: Level) -> None:
    def found(**more: Any) -> set[str]:
        return uids(actions.find(ward.work(DOCTOR), Query(level, **more)).rows)

    assert found() == {ward.here}
    assert found(study_uid=ward.there) == set()
    ward.visit(Effect.OPENS, NOON)
    assert found(study_uid=ward.there) == {ward.there}
    assert found() == {ward.here}


def test_an_objection_closes_at_once_what_a_visit_opened_but_not_ones_own(ward: Ward) -> None:
    ward.visit(Effect.OPENS, NOON)
    assert ward.sees(DOCTOR)
    rights.object_to(ward.work(resident(ward.person)), ward.person)
    assert not ward.sees(DOCTOR)
    assert ward.sees(DOCTOR, ward.here)
    assert ward.of_person(DOCTOR) == {ward.here}
    rights.withdraw_objection(ward.work(resident(ward.person)), ward.person)
    assert ward.sees(DOCTOR)


def test_an_objection_holds_after_the_person_was_joined_into_another(archive: TestArchive, clock: Clock) -> None:
    study = send(archive, "TAIYUAN", "T1", PatientName="李^明", PatientBirthDate="19880104")
    send(archive, "YUNCHENG", "Y1", PatientName="王^芳", PatientBirthDate="19770203")
    first, second = id_of(archive, "YUNCHENG", "Y1"), id_of(archive, "TAIYUAN", "T1")
    rights.object_to(work_of(archive, resident(second), clock), second)
    registrar = work_of(archive, staff(Role.REGISTRAR), clock)
    people.join(registrar, ("YUNCHENG", "Y1"), ("TAIYUAN", "T1"))
    assert id_of(archive, "TAIYUAN", "T1") in (first, second)
    change = VisitChange(patient_number="Y1", number="V1", patient_class="I", effect=Effect.OPENS, at=NOON)
    with archive.store.database.write() as tx:
        change_visit(tx, "YUNCHENG", change, NOON)
    with pytest.raises(NotFound):
        actions.show_study(work_of(archive, DOCTOR, clock), study)
    for each in (first, second):
        assert rights.rights_of(work_of(archive, resident(each), clock), each).objection


def test_sensitive_studies_need_a_consent_to_the_institution_or_to_all(archive: TestArchive, clock: Clock) -> None:
    ward = Ward(archive, clock)
    born: dict[str, Any] = {"OtherPatientIDsSequence": certificate(LI_MING), "PatientName": "李^明"}
    closed = send(archive, "TAIYUAN", "T1", InstitutionalDepartmentName="精神科", **born)
    ward.visit(Effect.OPENS, NOON)
    assert ward.sees(DOCTOR)
    assert not ward.sees(DOCTOR, closed)
    own = ward.work(resident(ward.person))
    rights.consent(own, ward.person, "psychiatry", "DATONG")
    rights.consent(own, ward.person, "genetics")
    assert not ward.sees(DOCTOR, closed)
    rights.consent(own, ward.person, "psychiatry", "YUNCHENG")
    assert ward.sees(DOCTOR, closed)
    for held in rights.rights_of(own, ward.person).consents:
        rights.withdraw_consent(own, ward.person, held.pk)
    assert not ward.sees(DOCTOR, closed)
    with pytest.raises(BadRequest):
        rights.consent(own, ward.person, "everything")


def test_breaking_the_glass_opens_for_one_doctor_for_four_hours_and_is_told(ward: Ward, clock: Clock) -> None:
    own = ward.work(resident(ward.person))
    rights.object_to(own, ward.person)
    with pytest.raises(BadRequest):
        rights.break_glass(ward.work(DOCTOR), ward.person, "urgent")
    rights.break_glass(ward.work(DOCTOR), ward.person, "车祸昏迷，需要既往影像")
    assert ward.sees(DOCTOR)
    assert not ward.sees(doctor(name="another"))
    assert not ward.sees(SYSTEM)
    [told] = rights.rights_of(own, ward.person).emergencies
    assert (told.reason, told.institution, told.verdict) == ("车祸昏迷，需要既往影像", "YUNCHENG", "")
    supervisor = ward.work(staff(Role.SUPERVISOR, institution=None))
    [waiting] = rights.emergencies(supervisor)
    rights.review(supervisor, waiting.pk, "unjustified", "not in the ward")
    assert not ward.sees(DOCTOR)
    assert rights.emergencies(supervisor) == []
    with pytest.raises(NotFound):
        rights.review(supervisor, waiting.pk, "justified")
    rights.break_glass(ward.work(DOCTOR), ward.person, "再次抢救，需要既往影像")
    assert ward.sees(DOCTOR)
    clock.time = NOON + timedelta(hours=4, minutes=1)
    ward.archive.store.once("access.remembered", dict).forget()
    assert not ward.sees(DOCTOR)


def test_what_is_taken_away_while_a_list_is_decided_is_not_remembered(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    rights.break_glass(ward.work(DOCTOR), ward.person, "车祸昏迷，需要既往影像")
    supervisor = ward.work(staff(Role.SUPERVISOR, institution=None))
    [waiting] = rights.emergencies(supervisor)
    read = permitting._of_uids

    def and_then_reviewed(*asked: Any) -> Any:
        rows = read(*asked)
        rights.review(supervisor, waiting.pk, "unjustified")
        return rows

    monkeypatch.setattr(permitting, "_of_uids", and_then_reviewed)
    query = Query(Level.STUDY, (Condition("0020000D", Match.EQUAL, (ward.there,)),))
    assert actions.list_studies(ward.work(DOCTOR), query)[0]  # as it was when the list began
    for institution in ("TAIYUAN", None):
        with pytest.raises(NotFound):
            actions.show_study(ward.work(DOCTOR), ward.there, institution)


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.DOCTOR}))
def test_only_doctors_have_emergencies_and_only_supervisors_review(ward: Ward, role: Role) -> None:
    with pytest.raises(NotFound):
        rights.break_glass(ward.work(staff(role)), ward.person, "a reason that is long enough")
    if role is not Role.SUPERVISOR:
        with pytest.raises(NotAllowed):
            rights.emergencies(ward.work(staff(role)))


def test_persons_see_their_own_and_nobody_elses(ward: Ward) -> None:
    other = send(ward.archive, "TAIYUAN", "T9", PatientName="王^芳")
    own = resident(ward.person)
    assert ward.listed(own) == {ward.here, ward.there}
    assert ward.sees(own)
    assert not ward.sees(own, other)
    assert ward.listed(own, Condition("00100020", Match.EQUAL, (id_of(ward.archive, "TAIYUAN", "T9"),))) == set()
    with pytest.raises(NotFound):
        rights.object_to(ward.work(own), id_of(ward.archive, "TAIYUAN", "T9"))


def test_a_guardian_sees_a_childs_until_the_fourteenth_birthday(ward: Ward, clock: Clock) -> None:
    child = send(ward.archive, "TAIYUAN", "C1", PatientName="李^小明", PatientBirthDate="20121127")
    whose = id_of(ward.archive, "TAIYUAN", "C1")
    mother = resident(ward.person)
    assert not ward.sees(mother, child)
    registrar = ward.work(staff(Role.REGISTRAR, institution="TAIYUAN"))
    seen = (whose, ward.person, "李明", "birth-certificate", "O140012345")
    for refused in (DOCTOR, staff(Role.REGISTRAR)):  # who does not name guardians, and where the child is not known
        with pytest.raises(NotAllowed):
            rights.name_guardian(ward.work(refused), *seen)
    assert rights.name_guardian(registrar, *seen) is None
    line = auditing.lines(ward.archive.store, person=whose)[0]
    assert (line.looked.action, line.looked.detail["fact"]) == ("rights.guard", "guardian_named")
    assert ward.sees(mother, child)
    assert child in ward.listed(mother)
    clock.time = datetime(2026, 11, 26, 16, 1, tzinfo=UTC)  # the day of the birthday has begun in China
    ward.archive.store.once("access.remembered", dict).forget()
    assert not ward.sees(mother, child)
    assert child not in ward.listed(mother)
    clock.time = NOON
    [named] = rights.rights_of(ward.work(mother), whose).guardians
    rights.end_guardian(registrar, whose, named.pk)
    assert not ward.sees(mother, child)


def test_a_link_opens_one_study(ward: Ward) -> None:
    holder = link("TAIYUAN", ward.there, ward.person)
    assert ward.sees(holder)
    assert not ward.sees(holder, ward.here)
    assert ward.listed(holder) == {ward.there}
    with pytest.raises(NotFound):
        people.person_by_exchange_id(ward.work(holder), ward.person)
    assert not ward.sees(link("TAIYUAN", ward.there, NOBODY))


def test_of_two_studies_of_one_uid_each_institution_sees_its_own(archive: TestArchive, clock: Clock) -> None:
    for institution in ("TAIYUAN", "YUNCHENG"):
        send(archive, institution, "P1", StudyInstanceUID="1.2.3", PatientName=f"{institution}^A")
    for institution in ("TAIYUAN", "YUNCHENG"):
        work = work_of(archive, doctor(institution), clock)
        assert actions.show_study(work, "1.2.3")[0].institution == institution
        assert {each.institution for each in actions.locate_all(work, "1.2.3")} == {institution}
        assert len(actions.find(work, Query(Level.STUDY)).rows) == 1
        with pytest.raises(NotFound):
            actions.show_study(work, "1.2.3", "TAIYUAN" if institution == "YUNCHENG" else "YUNCHENG")


EVERY_READ: list[Callable[[Work, str], Any]] = [
    lambda work, uid: actions.show_study(work, uid),
    lambda work, uid: actions.variants(work, uid),
    lambda work, uid: actions.locate(work, uid, "1.9", "1.9.1"),
    lambda work, uid: actions.locate_all(work, uid),
    lambda work, uid: actions.locate_all(work, uid, "1.9"),
    lambda work, uid: actions.locate_variant(work, uid, "1.9.1", "0" * 64),
    lambda work, uid: actions.metadata(work, uid),
    lambda work, uid: actions.metadata(work, uid, "1.9"),
    lambda work, uid: actions.links(work, uid, None, None),
]


@pytest.mark.parametrize("read", EVERY_READ)
def test_refused_is_unknown_in_words_and_both_are_written_down(ward: Ward, read: Callable[[Work, str], Any]) -> None:
    object.__setattr__(ward.archive.store.settings, "link_s", 60)
    said = []
    for uid in (ward.there, "1.2.3.4.5"):
        with pytest.raises(NotFound) as refused:
            read(ward.work(DOCTOR), uid)
        said.append(str(refused.value))
    assert said[0] == said[1]
    written = [line.looked for line in reversed(auditing.lines(ward.archive.store)) if line.looked.kind == "study"]
    assert [(line.id, line.allowed) for line in written] == [(ward.there, False), ("1.2.3.4.5", False)]


def test_refused_and_unknown_ask_the_database_equally_often(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(run: Callable[[], Any]) -> list[str]:
        with ward.archive.store.database.reading() as session:
            kind = type(session)
        said: list[str] = []
        original = kind.rows

        def rows(self: Any, sql: str, parameters: Any) -> Any:
            said.append(sql)
            return original(self, sql, parameters)

        with monkeypatch.context() as patch:
            patch.setattr(kind, "rows", rows)
            run()
        return said

    def refused(uid: str) -> Callable[[], None]:
        def run() -> None:
            with pytest.raises(NotFound):
                actions.show_study(ward.work(DOCTOR), uid)

        return run

    assert asked(refused(ward.there)) == asked(refused("1.2.3.4.5"))

    def listing(number: str) -> Callable[[], Any]:
        condition = Condition("00100020", Match.EQUAL, (number,))
        return lambda: actions.find(ward.work(doctor("DATONG")), Query(Level.STUDY, (condition,)))

    assert asked(listing(ward.person)) == asked(listing(NOBODY))


def test_decisions_that_allow_are_remembered_and_those_that_refuse_are_not(ward: Ward) -> None:
    work = ward.work(DOCTOR)
    [stored] = actions.locate_all(work, ward.here)
    asked = (ward.here, stored.series_uid, stored.sop_instance_uid)
    actions.locate(work, *asked)
    assert actions.located(work, *asked) == stored
    assert actions.located(ward.work(staff(Role.CLERK)), *asked) is None
    every = [line.looked for line in auditing.lines(work.store)]
    looked = [line for line in every if line.allowed and line.id == ward.here]
    assert len(looked) == 1
