"""Persons as FHIR Patients and Patients as what is compared; identifier systems there and back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.base.errors import BadRequest
from huitong.people.doors.fhir_patient import Described, described, patient
from huitong.people.doors.fhir_systems import EXCHANGE, STANDARD, Domain, Systems
from huitong.people.model import Demographics

SYSTEMS = Systems("https://exchange.example/id")
KNOWN = Demographics(
    names=("王^小东", "Wang^Xiaodong"),
    sex="M",
    birth_date="19491231",
    phones=("13800000001",),
    address="山西省太原市迎泽大街1号",
    mother_name="李^梅",
    birth_order=2,
    certificates=(("GB11643", "11010519491231002X"),),
)
WANG = Described(KNOWN, ((Domain("patient", "TAIYUAN"), "P1"),))


def test_a_person_is_a_patient() -> None:
    made = patient("HT0123456789ABCDEF", WANG, SYSTEMS)
    assert made["id"] == "HT0123456789ABCDEF"
    assert [(each["system"], each["value"]) for each in made["identifier"]] == [
        ("https://exchange.example/id/person", "HT0123456789ABCDEF"),
        ("https://exchange.example/id/patient/TAIYUAN", "P1"),
        ("urn:oid:2.16.156.10011.1.3", "11010519491231002X"),
    ]
    hanzi, latin = made["name"]
    assert (hanzi["text"], hanzi["family"], hanzi["given"], hanzi["extension"][0]["valueCode"]) == (
        "王小东", "王", ["小东"], "IDE"
    )  # fmt: skip
    assert (latin["text"], latin["extension"][0]["valueCode"]) == ("Wang Xiaodong", "ABC")
    assert (made["gender"], made["birthDate"], made["multipleBirthInteger"]) == ("male", "1949-12-31", 2)
    assert made["extension"] == [
        {"url": "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName", "valueString": "李梅"}
    ]
    assert made["meta"]["profile"] == ["https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"]


def test_an_identifier_says_whose_it_is_and_for_what() -> None:
    person, number, certificate = patient("HT0123456789ABCDEF", WANG, SYSTEMS)["identifier"]
    assert (person["use"], number["use"], certificate["use"]) == ("usual", "usual", "official")
    assert number["type"] == {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    assert number["assigner"] == {"display": "TAIYUAN"}
    assert not {"type", "assigner"} & {*person, *certificate}


def test_an_address_in_parts_is_read_from_the_province_to_the_door() -> None:
    parts = {"line": ["迎泽大街", "1号"], "district": "迎泽区", "city": "太原市", "state": "山西省"}
    said = described({"resourceType": "Patient", "name": [{"text": "王小东"}], "address": [parts]}, SYSTEMS)
    assert said.known.address == "山西省太原市迎泽区迎泽大街1号"


def test_a_name_that_was_written_as_one_is_cut_behind_the_surname() -> None:
    name = patient("HT1", Described(Demographics(names=("欧阳建国",))), SYSTEMS)["name"][0]
    assert (name["family"], name["given"]) == ("欧阳", ["建国"])


def test_what_is_not_known_is_not_said() -> None:
    assert set(patient("HT1", Described(Demographics()), SYSTEMS, active=False)) == {
        "resourceType", "id", "meta", "identifier", "active", "gender"
    }  # fmt: skip


def test_identifiers_are_those_of_the_domains_that_are_wanted() -> None:
    only = frozenset({"urn:oid:2.16.156.10011.1.3"})
    assert [each["value"] for each in patient("HT1", WANG, SYSTEMS, only=only)["identifier"]] == ["11010519491231002X"]


def test_a_patient_that_came_from_here_is_read_as_it_was() -> None:
    read = described(patient("HT1", WANG, SYSTEMS), SYSTEMS)
    assert read == Described(replace(KNOWN, mother_name="李梅"), ((EXCHANGE, "HT1"), *WANG.numbers))


@pytest.mark.parametrize(
    "resource",
    [
        None,
        [],
        {"resourceType": "Person"},
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "name": "王小东"},
        {"resourceType": "Patient", "name": [{"family": 3}], "identifier": [{"system": "urn:other", "value": "1"}]},
    ],
)
def test_what_nobody_can_be_found_by_is_refused(resource: object) -> None:
    with pytest.raises(BadRequest):
        described(resource, SYSTEMS)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
FIELDS = ["name", "telecom", "gender", "birthDate", "address", "extension", "multipleBirthInteger", "identifier"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_is_read_or_refused(fields: dict[str, object]) -> None:
    try:
        said = described({"resourceType": "Patient", **fields}, SYSTEMS)
    except BadRequest:
        return
    assert said.known.names or said.identifiers


@pytest.mark.parametrize("base", ["https://exchange.example/id", "https://exchange.example/id/", "urn:huitong"])
def test_a_domain_is_found_by_its_system(base: str) -> None:
    systems = Systems(base)
    domains = [EXCHANGE, Domain("patient", "TY-1_X"), Domain("certificate", "passport")]
    for domain in (*domains, *(Domain("certificate", kind) for kind in STANDARD)):
        assert systems.domain(systems.system(domain)) == domain


@pytest.mark.parametrize(
    "system", ["", "urn:oid:1.2.3", "https://exchange.example/id", "https://exchange.example/id/patient/"]
)
def test_a_strange_system_has_no_domain(system: str) -> None:
    assert SYSTEMS.domain(system) is None
