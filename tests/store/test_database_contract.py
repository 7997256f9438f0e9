"""What every database promises, held against SQLite and PostgreSQL alike."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, insert, select, text
from tests import homes
from tests.store.conftest import POSTGRESQL, SQLITE, Databases

from huitong.base.errors import StoreUnavailable
from huitong.directory import tables as directory_tables
from huitong.imaging import tables
from huitong.people.tables import TABLES as PEOPLE
from huitong.store import marks, postgres
from huitong.store.database import Database, Session
from huitong.store.tables import MARK, PACK

ADD = "INSERT INTO mark(name, value) VALUES (:name, :value)"
ALL = "SELECT name, value FROM mark ORDER BY name"


def note(session: Session, name: str, value: str = "x") -> None:
    session.run(ADD, {"name": name, "value": value})


def within(transaction: AbstractContextManager[Any], *work: Callable[[Any], object]) -> None:
    with transaction as tx:
        for each in work:
            each(tx)


def fail(_: object) -> None:
    raise ZeroDivisionError


def names(database: Database) -> list[str]:
    with database.read() as tx:
        return list(tx.execute(select(MARK.c.name).order_by(MARK.c.name)).scalars())


# --- transactions ---


def test_what_is_committed_is_there_for_every_other_connection(databases: Databases) -> None:
    first, second = databases.opened[0], databases.open()
    with first.write() as tx:
        marks.write(tx, "by an engine", "x")
    with closing(first.session()) as session, session.write():
        note(session, "by a session")
    assert names(second) == ["by a session", "by an engine"]


def test_what_raises_is_undone_and_the_connection_goes_on(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        within(database.write(), lambda tx: marks.write(tx, "a", "x"), fail)
    with closing(database.session()) as session:
        with pytest.raises(ZeroDivisionError):
            within(session.write(), lambda _: note(session, "b"), fail)
        assert names(database) == []
        with session.write():
            note(session, "c")
    assert names(database) == ["c"]


def test_a_statement_that_fails_undoes_those_before_it(database: Database) -> None:
    with closing(database.session()) as session:
        with pytest.raises(StoreUnavailable):
            within(session.write(), *[lambda _: note(session, "a")] * 2)
        assert names(database) == []
        assert not session.broken


def test_a_thread_that_writes_is_told_at_once_that_it_may_not_wait_for_itself(databases: Databases) -> None:
    database, other = databases.opened[0], databases.open()
    with closing(database.session()) as session:
        writes: list[Callable[[], AbstractContextManager[Any]]] = [database.write, database.writing, session.write]
        for outer in writes:
            for inner in writes:
                with outer(), pytest.raises(RuntimeError, match="within a transaction"), inner():
                    pass
        for each in writes:  # what was refused leaves nothing behind
            with each():
                pass
    with database.write() as tx:
        marks.write(tx, "a", "x")
        with database.reading() as reading:
            assert reading.rows(ALL, {}) == []
        other.one_write.refuse()  # of another database nothing is said
    assert names(database) == ["a"]


def test_another_thread_waits_instead(database: Database) -> None:
    def note_it() -> None:
        with database.writing() as session:
            note(session, "second", str(first_ended.is_set()))

    first_ended = threading.Event()
    second = threading.Thread(target=note_it)
    with database.write() as tx:
        database.lock(tx, ["a"])
        marks.write(tx, "second", "held")
        second.start()
        second.join(0.2)
        tx.execute(delete(MARK))
        first_ended.set()
    second.join(30)
    assert names(database) == ["second"]


def test_a_snapshot_is_of_one_moment(databases: Databases) -> None:
    first, second = databases.opened[0], databases.open()

    def add(name: str) -> None:
        with second.write() as tx:
            marks.write(tx, name, "x")

    add("before")
    with closing(first.session()) as session:
        with session.snapshot():
            assert len(session.rows(ALL, {})) == 1
            add("meanwhile")
            assert len(session.rows(ALL, {})) == 1
        assert len(session.rows(ALL, {})) == 2
    with first.reading() as session:
        assert len(session.rows(ALL, {})) == 2
        add("again")
        assert len(session.rows(ALL, {})) == 2
    with first.read() as tx:
        assert len(tx.execute(text("SELECT 1 FROM mark")).all()) == 3
        add("once more")
        assert len(tx.execute(text("SELECT 1 FROM mark")).all()) == 3


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with closing(database.session()) as writer, writer.write():
        note(writer, "a")
        assert names(database) == []
        with database.reading() as reader:
            assert reader.rows(ALL, {}) == []


def test_a_session_for_reading_is_used_again_also_after_a_mistake(database: Database) -> None:
    with database.reading() as first:
        pass
    with pytest.raises(ZeroDivisionError), database.reading() as second:
        raise ZeroDivisionError
    with database.reading() as third:
        assert third.rows("SELECT 1 AS one", {})[0]["one"] == 1
    assert first is second is third


# --- rows ---


def test_rows_have_values_by_index_and_by_name(database: Database) -> None:
    with closing(database.session()) as session:
        (row,) = session.rows("SELECT 1 AS one, 'zwei' AS two, CAST(:n AS bigint) AS three", {"n": 1 << 40})
        assert (row[0], row[1], row[2]) == (1, "zwei", 1 << 40) == (row["one"], row["two"], row["three"])
        with pytest.raises((KeyError, IndexError)):
            row["four"]


def test_bytes_nulls_and_percent_signs_come_back_as_they_were(database: Database) -> None:
    sql = "SELECT name, value FROM mark WHERE value LIKE '100%' AND name <> :other"
    with closing(database.session()) as session, session.write():
        note(session, "50% :x", "100% 中文")
        assert [tuple(row) for row in session.rows(sql, {"other": "%"})] == [("50% :x", "100% 中文")]
        session.run(_ADD_READY, _ready(0))
        assert tuple(session.rows("SELECT NULL AS absent, etag FROM ready", {})[0]) == (None, "e0")


_ADD_READY = (
    "INSERT INTO ready(kind, owner_pk, revision, etag, pack, payload_at, payload_bytes) "
    "VALUES ('k', :owner, 1, :etag, 'p', 0, :size)"
)


def _ready(number: int) -> dict[str, Any]:
    return {"owner": number, "etag": f"e{number}", "size": 5 << 32}


def test_many_rows_go_in_at_once_and_none_is_no_mistake(database: Database) -> None:
    with closing(database.session()) as session, session.write():
        session.run_many(_ADD_READY, [])
        session.run_many(_ADD_READY, [_ready(n) for n in range(500)])
        assert session.rows("SELECT count(*), max(payload_bytes) FROM ready", {})[0][1] == 5 << 32
        assert session.rows("SELECT count(*) FROM ready", {})[0][0] == 500


def test_the_key_of_a_new_row_is_told(database: Database) -> None:
    sql = "INSERT INTO pack(name) VALUES (:name) RETURNING pk"
    with closing(database.session()) as session, session.write():
        keys = [session.insert(sql, {"name": name}) for name in "abc"]
    with database.read() as tx:
        assert dict(tx.execute(select(PACK.c.name, PACK.c.pk)).all()) == dict(zip("abc", keys, strict=True))  # type: ignore[arg-type]


def test_text_goes_in_the_order_of_its_bytes(database: Database) -> None:
    given = ["a", "B", "1.2.10", "1.2.9", "é", "王", "_", "~", "a b", "ab"]
    with closing(database.session()) as session, session.write():
        session.run_many(ADD, [{"name": name, "value": ""} for name in given])
    assert names(database) == sorted(given, key=str.encode)


def test_a_nul_is_no_obstacle_and_finds_what_it_went_in_as(database: Database) -> None:
    """PostgreSQL's text has none: there it is left out, in what is kept as in what is asked for."""
    with closing(database.session()) as session, session.write():
        note(session, "a\0b", "c\0d")
        (row,) = session.rows("SELECT value FROM mark WHERE name = :name", {"name": "a\0b"})
        assert row[0].replace("\0", "") == "cd"
    with database.write() as tx:
        tx.execute(insert(MARK).values(name="e\0f", value="\0"))
        assert tx.execute(select(MARK.c.value).where(MARK.c.name == "e\0f")).scalar_one() in ("", "\0")
        tx.execute(delete(MARK).where(MARK.c.name == "e\0f"))
    assert [name.replace("\0", "") for name in names(database)] == ["ab"]


