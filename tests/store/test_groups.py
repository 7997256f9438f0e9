"""Groups: what arrives together is committed together, everyone gets their own answer, closing loses none."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from huitong.store.groups import Groups


def answer(answered: Sequence[tuple[Future[int], int | Exception]]) -> None:
    for future, receipt in answered:
        if isinstance(receipt, Exception):
            future.set_exception(receipt)
        else:
            future.set_result(receipt)


def test_items_that_wait_while_a_group_is_committed_form_the_next_group() -> None:
    entered, gate, groups_seen = threading.Event(), threading.Event(), []

    def commit(items: Sequence[int]) -> Sequence[int]:
        groups_seen.append(list(items))
        entered.set()
        gate.wait(10)
        return [item * 10 for item in items]

    groups: Groups[int, Future[int], int] = Groups(commit, answer, most=3, name="test")
    futures: list[Future[int]] = [Future() for _ in range(6)]
    groups.submit(0, futures[0])
    assert entered.wait(10)
    for n in range(1, 6):
        groups.submit(n, futures[n])
    gate.set()
    assert [f.result(10) for f in futures] == [0, 10, 20, 30, 40, 50]
    assert groups_seen == [[0], [1, 2, 3], [4, 5]]
    groups.close()


def test_each_item_gets_its_own_receipt_or_exception() -> None:
    groups: Groups[int, Future[int], int] = Groups(
        lambda items: [ValueError(str(i)) if i % 2 else i for i in items], answer, most=8, name="t"
    )
    futures: list[Future[int]] = [Future() for _ in range(4)]
    for n, future in enumerate(futures):
        groups.submit(n, future)
    groups.close()
    assert [f.result() for f in futures[::2]] == [0, 2]
    for future in futures[1::2]:
        with pytest.raises(ValueError):
            future.result()


def test_an_exception_of_the_commit_is_the_whole_groups_answer_and_the_next_group_goes_on() -> None:
    calls = 0

    def commit(items: Sequence[int]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk")
        return list(items)

    groups: Groups[int, Future[int], int] = Groups(commit, answer, most=8, name="t")
    first, second = Future[int](), Future[int]()
    groups.submit(1, first)
    with pytest.raises(OSError, match="disk"):
        first.result(10)
    groups.submit(2, second)
    assert second.result(10) == 2
    groups.close()


def test_a_commit_that_forgets_an_answer_ends_neither_the_thread_nor_the_waiting() -> None:
    groups: Groups[int, Future[int], int] = Groups(
        lambda items: [] if 1 in items else list(items), answer, most=1, name="t"
    )
    forgotten, answered = Future[int](), Future[int]()
    groups.submit(1, forgotten)
    groups.submit(2, answered)
    with pytest.raises(ValueError):
        forgotten.result(10)
    assert answered.result(10) == 2
    groups.close()
