"""The ledger: appended with its change or not at all, followed by cursor, and altered never unseen, on either home."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from tests.store.conftest import POSTGRESQL, Databases

from huitong.store import ledger
from huitong.store.database import Database

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def say(database: Database, *subjects: str) -> None:
    for subject in subjects:
        with database.write() as tx:
            ledger.append(tx, at=AT, kind="test.said", institution="TAIYUAN", subject=subject, body={"n": len(subject)})


def test_facts_are_followed_in_order_from_a_cursor(database: Database) -> None:
    say(database, "a", "bb", "ccc")
    with database.read() as tx:
        facts = ledger.follow(tx, 1)
        assert [(f.seq, f.subject, f.body) for f in facts] == [(2, "bb", {"n": 2}), (3, "ccc", {"n": 3})]
        assert facts[0].at_ms == 1_772_353_800_000


def _say_and_fail(database: Database) -> None:
    with database.write() as tx:
        ledger.append(tx, at=AT, kind="test.said", institution="TAIYUAN", subject="b", body={})
        raise ZeroDivisionError


def test_a_fact_is_undone_with_its_transaction(database: Database) -> None:
    say(database, "a")
    with pytest.raises(ZeroDivisionError):
        _say_and_fail(database)
    with database.read() as tx:
        assert [f.subject for f in ledger.follow(tx, 0)] == ["a"]


def test_the_latest_fact_about_a_subject_is_found(database: Database) -> None:
    say(database, "a", "b", "a")
    with database.reading() as session:
        latest = ledger.latest(session, "test.said", "TAIYUAN", "a")
        assert latest is not None
        assert latest.seq == 3
        assert ledger.latest(session, "test.said", "YUNCHENG", "a") is None


def test_facts_appended_either_way_are_one_chain(database: Database) -> None:
    for number in range(4):
        fact = {"at": AT, "kind": "test.said", "institution": "TAIYUAN", "subject": "a", "body": {"n": number}}
        if number % 2:
            with database.writing() as session:
                ledger.append_by(session, **fact)
        else:
            say(database, "a")
    with database.read() as tx:
        assert [f.seq for f in ledger.follow(tx, 0)] == [1, 2, 3, 4]
        assert list(ledger.check(tx)) == []


@pytest.mark.parametrize(
    ("harm", "breaks_at"),
    [
        ("UPDATE ledger SET body = '{}' WHERE seq = 2", [2]),
        ("UPDATE ledger SET at_ms = at_ms + 1 WHERE seq = 1", [1]),
        ("DELETE FROM ledger WHERE seq = 2", [3]),
        ("UPDATE ledger SET hash = :nothing WHERE seq = 2", [2, 3]),
    ],
)
def test_a_line_altered_or_removed_shows_where(database: Database, harm: str, breaks_at: list[int]) -> None:
    say(database, "a", "b", "c")
    with database.read() as tx:
        assert list(ledger.check(tx)) == []
    with database.write() as tx:
        tx.execute(text(harm), {"nothing": bytes(32)} if ":nothing" in harm else {})
    with database.read() as tx:
        assert list(ledger.check(tx)) == breaks_at


@pytest.mark.parametrize("empty_databases", [pytest.param(POSTGRESQL, marks=pytest.mark.scaled)], indirect=True)
def test_the_server_gives_the_lines_as_they_are_checked_not_all_at_once(database: Database) -> None:
    say(database, "a", "b")
    with database.write() as tx:
        tx.execute(text("UPDATE ledger SET body = '{}' WHERE seq = 1"))
    with database.read() as tx:
        breaks = ledger.check(tx)
        assert next(breaks) == 1
        assert tx.execute(text("SELECT count(*) FROM pg_cursors")).scalar() == 1
        assert list(breaks) == []


# --- transactions that commit crossed ---


def followed_while_two_append_crossed(databases: Databases) -> tuple[list[str], list[str]]:
    """What a follower met, and what the ledger holds in the end.

    The first transaction appends and commits late; the second begins after it and would commit before it.
    """
    first, second, follower = databases.opened[0], databases.open(), databases.open()
    has_appended, has_committed = threading.Event(), threading.Event()
    met: list[str] = []
    cursor = 0

    def follow() -> None:
        nonlocal cursor
        with follower.read() as tx:
            for fact in ledger.follow(tx, cursor):
                met.append(fact.subject)
                cursor = fact.seq

    def append_and_commit_at_once() -> None:
        has_appended.wait(20)
        say(second, "begun second")
        has_committed.set()

    other = threading.Thread(target=append_and_commit_at_once)
    other.start()
    with first.write() as tx:
        ledger.append(tx, at=AT, kind="test.said", institution="TAIYUAN", subject="begun first", body={})
        has_appended.set()
        has_committed.wait(1)  # it waits for us, where all is well
        follow()
    other.join(20)
    follow()
    with follower.read() as tx:
        return met, [fact.subject for fact in ledger.follow(tx, 0)]


def test_a_follower_passes_over_no_fact_of_transactions_that_commit_crossed(databases: Databases) -> None:
    met, all_of_it = followed_while_two_append_crossed(databases)
    assert met == all_of_it == ["begun first", "begun second"]
    with databases.opened[0].read() as tx:
        assert list(ledger.check(tx)) == []


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_without_the_lock_it_would(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test before is known to be able to fail: PostgreSQL lets the second line commit first."""
    monkeypatch.setattr(ledger, "_ONE_AT_A_TIME", text("SELECT 1"))
    met, all_of_it = followed_while_two_append_crossed(databases)
    assert sorted(all_of_it) == ["begun first", "begun second"]
    assert met == ["begun second"]
    with databases.opened[0].read() as tx:
        assert list(ledger.check(tx)) != []


def test_many_that_append_at_once_make_one_chain_and_a_follower_meets_each_line_once(databases: Databases) -> None:
    writers = [threading.Thread(target=_say_many, args=(databases.open(), n)) for n in range(4)]
    met: list[str] = []
    cursor = 0
    for each in writers:
        each.start()
    follower = databases.opened[0]
    while any(each.is_alive() for each in writers) or not _complete(follower, cursor):
        with follower.read() as tx:
            for fact in ledger.follow(tx, cursor, limit=7):
                assert fact.seq > cursor
                met.append(fact.subject)
                cursor = fact.seq
    assert sorted(met) == sorted(f"{n}.{m}" for n in range(4) for m in range(25))
    with follower.read() as tx:
        assert list(ledger.check(tx)) == []


def _complete(database: Database, cursor: int) -> bool:
    with database.read() as tx:
        return ledger.follow(tx, cursor) == []


def _say_many(database: Database, writer: int) -> None:
    say(database, *(f"{writer}.{n}" for n in range(25)))
