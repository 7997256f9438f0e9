from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from huitong.base.buckets import Buckets


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = Buckets(per_s=10, burst=3)
    assert [buckets.take("a", 0) for _ in range(3)] == [0, 0, 0]
    wait_s = buckets.take("a", 0)
    assert abs(wait_s - 0.1) < 1e-6
    assert buckets.take("b", 0) == 0
    assert buckets.take("a", 0.05) > 0
    assert buckets.take("a", 0.1000001) == 0
    assert buckets.take("a", 0.11) > 0
    assert [buckets.take("a", 100) for _ in range(4)].count(0) == 3


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_nobody_ever_gets_more_than_burst_and_rate(gaps: list[float]) -> None:
    buckets, now_s, taken = Buckets(per_s=20, burst=5), 0.0, 0
    for gap in gaps:
        now_s += gap
        taken += not buckets.take("a", now_s)
        assert taken <= 5 + 20 * now_s + 1e-6


def test_waiting_as_long_as_was_said_is_enough() -> None:
    buckets = Buckets(per_s=3, burst=2)
    now_s = 0.0
    for _ in range(50):
        wait_s = buckets.take("a", now_s)
        if wait_s:
            now_s += wait_s + 1e-9
            assert buckets.take("a", now_s) == 0


def test_memory_is_bounded_and_who_used_most_is_remembered() -> None:
    buckets = Buckets(per_s=1, burst=10, most_keys=100)
    for _ in range(10):
        buckets.take("greedy", 0)
    for number in range(1000):
        buckets.take(number, 0)
        assert len(buckets) <= 101
    assert buckets.take("greedy", 0) > 0
    for number in range(1000):
        buckets.take(number, 1000)
    assert buckets.take("greedy", 1000) == 0
