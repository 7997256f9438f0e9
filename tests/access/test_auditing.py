"""Who looked is written once a session and object, durably, and no line can be altered without showing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.archives import TestArchive, archive_in

from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.model import Asker, Kind, Role
from huitong.access.work import Work

LI = Asker(Kind.STAFF, "li", "李医生", "TAIYUAN", frozenset({Role.DOCTOR}), session="s1")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


def work_of(archive: TestArchive, asker: Asker = LI) -> Work:
    return replace(archive.reader, asker=asker, host="10.1.2.3")


def looked(number: int = 1, allowed: bool = True) -> Looked:
    return Looked("imaging.see", allowed, "open visit", "TREAT", f"HT{number}", "study", f"1.{number}", "YUNCHENG")


def test_a_line_says_who_looked_at_whose_record_why_and_from_where(archive: TestArchive) -> None:
    auditing.record(work_of(archive), replace(looked(), detail={"visit": "V1"}))
    [line] = auditing.lines(archive.store, person="HT1")
    assert (line.asker["name"], line.asker["display"], line.asker["host"]) == ("li", "李医生", "10.1.2.3")
    assert (line.asker["institution"], line.asker["roles"], line.asker["door"]) == ("TAIYUAN", ["doctor"], "http")
    assert line.looked == looked()
    assert line.looked.detail == {"visit": "V1"}
    assert auditing.lines(archive.store, person="HT2") == []


def test_of_a_session_and_an_object_there_is_one_line_for_each_answer(archive: TestArchive) -> None:
    work = work_of(archive)
    for _ in range(3):
        auditing.once(work, looked())
        auditing.once(work, looked(allowed=False))
    assert [line.looked.allowed for line in auditing.lines(archive.store)] == [False, True]
    auditing.once(work_of(archive, replace(LI, session="s2")), looked())
    auditing.once(work, looked(2))
    assert len(auditing.lines(archive.store)) == 4


def test_lines_of_many_at_once_are_one_chain(archive: TestArchive) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: auditing.once(work_of(archive), looked(n)), range(80)))
    found = auditing.check(archive.store)
    assert (found.lines, found.first_fault) == (80, None)
    assert [line.seq for line in auditing.lines(archive.store)] == list(range(80, 0, -1))


def test_what_is_undone_leaves_no_gap(archive: TestArchive) -> None:
    def broken_off() -> None:
        with archive.store.database.writing() as session:
            auditing.record_in(session, work_of(archive), looked())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    auditing.record(work_of(archive), looked(2))
    assert auditing.check(archive.store).first_fault is None
    assert [line.seq for line in auditing.lines(archive.store)] == [1]


@pytest.mark.parametrize(
    ("by_hand", "first"),
    [
        ("UPDATE audit SET allowed = 0 WHERE seq = 3", 3),
        ("UPDATE audit SET asker = replace(asker, 'li', 'wu') WHERE seq = 2", 2),
        ("UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 5", 5),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
        (
            "INSERT INTO audit SELECT 0, at_ms, asker, action, allowed, rule, purpose, person, kind,"
            " object, institution, detail, hash FROM audit WHERE seq = 3",
            1,
        ),
        (
            "INSERT INTO audit SELECT -9223372036854775808, at_ms, asker, action, allowed, rule, purpose, person, kind,"
            " object, institution, detail, hash FROM audit WHERE seq = 3",
            1,
        ),
        ("UPDATE audit SET seq = seq + 10 WHERE seq >= 3", 3),
        ("UPDATE audit SET seq = CASE seq WHEN -2 THEN 3 ELSE 2 END WHERE seq IN (-2, -3)", 2),
    ],
)
def test_the_first_line_that_was_touched_by_hand_is_named(archive: TestArchive, by_hand: str, first: int) -> None:
    for number in range(5):
        auditing.record(work_of(archive), looked(number))
    assert auditing.check(archive.store).first_fault is None
    with archive.store.database.write() as tx:
        if "-2" in by_hand:  # two lines change places
            tx.execute(text("UPDATE audit SET seq = -seq WHERE seq IN (2, 3)"))
        tx.execute(text(by_hand))
    found = auditing.check(archive.store)
    assert (found.first_fault, found.lines) == (first, first - 1)


def test_an_end_that_was_cut_off_shows_by_a_head_that_was_kept(archive: TestArchive) -> None:
    for number in range(5):
        auditing.record(work_of(archive), looked(number))
    head = auditing.check(archive.store).head
    assert auditing.holds(archive.store, 5, head)
    with archive.store.database.write() as tx:
        tx.execute(text("DELETE FROM audit WHERE seq = 5"))
    assert auditing.check(archive.store).first_fault is None
    assert not auditing.holds(archive.store, 5, head)
    auditing.record(work_of(archive), looked(99))
    assert not auditing.holds(archive.store, 5, head)
