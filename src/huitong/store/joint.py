"""One transaction, and one sync, for whoever writes at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from huitong.base.errors import OurFault, StoreUnavailable
from huitong.store.database import Database, Session

Item = TypeVar("Item")
#: Written together at most, so that none waits long for those who came with it.
_MOST = 256


class Joint(Generic[Item]):
    """Items of many threads, written in the order in which they came, each time by one of those who wait.

    Who comes while nobody writes, writes at once and in the own thread; who comes meanwhile is of the next group. So
    there is no thread to be woken for one, and no time waited for more to come. `write(session, items)` puts them into
    the transaction that it is given.
    """

    def __init__(self, database: Database, write: Callable[[Session, Sequence[Item]], None]) -> None:
        self._database, self._write = database, write
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[Item]] = []
        self._led = False

    def add(self, item: Item) -> None:
        """Durable when this returns.

        Raises StoreFull, StoreUnavailable, and so for everybody in the group: none of its items is acknowledged.
        What else `write` raises is the fault of one item and told for that one. Raises RuntimeError within a
        transaction of writes of this thread, for which the group would wait.
        """
        self._database.one_write.refuse()
        mine = _Waiting(item)
        with self._lock:
            self._waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads:
            self._wait(mine)
        if mine.leads:
            self._lead()
        if mine.fault is not None:
            raise mine.fault

    def _wait(self, mine: _Waiting[Item]) -> None:
        try:
            mine.woken.wait()
        except BaseException:  # the thread is interrupted: others must not wait for it
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
            if mine.leads:
                self._hand_over()
            raise

    def _lead(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        try:
            self._settle(group)
        except BaseException as e:
            _tell(group, StoreUnavailable(type(e).__name__))
            raise
        finally:
            self._hand_over()
            for each in group:
                each.woken.set()

    def _hand_over(self) -> None:
        """The first of those who came meanwhile writes next."""
        with self._lock:
            self._led = bool(self._waiting)
            if self._led:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()

    def _settle(self, group: Sequence[_Waiting[Item]]) -> None:
        try:
            with self._database.writing() as session:
                self._write(session, [each.item for each in group])
        except OurFault as e:
            _tell(group, e)
        except Exception as e:
            if len(group) == 1:
                group[0].fault = e
            for each in group if len(group) > 1 else ():  # nothing of it is written: whose fault it is, shows alone
                self._settle([each])


class _Waiting(Generic[Item]):
    __slots__ = ("fault", "item", "leads", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.fault: Exception | None = None
        self.leads = False
        self.woken = threading.Event()


def _tell(group: Sequence[_Waiting[Item]], fault: OurFault) -> None:
    for each in group:
        each.fault = type(fault)(fault.detail)
        each.fault.__cause__ = fault
