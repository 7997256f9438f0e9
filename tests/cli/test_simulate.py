"""Made people: the same in every run, with a truth that fits, and hard where matching is."""

from __future__ import annotations

import csv
from collections import Counter
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from huitong.cli import main
from huitong.cli.simulate import Person, Record, people, records
from huitong.cli.simulate.people import check_character
from huitong.people.comparing import read
from huitong.people.identifiers import normal
from huitong.people.model import Demographics

COUNT = 12_000  # more than one batch


@pytest.fixture(scope="module")
def drawn() -> list[Person]:
    return list(people(COUNT))


@pytest.fixture(scope="module")
def sent(drawn: list[Person]) -> list[Record]:
    return list(records(drawn))


def test_the_same_seed_gives_the_same_people_and_records(drawn: list[Person], sent: list[Record]) -> None:
    assert list(people(COUNT)) == drawn
    assert list(records(people(COUNT))) == sent
    assert list(people(300, seed=2)) != drawn[:300]


def test_fewer_people_are_the_first_of_more(drawn: list[Person], sent: list[Record]) -> None:
    assert list(people(300)) == drawn[:300]
    fewer = list(records(people(300)))
    assert fewer == sent[: len(fewer)]


def test_everybody_has_a_number_of_their_own_with_its_check_character(drawn: list[Person]) -> None:
    assert [person.number for person in drawn] == list(range(COUNT))
    assert len({person.certificate for person in drawn}) == COUNT
    for person in drawn:
        assert normal("GB11643", person.certificate) == person.certificate
        assert person.certificate[6:14] == person.birth_date
        assert (int(person.certificate[16]) % 2 == 1) == (person.sex == "M")


def test_the_check_character_is_that_of_the_standard() -> None:
    assert check_character("11010519491231002") == "X"
    assert check_character("44052418800101001") == "4"


def test_twins_share_birth_date_mother_and_family_name_but_no_given_name(drawn: list[Person]) -> None:
    pairs = [(drawn[one.twin_of], one) for one in drawn if one.twin_of is not None]
    assert len(pairs) > 50
    for first, second in pairs:
        assert (first.birth_date, first.mother, first.family) == (second.birth_date, second.mother, second.family)
        assert first.given != second.given
    assert any(first.address == second.address for first, second in pairs)


def test_namesakes_share_name_and_birth_date_and_nothing_else(drawn: list[Person]) -> None:
    pairs = [(drawn[one.namesake_of], one) for one in drawn if one.namesake_of is not None]
    assert len(pairs) > 10
    for first, second in pairs:
        assert (first.name, first.birth_date, first.sex) == (second.name, second.birth_date, second.sex)
        assert first.certificate != second.certificate
        assert first.address != second.address


def test_newborns_are_first_registered_as_their_mothers_child(drawn: list[Person], sent: list[Record]) -> None:
    first_of = {record.person: record for record in reversed(sent)}
    newborns = [person for person in drawn if person.newborn]
    assert len(newborns) > 20
    for person in newborns:
        record = first_of[person.number]
        assert not record.certificate
        assert record.name.startswith(f"{person.mother}之")
        said = read(Demographics(names=(record.name,)))
        assert not said.names
        assert said.mother


def test_numbers_are_unique_within_an_institution_and_repeated_between_them(sent: list[Record]) -> None:
    assert len({(record.institution, record.number) for record in sent}) == len(sent)
    assert len({record.number for record in sent}) < len(sent) / 10


def test_errors_of_every_kind_are_there(drawn: list[Person], sent: list[Record]) -> None:
    kinds: Counter[str] = Counter()
    for record in sent:
        person = drawn[record.person]
        kinds["no certificate"] += not record.certificate
        kinds["certificate mistyped"] += bool(record.certificate) and not normal("GB11643", record.certificate)
        kinds["certificate of a relative"] += record.certificate == person.relative_certificate != ""
        kinds["pinyin"] += record.name.isascii() and "?" not in record.name
        kinds["swapped"] += record.name.startswith(f"{person.given}^")
        kinds["lost"] += "?" in record.name
        kinds["garbled"] += any("\x80" <= one < "\u0100" for one in record.name)
        kinds["other birth date"] += record.birth_date not in ("", person.birth_date)
        kinds["other sex"] += record.sex not in ("", person.sex)
        kinds["phone of a relative"] += record.phone == person.relative_phone != person.phone
        kinds["former address"] += record.address == person.former_address != ""
    assert all(kinds.values()), kinds
    assert kinds["pinyin"] / len(sent) == pytest.approx(0.12, abs=0.02)


def test_the_command_writes_what_was_sent_apart_from_the_truth(tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, ["simulate", "--people", "500", "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    rows, truth, known = (
        list(csv.DictReader(StringIO((tmp_path / name).read_text("utf-8"))))
        for name in ("records.csv", "truth.csv", "people.csv")
    )
    assert len(known) == 500
    assert [(row["institution"], row["number"]) for row in rows] == [
        (row["institution"], row["number"]) for row in truth
    ]
    assert "person" not in rows[0]
    assert {row["person"] for row in truth} == {row["number"] for row in known}
