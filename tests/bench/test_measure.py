"""Figures: percentiles, medians over rounds, processes that are seen to work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench.measure import Row, Seen, percentile, run_clients, summarise
from hypothesis import given
from hypothesis import strategies as st

from bench import procs

ROW = Row("cstore", "huitong", 4, 0, 100, 0.5, 200.0, 1e8, 4.0, 9.0, 1.5, 0.5, 0.2, 0.01, 120.0, 0, [], 4, 4)
NUMBERS = st.lists(st.floats(0, 1e6), min_size=1, max_size=50).map(sorted)


def test_percentiles_lie_between_neighbours() -> None:
    assert percentile([], 0.5) == 0
    assert percentile([7.0], 0.95) == 7
    assert percentile([1.0, 2.0, 3.0, 10.0], 0.5) == 2.5
    assert percentile([1.0, 2.0, 3.0, 11.0], 1.0) == 11


@given(NUMBERS, st.floats(0, 1), st.floats(0, 1))
def test_percentiles_grow_and_stay_within(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert values[0] <= percentile(values, low) <= percentile(values, high) * (1 + 1e-12) <= values[-1] * (1 + 1e-9)


def test_a_summary_has_medians_of_figures_and_sums_of_what_is_counted() -> None:
    rows = [replace(ROW, round=n, per_s=rate, faults=n) for n, rate in enumerate((200.0, 900.0, 300.0))]
    other = replace(ROW, target="orthanc", per_s=50.0)
    first, second = summarise([rows[0], other, *rows[1:]])
    assert (first["target"], first["per_s"], first["rounds"]) == ("huitong", 300.0, 3)
    assert (first["faults"], first["checked"], first["right"]) == (3, 12, 12)
    assert first["spread"] == pytest.approx(700 / 300)
    assert (second["target"], second["per_s"], second["spread"]) == ("orthanc", 50.0, 0)


def test_clients_begin_together_and_tell_what_they_saw() -> None:
    def client(number: int, seen: Seen, ready: Callable[[], None]) -> None:
        time.sleep(0.1 * number)
        ready()
        seen.time(lambda: time.sleep(0.02))
        seen.items = number + 1

    seen = run_clients(3, client)
    assert [one.items for one in seen] == [1, 2, 3]
    assert max(one.began for one in seen) - min(one.began for one in seen) < 0.15
    assert all(one.took_s[0] >= 0.02 and not one.faults for one in seen)


def test_a_client_that_breaks_down_is_a_fault_and_holds_no_one_up() -> None:
    def client(number: int, _seen: Seen, ready: Callable[[], None]) -> None:
        if number:
            raise ValueError("broken")
        ready()

    began = time.monotonic()
    seen = run_clients(2, client)
    assert time.monotonic() - began < 10
    assert "ValueError: broken" in seen[1].faults[0]


def test_work_of_threads_and_of_children_is_counted_finely() -> None:
    burn = "import threading,time\ndef f():\n e=time.thread_time()+.03\n while time.thread_time()<e: pass\n"
    once = "t=threading.Thread(target=f);t.start();t.join();print('done',flush=True);input()\n"
    child = f"{burn}{once}"
    code = f"import subprocess,sys;subprocess.run([sys.executable,'-c',{child!r}])"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process, process.stdin, process.stdout:
        assert process.stdout.readline() == b"done\n"
        used = procs.usage(process.pid)
        assert len(procs.tree(process.pid)) == 2
        process.stdin.write(b"\n")
    assert 0.03 <= used.cpu_s < 5
    assert 0 < used.rss_bytes <= used.peak_rss_bytes
    assert used.cpu_s * 1000 % 10 > 1e-6  # no ticks of 10 ms


def test_the_machine_is_described() -> None:
    assert procs.machine()["cpu"].startswith(f"{os.cpu_count()} cores")
    assert procs.filesystem(Path("/proc/self")) == "proc"
