"""Visits end up the same whatever the order in which messages tell of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from tests.store.conftest import database, databases, empty_databases

from huitong.people.adt import Effect, VisitChange
from huitong.people.visiting import Visit, change_visit, move_visits, visits_of
from huitong.store.database import Database

__all__ = ["database", "databases", "empty_databases"]

START = datetime(2026, 3, 1, tzinfo=UTC)
OPENS, GOES_ON, CLOSES = Effect.OPENS, Effect.GOES_ON, Effect.CLOSES


def hour(number: int) -> datetime:
    return START + timedelta(hours=number)


def tell(
    database: Database, effect: Effect, at: int, *, patient: str = "P1", number: str = "V1", kind: str = "I"
) -> None:
    with database.write() as tx:
        change_visit(tx, "TAIYUAN", VisitChange(effect, patient, number, kind, hour(at)), hour(at))


def visits(database: Database, patient: str = "P1", institution: str = "TAIYUAN") -> list[Visit]:
    with database.read() as tx:
        return visits_of(tx, institution, patient)


def visit(opened: int | None, closed: int | None, kind: str = "I", patient: str = "P1", number: str = "V1") -> Visit:
    times = [None if each is None else hour(each) for each in (opened, closed)]
    return Visit("TAIYUAN", patient, number, kind, *times)


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([(OPENS, 1)], visit(1, None)),
        ([(CLOSES, 3)], visit(None, 3)),
        ([(OPENS, 1), (CLOSES, 3)], visit(1, 3)),
        ([(OPENS, 1), (GOES_ON, 2), (CLOSES, 3)], visit(1, 3)),
        ([(OPENS, 1), (CLOSES, 3), (GOES_ON, 4)], visit(1, None)),
        ([(OPENS, 1), (CLOSES, 3), (GOES_ON, 4), (CLOSES, 5)], visit(1, 5)),
    ],
)
def test_a_visit_is_what_the_newest_message_says_in_whatever_order(
    database: Database, events: list[tuple[Effect, int]], end: Visit
) -> None:
    for count, order in enumerate(permutations(events)):
        for effect, at in order:
            tell(database, effect, at, patient=f"P{count}")
        assert visits(database, f"P{count}") == [visit_of(end, f"P{count}")], order


def visit_of(one: Visit, patient: str) -> Visit:
    return Visit(one.institution, patient, one.number, one.patient_class, one.opened_at, one.closed_at)


def test_a_message_that_comes_twice_changes_nothing(database: Database) -> None:
    for effect, at in [(OPENS, 1), (OPENS, 1), (CLOSES, 3), (OPENS, 1)]:
        tell(database, effect, at)
    assert visits(database) == [visit(1, 3)]


def test_visits_are_apart_by_number_patient_and_institution(database: Database) -> None:
    tell(database, OPENS, 1)
    tell(database, OPENS, 2, number="V2", kind="O")
    tell(database, OPENS, 3, patient="P2")
    assert visits(database) == [visit(2, None, "O", number="V2"), visit(1, None)]
    assert visits(database, institution="YUNCHENG") == []


def test_the_class_is_kept_by_a_message_that_says_none(database: Database) -> None:
    tell(database, OPENS, 2, kind="")
    tell(database, OPENS, 1, kind="E")
    tell(database, GOES_ON, 3, kind="")
    assert visits(database) == [visit(1, None, "E")]


def test_visits_go_with_the_number_that_is_merged(database: Database) -> None:
    for patient, number in [("P0", "V0"), ("P0", "V1"), ("P1", "V1")]:
        tell(database, OPENS, 1, patient=patient, number=number)
    with database.write() as tx:
        move_visits(tx, "TAIYUAN", "P0", "P1")
    assert {each.number for each in visits(database)} == {"V0", "V1"}
    assert visits(database, "P0") == []


@pytest.mark.parametrize("closed", ["P0", "P1"])
def test_of_a_visit_under_both_numbers_the_newer_word_counts(database: Database, closed: str) -> None:
    for patient in ("P0", "P1"):
        tell(database, OPENS, 1, patient=patient)
    tell(database, CLOSES, 3, patient=closed)
    with database.write() as tx:
        move_visits(tx, "TAIYUAN", "P0", "P1")
    assert [each.closed_at for each in visits(database)] == [hour(3)]
    assert visits(database, "P0") == []
