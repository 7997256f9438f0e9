"""The database's faults are told in the archive's own words, whoever raises them and when."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import text

from huitong.base.errors import OurFault, StoreFull, StoreUnavailable
from huitong.store.sqlite import SqliteDatabase


@contextmanager
def no_file_may_grow() -> Iterator[None]:
    """As on a full volume, but for what the kernel calls it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_connections_that_make_one_new_file_at_once_are_all_made(tmp_path: Path) -> None:
    """SQLite refuses some of them at once, however long they would wait."""
    together = Barrier(8)

    def make(number: int) -> str:
        together.wait()
        with closing(SqliteDatabase(tmp_path / f"{number}.sqlite")) as database, closing(database.session()) as session:
            session.run("CREATE TABLE IF NOT EXISTS t(x)", {})
            return str(session.rows("PRAGMA journal_mode", {})[0][0])

    with ThreadPoolExecutor(8) as threads:
        for number in range(60):
            assert set(threads.map(make, [number] * 8)) == {"wal"}


def database_in(folder: Path) -> SqliteDatabase:
    database = SqliteDatabase(folder / "index.sqlite")
    database.migrate()
    return database


@pytest.mark.parametrize(("room", "fault"), [(0, StoreFull), (1 << 30, StoreUnavailable)], ids=["full", "not full"])
def test_a_start_that_cannot_write_says_whether_the_volume_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, fault: type[OurFault]
) -> None:
    volume = os.statvfs_result((1, 1, room, room, room, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _folder: volume)
    with no_file_may_grow(), pytest.raises(fault):
        database_in(tmp_path)


@pytest.mark.parametrize(("room", "fault"), [(0, StoreFull), (1 << 30, StoreUnavailable)], ids=["full", "not full"])
def test_a_session_that_cannot_be_opened_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, fault: type[OurFault]
) -> None:
    database_in(tmp_path).close()
    volume = os.statvfs_result((1, 1, room, room, room, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _folder: volume)
    with no_file_may_grow(), pytest.raises(fault):
        SqliteDatabase(tmp_path / "index.sqlite").session()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"garbage" * 1000)
    database = SqliteDatabase(tmp_path / "index.sqlite")
    for use in (database.migrate, database.session, database.check):
        with pytest.raises(StoreUnavailable, match=r"index\.sqlite: file is not a database"):
            use()


def test_a_damaged_page_is_no_raw_error_of_the_driver(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    with database.read() as tx:
        root, page = tx.execute(_WHERE_PACKS_ARE).one()
    database.close()
    with (tmp_path / "index.sqlite").open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    session = database.session()
    with pytest.raises(StoreUnavailable, match="malformed"):
        session.rows("SELECT * FROM pack", {})
    with pytest.raises(StoreUnavailable, match="malformed"):
        database.check()
    with pytest.raises(StoreUnavailable, match="malformed"), database.read() as tx:
        tx.execute(text("SELECT * FROM pack"))
    session.close()
    database.close()


_WHERE_PACKS_ARE = text("SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'pack'")


def test_a_check_finds_a_lock_that_is_never_given_back_and_a_file_that_is_gone(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    database.check()
    with database.write(), pytest.raises(StoreUnavailable, match="locked"):
        database.check()
    database.check()
    database.close()
    (tmp_path / "index.sqlite").unlink()
    with pytest.raises(StoreUnavailable, match="open"):
        database.check()
    assert not (tmp_path / "index.sqlite").exists()


def test_rows_come_one_after_another_while_the_session_reads_more(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :last) SELECT i FROM n"
    with database.reading() as session:
        found = [(r["i"], session.rows("SELECT :i + 1", {"i": r[0]})[0][0]) for r in session.each(numbers, {"last": 9})]
    assert found == [(i, i + 1) for i in range(1, 10)]
    database.close()
