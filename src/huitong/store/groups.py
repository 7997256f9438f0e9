"""Many acknowledgements for one sync: items that arrive while a group is being made durable form the next group."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from huitong.base.errors import StoreUnavailable

Item = TypeVar("Item")
Receipt = TypeVar("Receipt")


#: Those of this process that have not been closed.
_AT_WORK: WeakSet[Groups[Any, Any]] = WeakSet()


def stopped() -> list[str]:
    """The names of groups whose thread ended though nobody closed them: what is handed to them waits for nobody."""
    return sorted(each.name for each in list(_AT_WORK) if not each.working)


class Groups(Generic[Item, Receipt]):
    """A thread that hands waiting items to `commit`, as many together as have come, in order.

    A future that its owner cancelled is committed all the same; only its answer is dropped.

    `commit(items)` returns a receipt or an exception for each; it returns only when the receipts are true whatever
    happens to the machine. An exception raised by it is the answer for the whole group.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Item]], Sequence[Receipt | Exception]],
        *,
        most: int,
        name: str,
    ) -> None:
        self.name = name
        self._commit, self._most = commit, most
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Receipt]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        _AT_WORK.add(self)

    @property
    def working(self) -> bool:
        return self._thread.is_alive()

    def submit(self, item: Item, future: Future[Receipt]) -> None:
        """`future` gets the receipt, or the exception, when the item's group is done.

        Raises StoreUnavailable when nobody works on groups any more.
        """
        if not self.working:
            raise StoreUnavailable(f"{self.name} has stopped")
        self._waiting.put((item, future))

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, last = self._gather(first)
            self._settle(group)
            if last:
                return

    def _gather(self, first: tuple[Item, Future[Receipt]]) -> tuple[list[tuple[Item, Future[Receipt]]], bool]:
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

    def _settle(self, group: list[tuple[Item, Future[Receipt]]]) -> None:
        answered: list[tuple[tuple[Item, Future[Receipt]], Receipt | Exception]]
        try:
            answered = list(zip(group, self._commit([item for item, _ in group]), strict=True))
        except Exception as e:
            answered = [(each, e) for each in group]
        for (_, future), receipt in answered:
            if not future.set_running_or_notify_cancel():
                continue
            if isinstance(receipt, Exception):
                future.set_exception(receipt)
            else:
                future.set_result(receipt)

    def close(self) -> None:
        """Everything submitted so far is committed and answered when this returns."""
        _AT_WORK.discard(self)
        self._waiting.put(None)
        self._thread.join()
