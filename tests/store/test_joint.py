"""What many write at once is one transaction: in order, durable when each returns, failed for all or for one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.store.conftest import Databases

from huitong.base.errors import StoreFull, StoreUnavailable
from huitong.store.database import Database, Session
from huitong.store.joint import Joint

ADD = "INSERT INTO mark(name, value) VALUES (:name, :value)"


class Kept:
    """Writes marks, and knows with whom each was written; the first waits until `gate` is open."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.joint: Joint[str] = Joint(database, self._write)
        self.groups: list[list[str]] = []
        self.entered, self.gate = threading.Event(), threading.Event()

    def _write(self, session: Session, names: Sequence[str]) -> None:
        self.groups.append(list(names))
        self.entered.set()
        assert self.gate.wait(30)
        if "full" in names:
            raise StoreFull("no room")
        session.run_many(ADD, [{"name": name, "value": str(len(self.groups))} for name in names])
        if "mistaken" in names:
            raise ZeroDivisionError

    def there(self) -> set[str]:
        with self.database.reading() as session:
            return {row[0] for row in session.rows("SELECT name FROM mark", {})}

    def all_at_once(self, names: Sequence[str]) -> dict[str, Future[None]]:
        """The first alone, all others together behind it; each a thread."""
        with ThreadPoolExecutor(len(names)) as pool:
            found = {names[0]: pool.submit(self.joint.add, names[0])}
            assert self.entered.wait(30)
            for number, name in enumerate(names[1:], 1):
                found[name] = pool.submit(self.joint.add, name)
                wait_until(lambda number=number: len(self.joint._waiting) == number)  # type: ignore[misc]
            self.gate.set()
        return found


def wait_until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not so():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def kept(database: Database) -> Kept:
    return Kept(database)


def test_who_comes_while_one_writes_is_written_together_in_order(kept: Kept) -> None:
    names = [f"n{number}" for number in range(20)]
    assert all(told.exception() is None for told in kept.all_at_once(names).values())
    assert kept.groups == [names[:1], names[1:]]
    assert kept.there() == set(names)


def test_one_after_another_each_is_there_when_its_call_returns(kept: Kept) -> None:
    kept.gate.set()
    for name in "abc":
        kept.joint.add(name)
        assert name in kept.there()
    assert kept.groups == [["a"], ["b"], ["c"]]


def test_a_fault_of_the_store_is_told_to_each_of_the_group_and_the_next_goes_on(kept: Kept) -> None:
    found = kept.all_at_once(["first", "a", "full", "b"])
    assert found["first"].exception() is None
    faults = [found[name].exception() for name in ("a", "full", "b")]
    assert [(type(each), str(each)) for each in faults] == [(StoreFull, str(StoreFull("no room")))] * 3
    assert len({id(each) for each in faults}) == 3  # each thread has its own to raise
    assert kept.there() == {"first"}
    kept.joint.add("c")
    assert kept.there() == {"first", "c"}


def test_a_mistake_in_one_item_is_that_ones_alone(kept: Kept) -> None:
    found = kept.all_at_once(["first", "a", "mistaken", "b"])
    assert {name for name, told in found.items() if told.exception()} == {"mistaken"}
    assert isinstance(found["mistaken"].exception(), ZeroDivisionError)
    assert kept.there() == {"first", "a", "b"}
    assert kept.groups == [["first"], ["a", "mistaken", "b"], ["a"], ["mistaken"], ["b"]]


def test_a_commit_that_fails_acknowledges_none(kept: Kept) -> None:
    kept.gate.set()
    kept.joint.add("twice")
    kept.gate.clear()
    kept.entered.clear()
    found = kept.all_at_once(["first", "a", "twice", "b"])  # the name is the key
    assert {name for name, told in found.items() if isinstance(told.exception(), StoreUnavailable)} == {
        "a",
        "twice",
        "b",
    }
    assert kept.there() == {"twice", "first"}


def test_whoever_leads_and_is_interrupted_leaves_nobody_waiting(kept: Kept) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(session: Session, names: Sequence[str]) -> None:
        write(session, names)
        if "interrupted" in names:
            raise Interrupted

    write, kept.joint._write = kept.joint._write, interrupt
    found = kept.all_at_once(["first", "interrupted", "a"])
    assert isinstance(found["interrupted"].exception(), Interrupted)
    assert isinstance(found["a"].exception(), StoreUnavailable)
    kept.joint.add("b")
    assert kept.there() == {"first", "b"}


def test_within_a_transaction_of_writes_it_is_refused_at_once(kept: Kept) -> None:
    kept.gate.set()
    with kept.database.write(), pytest.raises(RuntimeError, match="within a transaction"):
        kept.joint.add("a")
    assert kept.groups == []
    kept.joint.add("b")
    assert kept.there() == {"b"}


def test_groups_of_several_processes_are_one_after_another(databases: Databases) -> None:
    several = [Kept(each) for each in (databases.opened[0], databases.open(), databases.open())]
    for each in several:
        each.gate.set()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: several[number % 3].joint.add(f"n{number}"), range(120)))
    assert len(several[0].there()) == 120
