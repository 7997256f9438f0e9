"""Who looked is written once a session and object, durably, and no line can be altered without showing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.archives import TestArchive, archive_in

from huitong.access import auditing
from huitong.access.auditing import Looked, Wanted
from huitong.access.model import Asker, Kind, Role
from huitong.access.work import Work
from huitong.base.errors import StoreUnavailable
from huitong.store.database import Session

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


def test_lines_of_two_processes_are_one_chain(tmp_path: Path) -> None:
    with archive_in(tmp_path) as one, archive_in(tmp_path) as other:  # what processes share is the store alone
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda n: auditing.record(work_of((one, other)[n % 2]), looked(n)), range(160)))
        found = auditing.check(one.store)
        assert (found.lines, found.first_fault) == (160, None)
        assert {line.looked.id for line in auditing.lines(other.store)} == {f"1.{n}" for n in range(160)}


@contextmanager
def _refusing(archive: TestArchive, object_: str) -> Iterator[None]:
    """While the block runs, the database refuses lines about this object, as it does what another wrote at once."""
    sqlite = archive.store.database.kind == "sqlite"
    refuse = (
        f"CREATE TRIGGER refuse BEFORE INSERT ON audit WHEN NEW.object = '{object_}'"
        " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        if sqlite
        else f"ALTER TABLE audit ADD CONSTRAINT refuse CHECK (object <> '{object_}')"
    )
    with archive.store.database.write() as tx:
        tx.execute(text(refuse))
    yield
    with archive.store.database.write() as tx:
        tx.execute(text("DROP TRIGGER refuse" if sqlite else "ALTER TABLE audit DROP CONSTRAINT refuse"))


def test_of_a_group_that_fails_none_is_acknowledged_and_each_is_told(archive: TestArchive) -> None:
    def tried(number: int) -> bool:
        try:
            auditing.record(work_of(archive), looked(number))
        except StoreUnavailable:
            return False
        return True

    with _refusing(archive, "1.7"), ThreadPoolExecutor(16) as pool:
        with archive.store.database.write() as tx:  # which all of them wait for
            auditing.record_on(tx, work_of(archive), looked(99))
            answers = [pool.submit(tried, number) for number in range(16)]
            time.sleep(0.5)
        acknowledged = {f"1.{number}" for number, each in enumerate(answers) if each.result()}
    assert not answers[7].result()
    assert len(acknowledged) < 15  # those that were with it are told, too
    assert {line.looked.id for line in auditing.lines(archive.store)} == acknowledged | {"1.99"}
    auditing.record(work_of(archive), looked(7))
    found = auditing.check(archive.store)
    assert (found.lines, found.first_fault) == (len(acknowledged) + 2, None)


def test_what_could_not_be_written_is_not_remembered_as_written(archive: TestArchive) -> None:
    with _refusing(archive, "1.1"):
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                auditing.once(work_of(archive), looked())
    assert auditing.lines(archive.store) == []
    for _ in range(2):
        auditing.once(work_of(archive), looked())
    assert len(auditing.lines(archive.store)) == 1


def test_a_line_that_cannot_be_written_is_a_fault_of_its_own(archive: TestArchive) -> None:
    with pytest.raises(TypeError):
        auditing.record(work_of(archive), replace(looked(), detail={"visit": object()}))
    auditing.record(work_of(archive), looked())
    assert auditing.check(archive.store).lines == 1


@pytest.mark.parametrize("how", [auditing.record, auditing.once])
def test_within_a_transaction_of_writes_a_line_of_its_own_is_refused_at_once(
    archive: TestArchive, how: Callable[[Work, Looked], None]
) -> None:
    """It would wait for that transaction, and everybody else's lines with it."""
    with archive.store.database.write() as tx:
        with pytest.raises(RuntimeError, match="within a transaction"):
            how(work_of(archive), looked())
        auditing.record_on(tx, work_of(archive), looked(2))
    how(work_of(archive), looked())
    assert [line.looked.id for line in auditing.lines(archive.store)] == ["1.1", "1.2"]


@pytest.mark.parametrize("odd", ["1.2\0.3", "%s :name", "1." + "7" * 9000, "1.\ud800"])
def test_what_a_stranger_asks_for_neither_breaks_the_chain_nor_anothers_line(archive: TestArchive, odd: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        with archive.store.database.write() as tx:
            auditing.record_on(tx, work_of(archive), looked(99))
            strange = pool.submit(auditing.record, work_of(archive), replace(looked(1), id=odd))
            others = [pool.submit(auditing.record, work_of(archive), looked(number)) for number in (2, 3)]
            time.sleep(0.3)
        assert all(each.exception() is None for each in others)
    found = auditing.check(archive.store)
    assert (found.lines, found.first_fault) == (3 if strange.exception() else 4, None)


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
            " object, institution, detail, hash, account, asker_institution FROM audit WHERE seq = 3",
            1,
        ),
        (
            "INSERT INTO audit SELECT -9223372036854775808, at_ms, asker, action, allowed, rule, purpose, person, kind,"
            " object, institution, detail, hash, account, asker_institution FROM audit WHERE seq = 3",
            1,
        ),
        ("UPDATE audit SET account = 'wu' WHERE seq = 4", 4),
        ("UPDATE audit SET asker_institution = '' WHERE seq = 2", 2),
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


