"""How many lines of the audit a second: each a transaction of its own, and those of many at once together.

Both ways write to one store, in turns and in one run. Askers are threads, as the requests of a server are.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

from bench.targets import POSTGRES
from huitong.access import auditing
from huitong.access.auditing import Looked
from huitong.access.model import Asker, Kind, Role
from huitong.access.work import Work
from huitong.base.clock import now
from huitong.base.settings import Settings
from huitong.cli.servers import LocalPostgres, missing
from huitong.store.store import Store

HOMES = ("sqlite", "postgresql")
ASKERS = (1, 8, 32)
ALONE, TOGETHER = "alone", "together"
BEGIN = "<!-- audit: made by `python -m bench report`; text outside of the markers stays -->"
END = "<!-- /audit -->"


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    rounds: int = 5
    seconds: float = 2.0


def _alone(work: Work, looked: Looked) -> None:
    with work.store.database.writing() as session:
        auditing.record_in(session, work, looked)


_WAYS: Mapping[str, Callable[[Work, Looked], None]] = {ALONE: _alone, TOGETHER: auditing.record}


def run(options: Options, say: Callable[[str], None], file: Path) -> dict[str, object]:
    """Medians of each home, number of askers and way; also written to `file`."""
    rows = [row for home in HOMES for row in _of(home, options, say)]
    at = datetime.now(UTC).strftime("%Y-%m-%d")
    results: dict[str, object] = {"at": at, "rounds": options.rounds, "seconds": options.seconds, "rows": rows}
    file.write_text(json.dumps(results, indent=1), "utf-8")
    return results


def _of(home: str, options: Options, say: Callable[[str], None]) -> list[dict[str, object]]:
    if home == "postgresql" and missing():
        say(missing())
        return []
    with _store(home, options.folder / "audit") as store:
        rows = [_measured(store, home, askers, options, say) for askers in ASKERS]
        found = auditing.check(store)
    if found.first_fault is not None:
        raise RuntimeError(f"line {found.first_fault} of {home} is not as it was written")
    return rows


@contextmanager
def _store(home: str, folder: Path) -> Iterator[Store]:
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        if home == "sqlite":
            with closing(Store(Settings(data=folder / "data"))) as store:
                yield store
            return
        postgres = LocalPostgres(folder / "postgresql", POSTGRES)
        postgres.start()
        try:
            with closing(Store(Settings(data=folder / "data", database=postgres.url()))) as store:
                yield store
        finally:
            postgres.stop()
    finally:
        rmtree(folder, ignore_errors=True)


def _measured(store: Store, home: str, askers: int, options: Options, say: Callable[[str], None]) -> dict[str, object]:
    per_s: dict[str, list[float]] = {way: [] for way in _WAYS}
    p95_ms: dict[str, list[float]] = {way: [] for way in _WAYS}
    for number in range(options.rounds):
        for way in (ALONE, TOGETHER) if number % 2 else (TOGETHER, ALONE):
            took_s, wall_s = _written(store, askers, _WAYS[way], options.seconds)
            per_s[way].append(len(took_s) / wall_s)
            p95_ms[way].append(statistics.quantiles(took_s, n=20)[-1] * 1000)
            say(f"{home:10} {askers:2} askers {way:8} round {number + 1}  {per_s[way][-1]:.0f} lines/s")
    row: dict[str, object] = {"home": home, "askers": askers}
    for way in _WAYS:
        row |= {way: statistics.median(per_s[way]), f"{way}_p95_ms": statistics.median(p95_ms[way])}
        row[f"{way}_range"] = (min(per_s[way]), max(per_s[way]))
    return row


def _written(
    store: Store, askers: int, write: Callable[[Work, Looked], None], seconds: float
) -> tuple[list[float], float]:
    """How long each line took until it was durable, and all of it."""
    took_s: list[list[float]] = [[] for _ in range(askers)]
    begin = threading.Barrier(askers + 1)

    def ask(number: int) -> None:
        asker = Asker(
            Kind.STAFF, f"doctor{number}", "李医生", "TAIYUAN", frozenset({Role.DOCTOR}), session=f"s{number}"
        )
        work = Work(store, asker, "http", "10.1.2.3", now(), False, now)
        begin.wait()
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            object_ = f"1.2.826.0.1.{number}.{len(took_s[number])}"
            write(work, Looked("imaging.see_study", True, "open visit", "TREAT", "HT1", "study", object_, "YUNCHENG"))
            took_s[number].append(time.perf_counter() - began)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(askers)]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return [each for one in took_s for each in one], time.perf_counter() - began


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A line for each home and number of askers."""
    lines = [
        "| database, askers | each its own transaction, lines/s (p95) | together, lines/s (p95) | times |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = (f"{row[way]:,.0f} ({row[f'{way}_p95_ms']:.1f} ms)" for way in (ALONE, TOGETHER))
        times = row[TOGETHER] / row[ALONE]  # type: ignore[operator]
        lines.append(f"| {row['home']}, {row['askers']} | {' | '.join(cells)} | {times:.1f} |")
    return "\n".join(lines)
