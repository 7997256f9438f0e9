"""Cards on a real archive: issued once, shown, taken, refused with a reason, kept through rotation and joins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import func, select
from tests.archives import TestArchive, archive_in
from tests.people.cards.patients import give, join, register, split
from tests.people.cards.test_keys import FOURTH, ONE, OTHER, THIRD, key_file

from huitong.access.actions import Access
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotAllowed, NotFound
from huitong.directory.actions import read_directory
from huitong.people.cards import actions, algorithm
from huitong.people.cards.model import Attribute, Card, Issued, Reason, Refusal, Resolved, State, Terminal
from huitong.people.cards.tables import CARD, CARD_CODE, CARD_USE
from huitong.store import ledger

T = TypeVar("T")
LI, WANG = "11010519491231002X", "440524188001010014"
WINDOW = Terminal("010101", "TY-0017", "01")
NOON = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)


class At:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> At:
    return At()


@pytest.fixture
def archive(tmp_path: Path, clock: At) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        opened.access = Access(opened.store, read_directory(None, demo=True), clock)
        yield opened


def issued(archive: TestArchive, number: str, institution: str = "TAIYUAN") -> Card:
    found = actions.issue(archive.sender(institution), number)
    assert isinstance(found, Issued)
    return found.card


def resolved(work: Work, text: str, terminal: Terminal = WINDOW) -> Resolved:
    found = actions.resolve(work, text, terminal)
    assert isinstance(found, Resolved), found
    return found


def refused(work: Work, text: str) -> Reason:
    found = actions.resolve(work, text, WINDOW)
    assert isinstance(found, Refusal), found
    return found.reason


def rows(archive: TestArchive, table: object) -> int:
    with archive.store.database.read() as read:
        return int(read.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def facts(archive: TestArchive) -> list[tuple[str, str, dict[str, object]]]:
    with archive.store.database.read() as read:
        told = [each for each in ledger.follow(read, 0) if each.kind.startswith("people.card")]
    return [(each.kind, each.institution, each.body) for each in told]


# --- issuing ---


def test_a_card_is_that_of_certificate_and_name(archive: TestArchive) -> None:
    register(archive, "P1", "电子健康卡", "11010020171225006X")
    card = issued(archive, "P1")
    assert card.card_id == "98FF9F2C05145CB9305E9D8A57E072BB51180CA49E5BE5E9D41BCE3A9A571928"  # the vector's
    assert (card.certificate, card.attribute, card.state) == (
        ("01", "11010020171225006X"),
        Attribute.FORMAL,
        State.NORMAL,
    )
    assert (card.institution, card.key_version, card.issued_at) == ("TAIYUAN", 1, NOON)


def test_issued_again_it_is_the_same_card(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    first = actions.issue(archive.sender(), "P1")
    again = actions.issue(archive.sender(), "P1")
    assert isinstance(first, Issued)
    assert isinstance(again, Issued)
    assert (first.new, again.new, again.card) == (True, False, first.card)
    assert [kind for kind, _, _ in facts(archive)] == ["people.card_issued"]


def test_another_institution_gets_the_person_s_card_and_issues_none(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    register(archive, "7", "李梅", institution="YUNCHENG")
    card = issued(archive, "P1")
    join(archive, ("TAIYUAN", "P1"), ("YUNCHENG", "7"))
    assert issued(archive, "7", "YUNCHENG").card_id == card.card_id


def test_a_certificate_that_another_person_s_card_has_is_refused(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    register(archive, "P2", "王强", LI, sex="M", birth_date="19800101")
    issued(archive, "P1")
    assert actions.issue(archive.sender(), "P2") == Refusal(Reason.TAKEN)


def test_a_number_that_nobody_gave_is_not_found(archive: TestArchive) -> None:
    with pytest.raises(NotFound, match="no such patient number"):
        actions.issue(archive.sender(), "P404")


def test_whoever_only_reads_issues_and_suspends_nothing(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    for forbidden in (
        lambda: actions.issue(archive.reader, "P1"),
        lambda: actions.suspend(archive.reader, card.card_id),
        lambda: actions.resume(archive.reader, card.card_id),
    ):
        with pytest.raises(NotAllowed):
            forbidden()


def test_many_issuing_at_once_make_one_card(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    found = at_once(8, lambda: actions.issue(archive.sender(), "P1"))
    assert sorted(each.new for each in found if isinstance(each, Issued)) == [False] * 7 + [True]
    assert rows(archive, CARD) == 1


# --- without a certificate ---


def test_a_newborn_s_card_is_temporary_and_becomes_formal_with_the_number(archive: TestArchive) -> None:
    person = register(archive, "N1", "李梅之子", birth_date="20261125")
    temporary = issued(archive, "N1")
    assert temporary.attribute == Attribute.TEMPORARY
    assert issued(archive, "N1").card_id == temporary.card_id
    wristband = actions.static_code(temporary).text
    assert resolved(archive.sender(), wristband).card.holder.exchange_id == person
    give(archive, "N1", "11010020171225006X")
    taken = resolved(archive.sender(), wristband)
    assert taken.card.attribute == Attribute.FORMAL
    assert taken.card.holder.exchange_id == person
    old = actions.show_card(archive.reader, temporary.card_id)
    assert old.replaced_by == taken.card.card_id == issued(archive, "N1").card_id
    assert [each.card_id for each in actions.cards_of(archive.reader, person)] == [taken.card.card_id, old.card_id]
    figures = actions.figures(archive.reader)
    assert (figures.issued, figures.active, figures.temporary) == (2, 1, 0)


def test_a_wristband_of_a_suspended_card_is_refused(archive: TestArchive) -> None:
    register(archive, "N1", "李梅之子")
    temporary = issued(archive, "N1")
    give(archive, "N1", "11010020171225006X")
    formal = issued(archive, "N1")
    assert formal.attribute == Attribute.FORMAL
    actions.suspend(archive.sender(), formal.card_id)
    assert refused(archive.sender(), actions.static_code(temporary).text) == Reason.SUSPENDED


def test_a_newborn_that_was_joined_by_mistake_keeps_its_card(archive: TestArchive) -> None:
    child = register(archive, "N1", "李梅之子")
    other = register(archive, "P1", "李梅", LI)
    wristband = actions.static_code(issued(archive, "N1")).text
    both = join(archive, ("TAIYUAN", "N1"), ("TAIYUAN", "P1"))
    assert resolved(archive.sender(), wristband).card.holder.exchange_id == both
    formal = issued(archive, "N1")
    assert (formal.attribute, formal.certificate) == (Attribute.FORMAL, ("01", LI))
    split(archive, ("TAIYUAN", "N1"))
    assert resolved(archive.sender(), wristband).card.holder.exchange_id == child
    assert issued(archive, "N1").certificate[0] == "99"
    assert issued(archive, "P1").card_id == formal.card_id
    assert issued(archive, "P1").holder.exchange_id == other


def test_many_asking_for_a_newborn_s_card_at_once_get_one(archive: TestArchive) -> None:
    register(archive, "N1", "李梅之子")
    found = at_once(6, lambda: actions.issue(archive.sender(), "N1"))
    assert len({each.card.card_id for each in found if isinstance(each, Issued)}) == 1
    assert rows(archive, CARD) == 1


# --- taking ---


def test_both_codes_give_the_person_and_record_the_use(archive: TestArchive, clock: At) -> None:
    person = register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    static = resolved(archive.sender("YUNCHENG"), actions.static_code(card).text)
    assert (static.card.holder.exchange_id, static.numbers, static.dynamic) == (person, (), False)
    clock.passes(10)
    dynamic = resolved(
        archive.sender(), actions.dynamic_code(archive.reader, card).text, replace(WINDOW, step="010104")
    )
    assert (dynamic.card.holder.name, dynamic.numbers, dynamic.dynamic) == ("李梅", ("P1",), True)
    with archive.store.database.read() as read:
        uses = [tuple(row)[2:] for row in read.execute(select(CARD_USE).order_by(CARD_USE.c.pk))]
    noon = round(NOON.timestamp() * 1000)
    assert uses == [
        ("010101", "TY-0017", "01", noon, "YUNCHENG", 0),
        ("010104", "TY-0017", "01", noon + 10_000, "TAIYUAN", 1),
    ]
    assert actions.figures(archive.reader).uses_by_step == {"010101": 1, "010104": 1}
    later = actions.figures(archive.reader, since=NOON + timedelta(seconds=1))
    assert later.uses_by_step == {"010104": 1}
    assert facts(archive)[1:] == [
        ("people.card_used", "YUNCHENG", {"step": "010101", "terminal_type": "01", "dynamic": False}),
        ("people.card_used", "TAIYUAN", {"step": "010104", "terminal_type": "01", "dynamic": True}),
    ]


def test_a_dynamic_code_is_taken_once(archive: TestArchive, clock: At) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    text = actions.dynamic_code(archive.reader, card).text
    resolved(archive.sender(), text)
    assert refused(archive.sender(), text) == Reason.REPLAYED
    assert refused(archive.sender("YUNCHENG"), text.lower()) == Reason.REPLAYED
    assert rows(archive, CARD_USE) == 1
    clock.passes(1)
    resolved(archive.sender(), actions.dynamic_code(archive.reader, card).text)


def test_of_many_who_scan_one_code_at_once_one_gets_in(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    text = actions.dynamic_code(archive.reader, issued(archive, "P1")).text
    found = at_once(8, lambda: actions.resolve(archive.sender(), text, WINDOW))
    assert sum(isinstance(each, Resolved) for each in found) == 1
    assert [each for each in found if isinstance(each, Refusal)] == [Refusal(Reason.REPLAYED)] * 7
    assert rows(archive, CARD_USE) == 1


@pytest.mark.parametrize(
    ("seconds", "expected"), [(59, None), (60, None), (90.9, None), (91.1, Reason.EXPIRED), (3600, Reason.EXPIRED)]
)
def test_a_dynamic_code_is_good_for_its_time_and_the_tolerance(
    archive: TestArchive, clock: At, seconds: float, expected: Reason | None
) -> None:
    register(archive, "P1", "李梅", LI)
    text = actions.dynamic_code(archive.reader, issued(archive, "P1")).text
    clock.passes(seconds)
    found = actions.resolve(archive.sender(), text, WINDOW)
    assert found.reason == expected if isinstance(found, Refusal) else expected is None


@pytest.mark.parametrize(("ahead", "expected"), [(29, None), (30, None), (32, Reason.AHEAD)])
def test_a_code_of_a_clock_that_is_ahead_is_taken_within_the_tolerance(
    archive: TestArchive, clock: At, ahead: float, expected: Reason | None
) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    clock.passes(ahead)
    text = actions.dynamic_code(archive.reader, card).text
    clock.passes(-ahead)
    found = actions.resolve(archive.sender(), text, WINDOW)
    assert found.reason == expected if isinstance(found, Refusal) else expected is None


def test_taken_codes_are_forgotten_when_they_cannot_be_good_any_more(archive: TestArchive, clock: At) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    for _ in range(3):
        resolved(archive.sender(), actions.dynamic_code(archive.reader, card).text)
        clock.passes(60)
    assert rows(archive, CARD_CODE) == 3
    clock.passes(2 * 3600)
    resolved(archive.sender(), actions.dynamic_code(archive.reader, card).text)
    assert rows(archive, CARD_CODE) == 1


def test_what_is_no_code_an_unknown_card_and_an_altered_code_are_told_apart(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    text = actions.dynamic_code(archive.reader, card).text
    altered = text[:-1] + ("0" if text[-1] != "0" else "1")
    assert refused(archive.sender(), "") == Reason.MALFORMED
    assert refused(archive.sender(), LI) == Reason.MALFORMED
    assert refused(archive.sender(), f"{'AB' * 32}:1") == Reason.UNKNOWN
    assert refused(archive.sender(), altered) == Reason.WRONG_KEY
    assert rows(archive, CARD_USE) == rows(archive, CARD_CODE) == 0


@pytest.mark.parametrize(
    "terminal",
    [Terminal("", "T", "01"), Terminal("1" * 11, "T", "01"), Terminal("1", "", "01"), Terminal("1", "T", "")],
)
def test_a_use_without_all_that_its_record_needs_is_not_taken(archive: TestArchive, terminal: Terminal) -> None:
    register(archive, "P1", "李梅", LI)
    with pytest.raises(BadRequest):
        actions.resolve(archive.sender(), actions.static_code(issued(archive, "P1")).text, terminal)
    assert rows(archive, CARD_USE) == 0


def test_a_suspended_card_is_refused_until_it_is_resumed(archive: TestArchive, clock: At) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    text = actions.dynamic_code(archive.reader, card).text
    assert actions.suspend(archive.sender("YUNCHENG"), card.card_id).state == State.SUSPENDED
    assert actions.suspend(archive.sender(), card.card_id).state == State.SUSPENDED
    assert refused(archive.sender(), text) == Reason.SUSPENDED
    assert refused(archive.sender(), actions.static_code(card).text) == Reason.SUSPENDED
    assert issued(archive, "P1").state == State.SUSPENDED
    assert actions.figures(archive.reader).active == 0
    assert actions.figures(archive.reader).suspended == 1
    assert actions.resume(archive.sender(), card.card_id).state == State.NORMAL
    resolved(archive.sender(), text)
    assert [(kind, by) for kind, by, _ in facts(archive)] == [
        ("people.card_issued", "TAIYUAN"),
        ("people.card_suspended", "YUNCHENG"),
        ("people.card_resumed", "TAIYUAN"),
        ("people.card_used", "TAIYUAN"),
    ]


# --- keys ---


def test_a_card_outlives_the_key_it_was_made_with(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with archive_in(folder, card_keys=key_file(tmp_path, (1, ONE, OTHER))) as archive:
        register(archive, "P1", "李梅", LI)
        register(archive, "P2", "王强", WANG, sex="M", birth_date="18800101")
        old = issued(archive, "P1")
        shown = actions.dynamic_code(archive.reader, old)
    both = key_file(tmp_path, (1, ONE, OTHER), (2, THIRD, FOURTH), current=2)
    with archive_in(folder, card_keys=both) as archive:
        assert issued(archive, "P1") == old
        assert issued(archive, "P2").key_version == 2
        resolved(archive.sender(), shown.text)  # made by a server that was not given the new key yet
        resolved(archive.sender(), actions.static_code(old).text)
        fresh = actions.dynamic_code(archive.reader, old)
        assert algorithm.valid_until(FOURTH, fresh.text[-32:]) == fresh.until
    with archive_in(folder, card_keys=key_file(tmp_path, (2, THIRD, FOURTH), current=2)) as archive:
        assert refused(archive.sender(), actions.static_code(old).text) == Reason.WRONG_KEY
        resolved(archive.sender(), actions.static_code(issued(archive, "P2")).text)


def test_a_card_that_was_altered_in_the_database_is_refused(archive: TestArchive) -> None:
    register(archive, "P1", "李梅", LI)
    card = issued(archive, "P1")
    with archive.store.database.write() as write:
        write.execute(CARD.update().values(number=WANG))
    assert refused(archive.sender(), actions.static_code(card).text) == Reason.WRONG_KEY


def test_without_keys_there_are_no_cards(archive: TestArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    none = replace(archive.store.settings, demo=False)
    monkeypatch.setattr(archive.store, "settings", none)
    assert not actions.has_cards(archive.reader)
    with pytest.raises(NotFound, match="`card_keys` is empty"):
        actions.resolve(archive.sender(), "x", WINDOW)


# --- joins and splits ---


def test_a_card_follows_its_person_into_a_join_and_out_of_it(archive: TestArchive) -> None:
    before = register(archive, "7", "李梅", institution="YUNCHENG")
    alone = register(archive, "P1", "李梅", LI)
    text = actions.static_code(issued(archive, "P1")).text
    assert alone != before
    joined = join(archive, ("TAIYUAN", "P1"), ("YUNCHENG", "7"))
    taken = resolved(archive.sender("YUNCHENG"), text)
    assert (taken.card.holder.exchange_id, taken.numbers) == (joined, ("7",))
    for known in (before, alone):  # the id that was joined leads there, too
        assert [each.card_id for each in actions.cards_of(archive.reader, known)] == [taken.card.card_id]
    split(archive, ("TAIYUAN", "P1"))
    taken = resolved(archive.sender("YUNCHENG"), text)
    assert (taken.card.holder.exchange_id, taken.numbers) == (alone, ())
    assert actions.cards_of(archive.reader, before) == []


def at_once(number: int, do: Callable[[], T]) -> list[T]:
    found: list[T] = []
    gate = threading.Barrier(number)

    def one() -> None:
        gate.wait()
        found.append(do())

    threads = [threading.Thread(target=one) for _ in range(number)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == number
    return found
