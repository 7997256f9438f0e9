"""Every path has its decision: routes, DICOMweb, FHIR, DIMSE and MLLP are walked, and one that is not declared fails.

Then the matrix: every kind of asker, by every relation, on every path that shows something, held against the policy.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from sqlalchemy import delete, insert
from starlette.routing import Route
from tests.archives import PASSWORD, TestArchive, archive_in
from tests.askers import KnowingAccess, doctor, link, resident, staff, system
from tests.imaging.test_persons import certificate, id_of, send
from tests.people.cards.test_keys import ONE, OTHER, key_file
from tests.people.doors.test_fhir_event import faults

from huitong.access import auditing
from huitong.access.deciding import Action, Fact, Subject, decide
from huitong.access.model import Asker, Kind, Role
from huitong.access.remembering import forget
from huitong.access.tables import BREAK_GLASS, CONSENT, GUARDIANSHIP, OBJECTION
from huitong.app import paths
from huitong.app.asgi import application, fhir_types, http_routes
from huitong.base.clock import now
from huitong.directory.actions import read_directory
from huitong.imaging.doors import dicomweb
from huitong.imaging.doors.dimse_operation import settled_status
from huitong.people import actions as people
from huitong.people.cards import actions as cards
from huitong.people.cards.model import Issued
from huitong.people.cards.tables import CARD_USE
from huitong.people.doors.fhir_balp import PROFILES
from huitong.people.doors.fhir_event import Here, event
from huitong.people.doors.fhir_systems import Systems
from huitong.people.message_tables import VISIT
from huitong.web.files import Files
from huitong.wire.dimse.association import AcceptedContext
from huitong.wire.dimse.command import CommandField, Status

LI_MING = "11010519491231002X"
HERE, THERE = "YUNCHENG", "TAIYUAN"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestArchive]:
    folder: Path = tmp_path_factory.mktemp("paths")
    with archive_in(folder / "data", card_keys=key_file(folder, (1, ONE, OTHER))) as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        yield opened


# --- walking ---


def test_every_route_has_a_decision(archive: TestArchive) -> None:
    found: dict[str, set[str]] = {}
    for route in http_routes(archive.store, archive.access, lambda: 0):
        if isinstance(route, Files):  # files of packages, the same for everybody
            continue
        assert isinstance(route, Route), f"{route} is of a kind that is not walked"
        found.setdefault(route.path, set()).update((route.methods or set()) - {"HEAD"})
    assert found == {path: set(methods) for path, methods in paths.HTTP.items() if path in found}
    missing = set(paths.HTTP) - set(found)
    assert all(path.split("/")[1] in ("viewer", "basic", "segmentation", "tmtv", "microscopy", "dynamic-volume",
                                      "usAnnotation") for path in missing), missing  # fmt: skip


def test_every_dicomweb_resource_has_a_decision() -> None:
    assert {each: set(methods) for each, methods in dicomweb.RESOURCES.items()} == {
        each: set(methods) for each, methods in paths.DICOMWEB.items()
    }


def test_every_fhir_interaction_has_a_decision(archive: TestArchive) -> None:
    found = {
        each.name: {"read", "search", *(f"${operation.name}" for operation in each.operations)}
        for each in fhir_types(archive.store, archive.access)
    }
    assert found == {name: set(interactions) for name, interactions in paths.FHIR.items()}


def test_every_dimse_service_has_a_decision_or_is_refused_whoever_asks() -> None:
    for field in CommandField:
        if field & 0x8000 or field is CommandField.C_CANCEL:
            continue
        context = AcceptedContext("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
        refused = settled_status({"CommandField": field}, context) == Status.UNRECOGNIZED_OPERATION
        assert refused is (field.name not in paths.DIMSE), field


def test_every_mllp_event_has_a_decision() -> None:
    assert set(people.EVENTS) == set(paths.MLLP)


# --- the matrix ---


@dataclass(frozen=True)
class State:
    """What is so of the person, for an asker of HERE."""

    facts: frozenset[Fact] = frozenset()
    sensitive: bool = False
    consented: bool = False

    def __str__(self) -> str:
        words = [
            *sorted(self.facts),
            *(["sensitive"] if self.sensitive else []),
            *(["consented"] if self.consented else []),
        ]
        return "+".join(words) or "nothing"


_OPENING = [frozenset(), *(frozenset({fact}) for fact in (Fact.OPEN_VISIT, Fact.CARD_SCAN, Fact.BREAK_GLASS))]
STATES = [
    State(opening | objection, *of)
    for opening, objection, of in itertools.product(
        _OPENING, (frozenset(), frozenset({Fact.OBJECTION})), ((False, False), (True, False), (True, True))
    )
] + [State(frozenset({Fact.GUARDIAN})), State(frozenset({Fact.GUARDIAN}), True)]


class World:
    """A child with studies at THERE, known at HERE, with a card; and everybody who might ask."""

    def __init__(self, archive: TestArchive) -> None:
        self.archive = archive
        born: dict[str, Any] = {
            "OtherPatientIDsSequence": certificate(LI_MING), "PatientName": "李^明", "PatientBirthDate": "20200512",
        }  # fmt: skip
        self.plain = send(archive, THERE, "T1", SeriesInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1", **born)
        self.closed = send(
            archive, THERE, "T1", SeriesInstanceUID="1.2.2", SOPInstanceUID="1.2.1.1",
            InstitutionalDepartmentName="精神科", **born,
        )  # fmt: skip
        send(archive, HERE, "Y1", **born)
        send(archive, THERE, "T2", PatientName="王^芳")
        lent = {"OtherPatientIDsSequence": certificate("440524188001010014")}
        for institution, name in ((THERE, "赵^强"), (HERE, "孙^丽")):  # one certificate, two names: a question
            send(archive, institution, "Q1", PatientName=name, **lent)
        self.person = id_of(archive, THERE, "T1")
        self.other = id_of(archive, THERE, "T2")
        issued = cards.issue(archive.sender(THERE), "T1")
        assert isinstance(issued, Issued)
        self.card = issued.card.card_id
        archive.access.accounts.add(archive.access.local(), "somebody", PASSWORD, roles=frozenset({Role.CLERK}))
        archive.settle()

    def askers(self, state: State) -> Iterator[tuple[Asker, frozenset[Fact]]]:
        """Each with the facts that hold of it beside those of the institution's doctors."""
        for role in Role:
            yield staff(role, institution=HERE, name="doctor" if role is Role.DOCTOR else role), frozenset()
        yield doctor(HERE, "colleague"), frozenset()
        yield system(HERE), frozenset()
        yield resident(self.person), frozenset({Fact.SELF})
        yield resident(self.other), frozenset({Fact.GUARDIAN}) & state.facts
        yield link(THERE, self.closed if state.sensitive else self.plain, self.person), frozenset({Fact.SHARED})
        yield link(THERE, "1.9.9", self.person), frozenset()
        # the record was given to somebody else since
        yield link(THERE, self.closed if state.sensitive else self.plain, self.other), frozenset()
        yield Asker(Kind.OPEN, "127.0.0.1"), frozenset()

    def put(self, state: State) -> None:
        """The state is so, in the tables."""
        ms = round(now().timestamp() * 1000)
        said = {"by": "x", "at_ms": ms, "person": self.person}
        with self.archive.store.database.write() as tx:
            for table in (VISIT, CARD_USE, OBJECTION, CONSENT, GUARDIANSHIP, BREAK_GLASS):
                tx.execute(delete(table))
            if Fact.OPEN_VISIT in state.facts:
                visit = {"institution": HERE, "patient_number": "Y1", "number": "V1", "patient_class": "I"}
                tx.execute(insert(VISIT).values(**visit, opened_at_ms=ms, effective_at_ms=ms))
            if Fact.CARD_SCAN in state.facts:
                use = {"card_pk": 1, "step": "1", "terminal_id": "1", "terminal_type": "01", "institution": HERE}
                tx.execute(insert(CARD_USE).values(**use, at_ms=ms, dynamic=1))
            if Fact.OBJECTION in state.facts:
                tx.execute(insert(OBJECTION).values(**said))
            if state.consented:
                tx.execute(insert(CONSENT).values(**said, sensitive_class="psychiatry", institution=HERE))
            if Fact.GUARDIAN in state.facts:
                tx.execute(insert(GUARDIANSHIP).values(**said, guardian=self.other, basis="x"))
            if Fact.BREAK_GLASS in state.facts:
                glass = {"account": "doctor", "display": "", "institution": HERE, "reason": "x", "person": self.person}
                until = ms + round(timedelta(hours=4).total_seconds() * 1000)
                tx.execute(insert(BREAK_GLASS).values(**glass, at_ms=ms, until_ms=until))
        forget(self.archive.store)

    def subject(self, asker: Asker, state: State, own: frozenset[Fact]) -> Subject:
        facts = (state.facts - {Fact.GUARDIAN}) | own
        if asker.kind not in (Kind.STAFF, Kind.SYSTEM):
            facts -= {Fact.OPEN_VISIT, Fact.CARD_SCAN, Fact.BREAK_GLASS}
        if asker.name != "doctor":
            facts -= {Fact.BREAK_GLASS}
        sensitive = frozenset({"psychiatry"} if state.sensitive else ())
        return Subject("study", THERE, self.person, facts, sensitive, sensitive if state.consented else frozenset())

    def shown(self, state: State) -> dict[str, Action]:
        """Addresses that show something of the person, and the decision before each."""
        study = self.closed if state.sensitive else self.plain
        series = "1.2.2" if state.sensitive else "1.2.1"
        of_path = {
            "institution": THERE, "study_uid": study, "series_uid": series, "sha256": "0" * 64,
            "exchange_id": self.person, "id": self.card,
            "person": self.person, "pk:int": "1", "seq:int": "1",
            "name:path": "somebody", "study": study, "series": series, "instance": "1.2.1.1",
            "frames": "1", "bulk": "00091001",
        }  # fmt: skip
        # What is the asker's own is held in tests/web/test_accounts.py.
        skip = {"/account", "/person/{exchange_id}", "/", "/study/{institution}/{study_uid}/version/{sha256}"}
        skip |= {path for path in paths.HTTP if path.split("/")[1] == "me" and "{" not in path}  # own pages
        found = {
            _filled(path, of_path): methods["GET"]
            for path, methods in paths.HTTP.items()
            if methods.get("GET") not in (None, Action.SEE_DIRECTORY) and path not in skip
        }
        found |= {
            _filled(f"/dicom-web{root}/{path}", of_path): methods["GET"]
            for path, methods in paths.DICOMWEB.items()
            for root in ("", f"/at/{THERE}")
            if methods["GET"] is Action.SEE_STUDY and not path.endswith(("links", "{bulk}"))
        }
        found[f"/fhir/Patient/{self.person}"] = Action.SEE_PERSON
        found[f"/person/{self.person}"] = Action.SEE_PERSON
        return {path: action for path, action in found.items() if action is not None}