# --- finding ---

WU = replace(LI, name="wu", institution="YUNCHENG", session="s9")
T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def many(archive: TestArchive) -> TestArchive:
    """Ten days, on each a line of 李 about HT<n> and a refused one of 吴 about a card."""
    for day in range(10):
        at = T0 + timedelta(days=day)
        auditing.record(replace(work_of(archive), clock=lambda at=at: at), looked(day))
        refused = replace(looked(day, allowed=False), action="card.scan", id="C1")
        auditing.record(replace(work_of(archive, WU), clock=lambda at=at: at), refused)
    return archive


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        (Wanted(), range(20, 0, -1)),
        (Wanted(persons=("HT1", "HT3", "HT77")), [8, 7, 4, 3]),
        (Wanted(persons=("HT1", "HT3"), account="li", action="imaging.see"), [7, 3]),
        (Wanted(account="wu"), range(20, 0, -2)),
        (Wanted(institution="TAIYUAN"), range(19, 0, -2)),
        (Wanted(action="card.scan", allowed=True), []),
        (Wanted(allowed=False), range(20, 0, -2)),
        (Wanted(object="1.4"), [9]),
        (Wanted(since=T0 + timedelta(days=8)), [20, 19, 18, 17]),
        (Wanted(until=T0 + timedelta(days=1)), [2, 1]),
        (Wanted(account="li", since=T0 + timedelta(days=2), until=T0 + timedelta(days=4)), [7, 5]),
        (Wanted(since=T0 + timedelta(days=90)), []),
    ],
)
def test_lines_are_found_by_all_that_is_given(many: TestArchive, wanted: Wanted, seqs: Sequence[int]) -> None:
    found = auditing.search(many.store, wanted)
    assert [line.seq for line in found] == list(seqs)
    pages: list[int] = []
    while page := auditing.search(many.store, wanted, before=pages[-1] if pages else None, limit=3):
        pages += [line.seq for line in page]
    assert pages == list(seqs)


def test_one_line_is_read_by_its_number(many: TestArchive) -> None:
    assert (found := auditing.line(many.store, 4)) is not None
    assert found.asker["name"] == "wu"
    assert auditing.line(many.store, 99) is None


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(persons=("HT1", "HT3")), "audit_by_person"),
        (Wanted(persons=("HT1",), account="li", action="imaging.see", allowed=True), "audit_by_person"),
        (Wanted(object="1.4", account="li", action="imaging.see"), "audit_by_object"),
        (Wanted(account="li", institution="TAIYUAN", action="imaging.see"), "audit_by_account"),
        (Wanted(institution="TAIYUAN", action="imaging.see", allowed=True), "audit_by_asker_institution"),
        (Wanted(action="card.scan", since=T0), "audit_by_action"),
        (Wanted(allowed=False), "audit_refused"),
    ],
)
def test_every_search_goes_through_an_index(
    archive: TestArchive, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, index: str
) -> None:
    _fill(archive)
    ran: list[tuple[str, Mapping[str, Any]]] = []
    with archive.store.database.reading() as session:
        of_kind = type(session)
        rows = of_kind.rows

        def note(session: Session, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
            ran.append((sql, parameters))
            return rows(session, sql, parameters)

        with monkeypatch.context() as patched:
            patched.setattr(of_kind, "rows", note)
            auditing.search(archive.store, wanted, limit=50)
        explain = "EXPLAIN QUERY PLAN " if session.kind == "sqlite" else "EXPLAIN "
        plans = [
            "; ".join(str(row[3 if session.kind == "sqlite" else 0]) for row in session.rows(explain + sql, values))
            for sql, values in ran
        ]
    assert all(("audit_by_time" in plan) == ("at_ms, seq" in sql) for plan, (sql, _) in zip(plans, ran, strict=True))
    assert index in plans[-1]


def _fill(archive: TestArchive) -> None:
    """20,000 lines, of which few are of one object, person or account, and few were refused."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    with archive.store.database.write() as tx:
        tx.execute(
            text(
                f"{numbers} INSERT INTO audit (seq, at_ms, asker, action, allowed, rule, purpose, person, kind, object,"
                " institution, detail, hash, account, asker_institution) SELECT i, i, '{}',"
                " CASE WHEN i % 500 = 0 THEN 'card.scan' ELSE 'imaging.see' END,"
                " CASE WHEN i % 400 = 0 THEN 0 ELSE 1 END, '', '', 'HT' || i % 5000, 'study', '1.' || i % 5000,"
                " '', '{}', :hash, 'a' || i % 900, 'I' || i % 400 FROM n"
            ),
            {"hash": b""},
        )
    if archive.store.database.kind == "postgresql":
        with archive.store.database.write() as tx:
            tx.execute(text("ANALYZE audit"))
