"""Clients side by side, each a process of its own so that none waits for another, and what all of it cost."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import TypeAlias

from bench import procs

_FORK = multiprocessing.get_context("fork")
_READY_TIMEOUT_S = 180
_FAULTS_KEPT = 5


@dataclass
class Seen:
    """What one client saw."""

    took_s: list[float] = field(default_factory=list)
    #: What an operation carries: an instance, the hundred of a series, a search.
    items: int = 0
    size_bytes: int = 0
    faults: list[str] = field(default_factory=list)
    began: float = 0.0
    ended: float = 0.0
    #: While measured, and with what was prepared before.
    cpu_s: float = 0.0
    whole_cpu_s: float = 0.0

    def time(self, operation: Callable[[], None]) -> None:
        began = time.perf_counter()
        operation()
        self.took_s.append(time.perf_counter() - began)


#: Called in a process of its own with its number, where to note what it sees, and what to call when it is prepared;
#: that returns, for all clients at the same moment, when the measuring begins.
Client: TypeAlias = Callable[[int, Seen, Callable[[], None]], None]


@dataclass
class Row:
    """One scenario, against one target, in one round. Times are of operations, rates and CPU of items."""

    scenario: str
    target: str
    clients: int
    round: int
    items: int
    wall_s: float
    per_s: float
    bytes_per_s: float
    p50_ms: float
    p95_ms: float
    cpu_ms_per_item: float
    #: Of the work that a server puts off until a study is complete.
    later_cpu_ms_per_item: float
    client_cpu_ms_per_item: float
    #: CPUs that neither server nor clients used: above 0.2 something else disturbed the measuring.
    other_cpus: float
    peak_rss_mb: float
    faults: int
    notes: list[str]
    #: Answers that were compared with the corpus, and how many were right.
    checked: int = 0
    right: int = 0

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def run_clients(count: int, client: Client) -> list[Seen]:
    """What each saw; a client that broke down says so in its faults."""
    barrier = _FORK.Barrier(count)
    jobs = []
    for number in range(count):
        ours, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_child, args=(client, number, barrier, theirs))
        process.start()
        theirs.close()
        jobs.append((process, ours))
    seen = []
    for process, ours in jobs:
        try:
            seen.append(ours.recv())
        except EOFError:
            seen.append(Seen(faults=["a client died"]))
        process.join()
    return seen


def _child(client: Client, number: int, barrier: Barrier, pipe: Connection) -> None:
    seen = Seen()
    spent_before_s = 0.0

    def ready() -> None:
        nonlocal spent_before_s
        barrier.wait(_READY_TIMEOUT_S)
        spent_before_s = _spent_s()
        seen.began = time.perf_counter()

    try:
        client(number, seen, ready)
    except Exception:
        seen.faults.append(traceback.format_exc(limit=-3))
        barrier.abort()  # the others would wait for ever
    seen.ended = time.perf_counter()
    seen.whole_cpu_s = _spent_s()
    seen.cpu_s = seen.whole_cpu_s - spent_before_s
    pipe.send(seen)
    pipe.close()


def _spent_s() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(
    scenario: str, target: str, pids: Sequence[int], clients: int, client: Client, round_number: int = 0
) -> Row:
    """Run `clients` clients against a server: of process `pids[0]`, the others being servers that it stands on."""
    procs.reset_peak(pids[0])
    before, busy_before_s, outer = procs.usage(*pids), procs.machine_cpu_s(), time.perf_counter()
    seen = run_clients(clients, client)
    after, busy_s, outer = procs.usage(*pids), procs.machine_cpu_s() - busy_before_s, time.perf_counter() - outer
    took_ms = sorted(1000 * each for one in seen for each in one.took_s)
    began = min((one.began for one in seen if one.began), default=0.0)
    wall_s = max(max(one.ended for one in seen) - began, 1e-9)
    items = sum(one.items for one in seen)
    each_ms = 1000 / max(items, 1)
    cpu_s, client_cpu_s = after.cpu_s - before.cpu_s, sum(one.cpu_s for one in seen)
    faults = [fault for one in seen for fault in one.faults]
    return Row(
        scenario=scenario, target=target, clients=clients, round=round_number, items=items, wall_s=wall_s,
        per_s=items / wall_s, bytes_per_s=sum(one.size_bytes for one in seen) / wall_s,
        p50_ms=percentile(took_ms, 0.5), p95_ms=percentile(took_ms, 0.95),
        cpu_ms_per_item=cpu_s * each_ms, later_cpu_ms_per_item=0.0, client_cpu_ms_per_item=client_cpu_s * each_ms,
        other_cpus=max(0.0, busy_s - cpu_s - sum(one.whole_cpu_s for one in seen)) / outer,
        peak_rss_mb=after.peak_rss_bytes / 1e6, faults=len(faults), notes=faults[:_FAULTS_KEPT],
    )  # fmt: skip


def percentile(ascending: list[float], share: float) -> float:
    """Linear between the two nearest values; 0 of nothing."""
    if not ascending:
        return 0.0
    low, part = divmod(share * (len(ascending) - 1), 1)
    high = ascending[min(int(low) + 1, len(ascending) - 1)]
    return ascending[int(low)] + (high - ascending[int(low)]) * part


def summarise(rows: list[Row]) -> list[dict[str, object]]:
    """One line for each scenario and target, in the order of their first rows: medians, and sums of what went wrong."""
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.scenario, row.clients, row.target), []).append(row)
    return [_summary(same) for same in groups.values()]


def _summary(same: list[Row]) -> dict[str, object]:
    out = same[0].as_dict() | {
        "rounds": len(same),
        "notes": [note for row in same for note in row.notes][:_FAULTS_KEPT],
    }
    del out["round"]
    for name, value in same[0].as_dict().items():
        if isinstance(value, float):
            out[name] = statistics.median(getattr(row, name) for row in same)
    for name in ("faults", "checked", "right"):
        out[name] = sum(getattr(row, name) for row in same)
    rates = [row.per_s for row in same]
    out["spread"] = (max(rates) - min(rates)) / max(statistics.median(rates), 1e-9)
    return out