def _filled(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace("{" + name + "}", value)
    return path


@pytest.fixture(scope="module")
def world(archive: TestArchive) -> World:
    return World(archive)


#: Searches below a study answer with an empty list where others say that there is no such thing.
_SEARCHES = ("/series", "/instances")
#: Where being refused does not hide that something exists.
_TOLD = {
    Action.FIND_PERSONS,
    Action.DECIDE_PERSONS,
    Action.REVIEW,
    Action.SEE_AUDIT,
    Action.COUNT_CARDS,
    Action.KEEP_ACCOUNTS,
}


def _allows(path: str, answer: httpx.Response) -> bool:
    if path.endswith(_SEARCHES) and path.startswith("/dicom-web"):
        assert answer.status_code == 200, answer.text
        return bool(answer.json())
    assert answer.status_code in (200, 303, 403, 404), (path, answer.status_code, answer.text[:300])
    return answer.status_code in (200, 303)


@pytest.mark.parametrize("state", STATES, ids=str)
def test_each_asker_sees_on_each_path_what_the_policy_says(world: World, state: State) -> None:
    world.put(state)
    access = world.archive.access
    assert isinstance(access, KnowingAccess)
    app = application(world.archive.store, access, lambda: 0)
    shown = world.shown(state)
    assert len(shown) > 30

    async def ask() -> None:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            for asker, own in world.askers(state):
                access.asker = asker
                subject = world.subject(asker, state, own)
                for path, action in shown.items():
                    answer = await client.get(path)
                    of_action = replace(subject, institution="") if action is not Action.SEE_STUDY else subject
                    expected = decide(asker, action, of_action)
                    said = f"{asker.kind} {sorted(asker.roles)} {path} {state}: {expected} {answer.status_code}"
                    assert _allows(path, answer) is expected.allowed, said
                    if not expected.allowed and not path.endswith(_SEARCHES):
                        assert answer.status_code == (403 if action in _TOLD else 404), said

    try:
        asyncio.run(ask())
    finally:
        access.asker = None


def test_every_line_that_they_left_is_an_audit_event(world: World) -> None:
    """Whatever room wrote it: by a model that is not ours, and by the profile that it names."""
    test_each_asker_sees_on_each_path_what_the_policy_says(world, STATES[1])
    lines = auditing.lines(world.archive.store, limit=10_000)
    assert len({line.looked.action for line in lines}) > 10
    here = Here(Systems("urn:huitong"), "http://huitong.example")
    for line in lines:
        made = event(line, here)
        AuditEvent.model_validate(made)
        assert made["type"]["code"] != "110100", f"{line.looked.action} is not in the table"
        for profile in made["meta"].get("profile", [])[:1]:
            assert faults(made, profile.removeprefix(PROFILES)) == [], line


def _without(text: str, ids: dict[str, str]) -> str:
    """What was asked for is said back in the answer's address."""
    for each in (part for pair in ids.items() for part in pair):
        text = text.replace(each, "ID")
    return text


def test_refused_and_unknown_are_equal_byte_for_byte(world: World) -> None:
    world.put(State())
    access = world.archive.access
    assert isinstance(access, KnowingAccess)
    app = application(world.archive.store, access, lambda: 0)
    unknown = {world.plain: "1.2.3.4.5.6", world.person: "H" * 16, world.card: "0" * len(world.card)}

    async def ask() -> None:
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            for asker in (staff(Role.ADMIN, institution=HERE), doctor(HERE, "colleague"), resident(world.other)):
                access.asker = asker
                for path, action in world.shown(State()).items():
                    if decide(asker, action, Subject("study", THERE)).allowed or action in _TOLD:
                        continue
                    other = path
                    for known, made_up in unknown.items():
                        other = other.replace(known, made_up)
                    answers = [await client.get(each, headers={"accept": accept}) for each in (path, other)
                               for accept in ("*/*", "text/html")]  # fmt: skip
                    texts = [_without(each.text, unknown) for each in answers]
                    assert texts[:2] == texts[2:], (asker, path)
                    heads = [{k: v for k, v in each.headers.items() if k != "content-length"} for each in answers]
                    assert heads[:2] == heads[2:], (asker, path)
                    assert answers[0].status_code == answers[2].status_code

    try:
        asyncio.run(ask())
    finally:
        access.asker = None
