"""The ledger: appended with its change or not at all, followed by cursor, and altered never unseen."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from huitong.store import ledger
from huitong.store.sqlite import SqliteDatabase

AT = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> SqliteDatabase:
    database = SqliteDatabase(tmp_path / "index.sqlite")
    database.migrate()
    return database


def say(database: SqliteDatabase, *subjects: str) -> None:
    for subject in subjects:
        with database.write() as tx:
            ledger.append(tx, at=AT, kind="test.said", institution="TAIYUAN", subject=subject, body={"n": len(subject)})


def test_facts_are_followed_in_order_from_a_cursor(database: SqliteDatabase) -> None:
    say(database, "a", "bb", "ccc")
    with database.read() as tx:
        facts = ledger.follow(tx, 1)
        assert [(f.seq, f.subject, f.body) for f in facts] == [(2, "bb", {"n": 2}), (3, "ccc", {"n": 3})]
        assert facts[0].at_ms == 1_772_353_800_000


def _say_and_fail(database: SqliteDatabase) -> None:
    with database.write() as tx:
        ledger.append(tx, at=AT, kind="test.said", institution="TAIYUAN", subject="b", body={})
        raise ZeroDivisionError


def test_a_fact_is_undone_with_its_transaction(database: SqliteDatabase) -> None:
    say(database, "a")
    with pytest.raises(ZeroDivisionError):
        _say_and_fail(database)
    with database.read() as tx:
        assert [f.subject for f in ledger.follow(tx, 0)] == ["a"]


def test_the_latest_fact_about_a_subject_is_found(database: SqliteDatabase) -> None:
    say(database, "a", "b", "a")
    with database.read() as tx:
        latest = ledger.latest(tx, "test.said", "TAIYUAN", "a")
        assert latest is not None
        assert latest.seq == 3
        assert ledger.latest(tx, "test.said", "YUNCHENG", "a") is None


@pytest.mark.parametrize(
    ("harm", "breaks_at"),
    [
        ("UPDATE ledger SET body = '{}' WHERE seq = 2", [2]),
        ("UPDATE ledger SET at_ms = at_ms + 1 WHERE seq = 1", [1]),
        ("DELETE FROM ledger WHERE seq = 2", [3]),
        ("UPDATE ledger SET hash = zeroblob(32) WHERE seq = 2", [2, 3]),
    ],
)
def test_a_line_altered_or_removed_shows_where(database: SqliteDatabase, harm: str, breaks_at: list[int]) -> None:
    say(database, "a", "b", "c")
    with database.read() as tx:
        assert list(ledger.check(tx)) == []
    with database.write() as tx:
        tx.execute(text(harm))
    with database.read() as tx:
        assert list(ledger.check(tx)) == breaks_at