# --- faults ---


def test_faults_of_two_at_once_may_be_tried_again(database: Database) -> None:
    with closing(database.session()) as session:
        with session.write():
            note(session, "a")
        with pytest.raises(StoreUnavailable), session.write():
            note(session, "a")
    with pytest.raises(StoreUnavailable), database.write() as tx:
        tx.execute(insert(MARK).values(name="a", value="x"))


def test_mistakes_of_ours_stay_what_they_are(database: Database) -> None:
    for sql in ("SELECT no_such_column FROM mark", "SELEKT"):
        with closing(database.session()) as session, pytest.raises(Exception, match=r"no_such_column|SELEKT") as raised:
            session.rows(sql, {})
        if database.kind == POSTGRESQL:
            assert not isinstance(raised.value, StoreUnavailable)


def test_a_check_is_quiet_where_all_is_well_and_asks_for_the_tables(empty_databases: Databases) -> None:
    database = empty_databases.open()
    with pytest.raises(StoreUnavailable):
        database.check()
    database.migrate()
    database.check()


# --- who waits for whom ---


def test_who_locks_the_same_name_waits_until_the_other_has_committed(databases: Databases) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.wait(20)
        with closing(databases.open().session()) as session, session.write():
            session.lock(["b", "study 1"])
            order.append("second")
            assert [row["name"] for row in session.rows(ALL, {})] == ["of the first"]

    thread = threading.Thread(target=second)
    thread.start()
    with closing(databases.opened[0].session()) as session, session.write():
        session.lock(["study 1", "a"])
        entered.set()
        time.sleep(0.3)
        note(session, "of the first")
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_names_locked_together_in_another_order_are_no_deadlock(databases: Databases) -> None:
    def work(forwards: bool, failed: list[BaseException]) -> None:
        some = [f"study {n}" for n in range(50)]
        try:
            with closing(databases.open_another().session()) as session:
                for _ in range(15):
                    with session.write():
                        session.lock(some if forwards else some[::-1])
        except BaseException as e:
            failed.append(e)

    failed: list[BaseException] = []
    threads = [threading.Thread(target=work, args=(n % 2 == 0, failed)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_a_lock_is_taken_in_a_transaction_of_either_kind(databases: Databases) -> None:
    database = databases.opened[0]
    with database.write() as tx:
        database.lock(tx, ["a"])
        marks.write(tx, "mine", "x")
        started, done = threading.Event(), threading.Event()

        def other() -> None:
            with closing(database.session()) as session:
                started.set()
                with session.write():
                    session.lock(["a"])
                    done.set()

        thread = threading.Thread(target=other)
        thread.start()
        started.wait(20)
        assert not done.wait(0.3)
    assert done.wait(20)
    thread.join(20)


def test_a_turn_is_given_and_given_again(databases: Databases) -> None:
    database = databases.opened[0]
    for _ in range(2):
        with database.turn("settle") as ours:
            assert ours
            with databases.open().turn("recover") as another:
                assert another


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_turn_is_taken_by_one_process_at_a_time(databases: Databases) -> None:
    first, second = databases.opened[0], databases.open()
    with first.turn("settle") as ours, second.turn("settle") as theirs:
        assert (ours, theirs) == (True, False)
    with second.turn("settle") as theirs:
        assert theirs


def test_all_turns_are_given_where_nobody_has_one(databases: Databases) -> None:
    with databases.opened[0].turns(["a", "b", "a"]) as ours, databases.opened[0].turns([]) as none:
        assert (ours, none) == ({"a", "b"}, set())


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_of_several_turns_those_are_given_that_no_other_process_holds(databases: Databases) -> None:
    first, second = databases.opened[0], databases.open()
    with first.turns(["a", "b"]), second.turns(["b", "c"]) as theirs:
        assert theirs == {"c"}
    with second.turns(["a", "b", "c"]) as theirs:
        assert theirs == {"a", "b", "c"}


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_database_is_used_by_many_or_by_one_alone(databases: Databases) -> None:
    """On SQLite the lock of the data folder says it (test_store)."""
    first, second = databases.opened[0], databases.open()
    many = [first.claim(alone=False), second.claim(alone=False)]
    with pytest.raises(StoreUnavailable, match="in use by another"):
        second.claim(alone=True)
    for each in many:
        each.close()
    alone = first.claim(alone=True)
    with pytest.raises(StoreUnavailable, match="in use by another"):
        second.claim(alone=False)
    alone.close()
    second.claim(alone=False).close()


# --- the schema ---

#: What each room describes; importing is what puts it there.
_DESCRIBED = (tables.STUDY, *directory_tables.TABLES)
#: Made by hand: SQLAlchemy knows no virtual tables, nor those that FTS5 keeps behind one, nor triggers, nor an index on
#: arrays.
_BY_HAND = ("study_grams", "study_by_grams", "study_day")


def _ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return not (kind in ("table", "index") and (name or "").startswith(_BY_HAND))


def differences(database: Database) -> list[Any]:
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={"include_object": _ours, "compare_type": False})
        return list(compare_metadata(context, _DESCRIBED[0].metadata))


def test_a_migrated_database_has_the_tables_columns_and_indices_that_are_described(database: Database) -> None:
    assert differences(database) == []
    assert {table.metadata for table in PEOPLE} == {tables.STUDY.metadata}
    listed = {SQLITE: "SELECT name FROM sqlite_master", POSTGRESQL: "SELECT relname AS name FROM pg_class"}
    with closing(database.session()) as session:
        assert {row["name"] for row in session.rows(listed[session.kind], {})} >= {
            "study_grams",
            "study_day",
            "study_by_sex",
        }


def test_migrating_again_changes_nothing(database: Database) -> None:
    with database.write() as tx:
        marks.write(tx, "a", "x")
    database.migrate()
    assert names(database) == ["a"]


_MIGRATE = """
import sys
from pathlib import Path
from huitong.store.postgres import PostgresDatabase
from huitong.store.sqlite import SqliteDatabase
at = sys.argv[1]
database = PostgresDatabase(at) if at.startswith("postgresql") else SqliteDatabase(Path(at))
print("ready", flush=True)
sys.stdin.readline()
database.migrate()
database.close()
"""


def test_of_processes_that_start_together_one_migrates(empty_databases: Databases) -> None:
    database = empty_databases.open()
    at = str(getattr(database, "_url", None) or getattr(database, "path", None))
    started = [_started(_MIGRATE, at) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0, 0], said
    assert differences(database) == []


def _started(program: str, *arguments: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


# --- PostgreSQL alone: a server that is elsewhere ---


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_connection_that_was_cut_is_a_fault_of_ours_and_known_to_be_broken(databases: Databases) -> None:
    database = databases.opened[0]
    cut: list[Callable[[Session], Any]] = [
        lambda session: session.rows("SELECT 1", {}),
        lambda session: session.run("SELECT 1", {}),
        lambda session: session.run_many("SELECT CAST(:n AS int)", [{"n": 1}]),
    ]
    for use in cut:
        with closing(database.session()) as session:
            _cut_all(database)
            with pytest.raises(StoreUnavailable):
                use(session)
            assert session.broken
    for transaction in (database.write(), database.read()):
        with pytest.raises(StoreUnavailable):
            within(transaction, lambda _: _cut_all(database), lambda tx: tx.execute(text("SELECT 1")))
    with pytest.raises(StoreUnavailable):
        within(database.reading(), lambda _: _cut_all(database), lambda session: session.rows("SELECT 1", {}))


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_server_that_starts_anew_costs_whoever_asks_next_nothing(databases: Databases) -> None:
    """Connections that were open and idle are not tried."""
    database = databases.opened[0]
    for _ in range(3):
        with ExitStack() as many:
            for _ in range(3):
                many.enter_context(database.reading())
                many.enter_context(database.read()).execute(text("SELECT 1"))
        _cut_all(database)
        for _ in range(4):
            with database.reading() as session, database.read() as tx:
                assert session.rows("SELECT 1", {})[0][0] == tx.execute(text("SELECT 1")).scalar_one() == 1


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_statement_may_take_long_but_a_server_that_hangs_is_not_waited_for(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_PATIENCE_S", 0.3)
    monkeypatch.setitem(postgres._CONNECT, "connect_timeout", 2)
    database = databases.opened[0]
    server, _ = homes.servers()
    with closing(database.session()) as session:
        assert len(session.rows("SELECT pg_sleep(1)", {})) == 1
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(StoreUnavailable, match="does not answer"):
                session.rows("SELECT 1", {})
            assert session.broken
            with pytest.raises(StoreUnavailable):
                database.check()
            assert time.monotonic() - began < 10
        finally:
            server.signal(signal.SIGCONT)
    database.check()


@pytest.mark.scaled
@pytest.mark.parametrize("empty_databases", [POSTGRESQL], indirect=True)
def test_a_claim_whose_connection_was_cut_is_taken_again(databases: Databases) -> None:
    database = databases.opened[0]
    claim = database.claim(alone=False)
    _cut_all(database)
    claim.renew()
    with pytest.raises(StoreUnavailable):
        databases.open().claim(alone=True)
    claim.close()


def _cut_all(database: Database) -> None:
    """As a server that restarts, or a firewall that forgets."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(getattr(database, "_url", ""), autocommit=True) as connection:
        while connection.execute(f"SELECT pg_terminate_backend(pid) {others}".encode()).fetchall():
            time.sleep(0.01)


def test_a_server_that_is_not_there_is_unavailable_within_seconds() -> None:
    database = postgres.PostgresDatabase("postgresql://huitong@127.0.0.1:1/none")
    began = time.monotonic()
    for use in (database.session, database.check, database.migrate, lambda: database.claim(alone=False)):
        with pytest.raises(StoreUnavailable):
            use()
    with pytest.raises(StoreUnavailable), database.read():
        pass
    assert time.monotonic() - began < 5
    database.close()
