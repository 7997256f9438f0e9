"""Patient over FHIR: read, PDQm's search, `$match` and `$ihe-pix`, and what IHE wants said where there is no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.archives import TestArchive, archive_in

from huitong.app.asgi import application
from huitong.people import actions
from huitong.people.model import Registration

ID, OTHER_ID = "11010519491231002X", "440524188001010014"
CITIZEN = "urn:oid:2.16.156.10011.1.3"
TAIYUAN, YUNCHENG = "urn:huitong:patient:TAIYUAN", "urn:huitong:patient:YUNCHENG"
AT = datetime(2026, 3, 1, tzinfo=UTC)


class Fhir:
    """Asks from loopback."""

    def __init__(self, archive: TestArchive) -> None:
        self.archive = archive
        self.app = application(archive.store, archive.access, lambda: 0)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://huitong.example/fhir/") as client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())

    def search(self, **parameters: Any) -> dict[str, Any]:
        answer = self.ask("GET", "Patient", params={name.replace("_dash_", "-"): v for name, v in parameters.items()})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def found(self, **parameters: Any) -> set[str]:
        """The patient numbers of those that are found."""
        return {
            each["value"]
            for entry in self.search(**parameters).get("entry", [])
            for each in entry["resource"]["identifier"]
            if each["system"] in (TAIYUAN, YUNCHENG)
        }

    def person(self, number: str, issuer: str = "TAIYUAN") -> str:
        person = actions.person_of(self.archive.reader, issuer, number)
        assert person is not None
        return person.exchange_id

    def pix(self, *pairs: tuple[str, str]) -> httpx.Response:
        return self.ask("GET", "Patient/$ihe-pix", params=list(pairs))

    def match(self, patient: dict[str, Any], **more: Any) -> dict[str, Any]:
        kinds = {"onlyCertainMatches": "valueBoolean", "count": "valueInteger"}
        parts = [{"name": "resource", "resource": {"resourceType": "Patient", **patient}}]
        parts += [{"name": name, kinds[name]: value} for name, value in more.items()]
        answer = self.ask("POST", "Patient/$match", json={"resourceType": "Parameters", "parameter": parts})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def register(archive: TestArchive, number: str, issuer: str = "TAIYUAN", **said: Any) -> None:
    actions.register(archive.sender(issuer), Registration(issuer, number, AT, **said))


WANG = {
    "names": ("王^小东", "Wang^Xiaodong"), "sex": "M", "birth_date": "19491231", "phones": ("13800000001",),
    "address": "山西省太原市迎泽大街1号", "mother_name": "李^梅", "certificates": (("GB11643", ID),),
}  # fmt: skip


@pytest.fixture(scope="module")
def fhir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fhir]:
    """王小东 at both hospitals, under P1 and Q1; 王小冬 and 张三 at one each."""
    folder: Path = tmp_path_factory.mktemp("fhir")
    with archive_in(folder) as archive:
        register(archive, "P1", **WANG)
        register(archive, "Q1", "YUNCHENG", names=("王小东",), sex="M", certificates=(("GB11643", ID),))
        register(archive, "P2", names=("王^小冬",), sex="F", birth_date="19800101")
        register(archive, "P3", "YUNCHENG", names=("张^三",), sex="F", birth_date="19800215", phones=("0351-4000000",))
        yield Fhir(archive)


# --- read ---


def test_a_person_is_read_by_exchange_id(fhir: Fhir) -> None:
    answer = fhir.ask("GET", f"Patient/{fhir.person('P1')}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json; charset=utf-8")
    said = answer.json()
    assert [(each["system"], each["value"]) for each in said["identifier"]] == [
        ("urn:huitong:person", fhir.person("P1")), (TAIYUAN, "P1"), (YUNCHENG, "Q1"), (CITIZEN, ID)
    ]  # fmt: skip
    assert {each["text"] for each in said["name"]} == {"王小东", "Wang Xiaodong"}
    assert (said["gender"], said["birthDate"], said["active"]) == ("male", "1949-12-31", True)


def test_a_person_that_was_joined_leads_to_the_one_that_stays(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        fhir = Fhir(archive)
        register(archive, "P1", names=("王^小东",))
        register(archive, "Q1", "YUNCHENG", names=("张^三",))
        gone = fhir.person("Q1", "YUNCHENG")
        actions.join(archive.access.registrar("127.0.0.1"), ("TAIYUAN", "P1"), ("YUNCHENG", "Q1"))
        said = fhir.ask("GET", f"Patient/{gone}").json()
        assert (said["id"], said["active"]) == (gone, False)
        assert said["link"] == [{"type": "replaced-by", "other": {"reference": f"Patient/{fhir.person('P1')}"}}]


def test_of_several_records_the_newest_is_said_and_one_in_use_is_enough(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        fhir, certificates = Fhir(archive), (("GB11643", ID),)
        register(archive, "P1", names=("王小东",), address="太原市迎泽大街1号", certificates=certificates)
        newer = Registration("YUNCHENG", "Q1", AT + timedelta(days=1), names=("王小东",), address="运城市解放路2号",
                             certificates=certificates)  # fmt: skip
        actions.register(archive.sender("YUNCHENG"), newer)
        said = fhir.ask("GET", f"Patient/{fhir.person('P1')}").json()
        assert (said["address"], said["active"]) == ([{"text": "运城市解放路2号"}], True)
        assert said["meta"]["lastUpdated"].startswith("2026-03-02T")
        assert int(said["meta"]["versionId"]) > 1
        for issuer, number, active in (("TAIYUAN", "P1", True), ("YUNCHENG", "Q1", False)):
            actions.deactivate(archive.sender(issuer), issuer, number)
            assert fhir.ask("GET", f"Patient/{said['id']}").json()["active"] is active


def test_who_is_not_there_is_not_found(fhir: Fhir) -> None:
    for wrong in ("HT00000000000000000", "x", fhir.person("P1").lower()):
        answer = fhir.ask("GET", f"Patient/{wrong}")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (404, "not-found")


# --- search (ITI-78) ---


@pytest.mark.parametrize(
    ("parameters", "numbers"),
    [
        ({"identifier": f"{TAIYUAN}|P1"}, {"P1", "Q1"}),
        ({"identifier": f"{CITIZEN}|{ID}"}, {"P1", "Q1"}),
        ({"identifier": f"{CITIZEN}|{ID.lower()}"}, {"P1", "Q1"}),
        ({"identifier": "P2"}, {"P2"}),
        ({"identifier": f"{YUNCHENG}|P2"}, set()),
        ({"identifier": f"urn:other|{ID}"}, set()),
        ({"identifier": f"{TAIYUAN}|P1\0"}, set()),
        ({"family": "\0"}, set()),
        ({"identifier": f"{TAIYUAN}|P2,{YUNCHENG}|P3"}, {"P2", "P3"}),
        ({"family": "王"}, {"P1", "Q1", "P2"}),
        ({"family": "wang", "gender": "female"}, {"P2"}),
        ({"family": "王", "birthdate": "1949-12-31"}, {"P1", "Q1"}),
        ({"family": "王", "given": "小冬"}, {"P2"}),
        ({"given": "小东"}, {"P1", "Q1"}),
        ({"given": "xiaodong"}, {"P1", "Q1", "P2"}),
        ({"given": "王"}, set()),
        ({"family:exact": "王"}, {"P1", "Q1", "P2"}),
        ({"family:exact": "wang"}, set()),
        ({"name": "wxd"}, {"P1", "Q1", "P2"}),
        ({"name": "王小东"}, {"P1", "Q1"}),
        ({"birthdate": "1980"}, {"P2", "P3"}),
        ({"birthdate": "ge1980-02"}, {"P3"}),
        ({"birthdate": "lt1980-01-01"}, {"P1", "Q1"}),
        ({"birthdate": ["gt1980-01-01", "le1980-12-31"]}, {"P3"}),
        ({"birthdate": "ne1980-01-01"}, {"P1", "Q1", "P3"}),
        ({"telecom": "13800000001"}, {"P1", "Q1"}),
        ({"phone": "phone|03514000000"}, {"P3"}),
        ({"address": "迎泽大街"}, {"P1", "Q1"}),
        ({"address_dash_city": "太原"}, {"P1", "Q1"}),
        ({"address_dash_state": "河北"}, set()),
        ({"mothersMaidenName": "limei"}, {"P1", "Q1"}),
        ({"gender": "female"}, {"P2", "P3"}),
        ({"active": "true"}, {"P1", "Q1", "P2", "P3"}),
        ({"active": "false"}, set()),
        ({}, {"P1", "Q1", "P2", "P3"}),
    ],
)
def test_persons_are_found_by_every_parameter_of_pdqm(
    fhir: Fhir, parameters: dict[str, Any], numbers: set[str]
) -> None:
    assert fhir.found(**parameters) == numbers


@pytest.mark.parametrize(
    ("birthdate", "found"),
    [("le9999-12-31", True), ("ge0001-01-01", True), ("ne0001", True), ("gt9999-12-31", False), ("lt0001", False)],
)
def test_the_first_and_the_last_day_there_is_may_be_asked_for(fhir: Fhir, birthdate: str, found: bool) -> None:
    assert ("P1" in fhir.found(birthdate=birthdate)) is found


def test_a_search_may_be_posted_and_by_id(fhir: Fhir) -> None:
    posted = fhir.ask("POST", "Patient/_search", data={"_id": fhir.person("P2")})
    assert [entry["resource"]["id"] for entry in posted.json()["entry"]] == [fhir.person("P2")]


def test_a_system_alone_narrows_which_identifiers_are_answered(fhir: Fhir) -> None:
    (entry,) = fhir.search(family="王", identifier=f"{YUNCHENG}|")["entry"]
    assert [each["value"] for each in entry["resource"]["identifier"]] == ["Q1"]


@pytest.mark.parametrize("system", ["urn:other|", "urn:huitong:patient:NOBODY|", f"{TAIYUAN}|,urn:other|"])
def test_a_system_that_is_not_known_is_said_to_be_so(fhir: Fhir, system: str) -> None:
    answer = fhir.ask("GET", "Patient", params={"identifier": system})
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["code"]) == (404, "not-found")
    assert issue["diagnostics"].startswith("targetSystem not found")


def test_pages_lead_to_one_another_and_the_first_knows_the_number(fhir: Fhir) -> None:
    first = fhir.search(gender="female", _count=1)
    assert (first["total"], len(first["entry"])) == (2, 1)
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = fhir.ask("GET", following).json()
    assert "next" not in [link["relation"] for link in second["link"]]
    assert {each["entry"][0]["resource"]["id"] for each in (first, second)} == {
        fhir.person("P2"), fhir.person("P3", "YUNCHENG")
    }  # fmt: skip
    assert fhir.search(_count=0) | {"link": []} == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": 3,
        "link": [],
    }


@pytest.mark.parametrize("wrong", [{"gender": "x"}, {"birthdate": "soon"}, {"family:contains": "王"}, {"_after": "x"}])
def test_what_cannot_be_asked_is_refused(fhir: Fhir, wrong: dict[str, str]) -> None:
    assert fhir.ask("GET", "Patient", params=wrong).status_code == 400


# --- $match (ITI-119) ---


def grades(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (entry["resource"]["id"], entry["search"]["extension"][0]["valueCode"]) for entry in bundle.get("entry", [])
    ]


PATIENT = {
    "name": [{"family": "王", "given": ["小东"]}],
    "gender": "male",
    "birthDate": "1949-12-31",
    "identifier": [{"system": CITIZEN, "value": ID}],
}


def test_a_person_is_matched_with_score_and_grade(fhir: Fhir) -> None:
    bundle = fhir.match(PATIENT)
    assert grades(bundle)[0] == (fhir.person("P1"), "certain")
    assert [entry["search"]["score"] for entry in bundle["entry"]] == sorted(
        (entry["search"]["score"] for entry in bundle["entry"]), reverse=True
    )
    assert grades(fhir.match(PATIENT, onlyCertainMatches=True)) == [(fhir.person("P1"), "certain")]
    assert len(grades(fhir.match(PATIENT, count=1))) == 1


@pytest.mark.parametrize("wrong", [5, {"x": 1}, [5, None], "小东"])
def test_of_a_name_and_an_address_what_is_no_text_is_not_read(fhir: Fhir, wrong: Any) -> None:
    odd = {**PATIENT, "name": [{"family": "王", "given": wrong}], "address": [{"line": wrong}]}
    assert grades(fhir.match(odd))[0][0] == fhir.person("P1")


def test_what_is_not_certain_is_not_answered_where_only_certain_is_wanted(fhir: Fhir) -> None:
    doubtful = {**PATIENT, "name": [{"text": "赵六"}], "gender": "female"}
    assert ("certain" in dict(map(reversed, grades(fhir.match(doubtful))))) is False  # type: ignore[arg-type]
    assert grades(fhir.match(doubtful, onlyCertainMatches=True)) == []
    assert fhir.match({"name": [{"text": "赵六"}]})["total"] == 0


def test_of_two_certain_persons_none_is_answered_where_only_one_is_wanted(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        fhir = Fhir(archive)
        register(archive, "P1", names=("王小东",), sex="M", certificates=(("GB11643", ID),))
        register(archive, "P2", names=("王小东",), sex="M", certificates=(("passport", "E12345678"),))
        passport = {"system": "urn:huitong:certificate:passport", "value": "E12345678"}
        both = {**PATIENT, "identifier": [{"system": CITIZEN, "value": ID}, passport]}
        assert sorted(grades(fhir.match(both))) == sorted((fhir.person(each), "certain") for each in ("P1", "P2"))
        assert grades(fhir.match(both, onlyCertainMatches=True)) == []
        assert len(grades(fhir.match(both, count=1))) == 1


def test_what_a_human_is_asked_is_probable_from_one_half_on(fhir: Fhir) -> None:
    certificate = {"identifier": PATIENT["identifier"]}
    stranger = {**certificate, "name": [{"text": "赵六"}], "gender": "female", "birthDate": "1980-05-05"}
    renamed = {**PATIENT, "name": [{"text": "赵六"}], "telecom": [{"system": "phone", "value": "13800000001"}]}
    for asked, grade in ((stranger, "possible"), (renamed, "probable")):
        (entry,) = fhir.match(asked)["entry"]
        assert entry["resource"]["id"] == fhir.person("P1")
        assert entry["search"]["extension"] == [
            {"url": "http://hl7.org/fhir/StructureDefinition/match-grade", "valueCode": grade}
        ]
        assert (entry["search"]["score"] >= 0.5) is (grade == "probable")


def test_a_patient_may_be_posted_by_itself(fhir: Fhir) -> None:
    answer = fhir.ask("POST", "Patient/$match", json={"resourceType": "Patient", **PATIENT})
    assert grades(answer.json())[0] == (fhir.person("P1"), "certain")


def test_a_match_without_a_patient_is_refused(fhir: Fhir) -> None:
    for body in ({"resourceType": "Parameters"}, {"resourceType": "Patient"}, {"resourceType": "Person"}):
        answer = fhir.ask("POST", "Patient/$match", json=body)
        assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


# --- $ihe-pix (ITI-83) ---


def parts(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "Parameters"
    read = {
        "targetIdentifier": lambda part: part["valueIdentifier"]["value"],
        "targetId": lambda part: part["valueReference"]["reference"],
    }
    return [read[each["name"]](each) for each in answer.json().get("parameter", [])]


def test_all_identifiers_but_the_source_are_given(fhir: Fhir) -> None:
    person = fhir.person("P1")
    assert parts(fhir.pix(("sourceIdentifier", f"{TAIYUAN}|P1"))) == [person, "Q1", ID, f"Patient/{person}"]
    assert parts(fhir.pix(("sourceIdentifier", f"{CITIZEN}|{ID}"), ("targetSystem", TAIYUAN))) == ["P1"]
    exchange = ("sourceIdentifier", f"urn:huitong:person|{person}")
    assert parts(fhir.pix(exchange, ("targetSystem", TAIYUAN), ("targetSystem", YUNCHENG))) == ["P1", "Q1"]
    assert parts(fhir.pix(("sourceIdentifier", f"{TAIYUAN}|P2"), ("targetSystem", YUNCHENG))) == []


def test_the_question_may_be_posted(fhir: Fhir) -> None:
    asked = [
        {"name": "sourceIdentifier", "valueIdentifier": {"system": TAIYUAN, "value": "P1"}},
        {"name": "targetSystem", "valueUri": YUNCHENG},
    ]
    answer = fhir.ask("POST", "Patient/$ihe-pix", json={"resourceType": "Parameters", "parameter": asked})
    assert parts(answer) == ["Q1"]


@pytest.mark.parametrize(
    ("pairs", "status", "code", "diagnostics"),
    [
        ([("sourceIdentifier", f"{TAIYUAN}|P9")], 404, "not-found", "sourceIdentifier Patient Identifier not found"),
        (
            [("sourceIdentifier", "urn:huitong:person|HT1")],
            404, "not-found", "sourceIdentifier Patient Identifier not found",
        ),
        ([("sourceIdentifier", "urn:other|P1")], 400, "code-invalid", "sourceIdentifier Assigning Authority not found"),
        (
            [("sourceIdentifier", "urn:huitong:patient:NOBODY|P1")],
            400, "code-invalid", "sourceIdentifier Assigning Authority not found",
        ),
        (
            [("sourceIdentifier", f"{TAIYUAN}|P1"), ("targetSystem", YUNCHENG), ("targetSystem", "urn:other")],
            403, "code-invalid", "targetSystem not found",
        ),
        ([], 400, "invalid", "one sourceIdentifier is wanted, as system|value"),
        ([("sourceIdentifier", "P1")], 400, "invalid", "sourceIdentifier is written system|value"),
    ],
)  # fmt: skip
def test_what_pix_cannot_answer_is_said_as_ihe_wants(
    fhir: Fhir, pairs: list[tuple[str, str]], status: int, code: str, diagnostics: str
) -> None:
    answer = fhir.pix(*pairs)
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["severity"], issue["code"], issue["diagnostics"]) == (
        status, "error", code, diagnostics
    )  # fmt: skip


def test_strangers_read_nothing_and_the_capabilities_name_the_operations(fhir: Fhir) -> None:
    assert fhir.ask("GET", "Patient", headers={"Authorization": "Bearer wrong"}).status_code in (401, 403)
    served = {each["type"]: each for each in fhir.ask("GET", "metadata").json()["rest"][0]["resource"]}
    assert {each["name"] for each in served["Patient"]["operation"]} == {"match", "ihe-pix"}
