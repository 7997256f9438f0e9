"""Many acknowledgements for one sync: items that arrive while a group is being made durable form the next group."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Receipt = TypeVar("Receipt")


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
        self._commit, self._most = commit, most
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Receipt]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item, future: Future[Receipt]) -> None:
        """`future` gets the receipt, or the exception, when the item's group is done."""
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
        receipts: Sequence[Receipt | Exception]
        try:
            receipts = self._commit([item for item, _ in group])
        except Exception as e:
            receipts = [e] * len(group)
        for (_, future), receipt in zip(group, receipts, strict=True):
            if not future.set_running_or_notify_cancel():
                continue
            if isinstance(receipt, Exception):
                future.set_exception(receipt)
            else:
                future.set_result(receipt)

    def close(self) -> None:
        """Everything submitted so far is committed and answered when this returns."""
        self._waiting.put(None)
        self._thread.join()
