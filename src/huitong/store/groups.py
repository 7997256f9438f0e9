"""Many acknowledgements for one sync: items that arrive while a group is being made durable form the next group."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from huitong.base.errors import StoreUnavailable

Item = TypeVar("Item")
Ticket = TypeVar("Ticket")
Receipt = TypeVar("Receipt")


#: Those of this process that have not been closed.
_AT_WORK: WeakSet[Groups[Any, Any, Any]] = WeakSet()


def stopped() -> list[str]:
    """The names of groups whose thread ended though nobody closed them: what is handed to them waits for nobody."""
    return sorted(each.name for each in list(_AT_WORK) if not each.working)


class Groups(Generic[Item, Ticket, Receipt]):
    """A thread that hands waiting items to `commit`, as many together as have come, in order.

    `commit(items)` returns a receipt or an exception for each; it returns only when the receipts are true whatever
    happens to the machine. An exception raised by it is the answer for the whole group. `answer` is then given the
    tickets of the group, whatever these are, with the receipt or exception of each: once a group, because waking
    another thread costs as much as indexing an object.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Receipt | Exception]],
        answer: Callable[[Sequence[tuple[Ticket, Receipt | Exception]]], None],
        *,
        most: int,
        name: str,
    ) -> None:
        self.name = name
        self._commit, self._answer, self._most = commit, answer, most
        self._waiting: queue.SimpleQueue[tuple[Item, Ticket] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        _AT_WORK.add(self)

    @property
    def working(self) -> bool:
        return self._thread.is_alive()

    def submit(self, item: Item, ticket: Ticket) -> None:
        """`ticket` is answered when the item's group is done.

        Raises StoreUnavailable when nobody works on groups any more.
        """
        if not self.working:
            raise StoreUnavailable(f"{self.name} has stopped")
        self._waiting.put((item, ticket))

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, last = self._gather(first)
            self._settle(group)
            if last:
                return

    def _gather(self, first: tuple[Item, Ticket]) -> tuple[list[tuple[Item, Ticket]], bool]:
        group = [first]
        while len(group) < self._most:
            try:
                nxt = self._waiting.get_nowait()
            except queue.Empty:
                break
            if nxt is None:
                return group, True
            group.append(nxt)
        return group, False

    def _settle(self, group: list[tuple[Item, Ticket]]) -> None:
        answered: list[tuple[Ticket, Receipt | Exception]]
        tickets = [ticket for _, ticket in group]
        try:
            answered = list(zip(tickets, self._commit([item for item, _ in group]), strict=True))
        except Exception as e:
            answered = [(ticket, e) for ticket in tickets]
        self._answer(answered)

    def close(self) -> None:
        """Everything submitted so far is committed and answered when this returns."""
        _AT_WORK.discard(self)
        self._waiting.put(None)
        self._thread.join()
