"""What a study costs: bytes of index and images, requests to the object store, processor time (docs/scale.md)."""

from __future__ import annotations

import json
import re
import sqlite3
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import procs
from bench.corpus import SERIES_LENGTH, Corpus, Instance
from bench.ingest import by_association, by_stow
from bench.measure import measure
from bench.run import warm_up
from bench.targets import SETTLE_S, Huitong, HuitongScaled

#: Where the series of this measurement begin in the corpus; no object is sent twice.
_FIRST = 700_000


@dataclass(frozen=True, slots=True)
class Way:
    """How the slices of a study come."""

    name: str
    associations: int
    #: Instances of a STOW-RS request; 0 for C-STORE.
    stow: int = 0

    def send(self, target: Huitong, instances: Sequence[Instance]) -> float:
        """CPU seconds of the server until all are acknowledged."""
        before = procs.usage(target.pid).cpu_s
        sender = by_stow(self.associations, self.stow) if self.stow else by_association(self.associations)
        row = measure(self.name, target.name, [target.pid], self.associations, sender(target, instances))
        assert not row.faults, row.notes
        return procs.usage(target.pid).cpu_s - before


WAYS = (
    Way("C-STORE, 1 association", 1),
    Way("C-STORE, 4 associations", 4),
    Way("STOW-RS, 10 a request, 4 clients", 4, 10),
)
KINDS = (Huitong, HuitongScaled)


def run(folder: Path, studies: int, say: Callable[[str], None], file: Path) -> None:
    """Measure both homes, one after the other; prints a table and writes `file`."""
    rows = [each for kind in KINDS for each in _of(kind, folder / "costs", studies, say)]
    file.write_text(json.dumps(rows, indent=1), "utf-8")
    say(table(rows))


def _of(kind: type[Huitong], folder: Path, studies: int, say: Callable[[str], None]) -> list[dict[str, object]]:
    if missing := kind.missing():
        say(missing)
        return []
    target = kind(folder / kind.name)
    target.remove()
    try:
        target.start()
        warm_up(target, corpus := Corpus())
        target.wait_until_quiet(SETTLE_S * 2)
        return [_costs(target, corpus, way, number, studies) for number, way in enumerate(WAYS)]
    finally:
        target.stop()
        target.remove()


def _costs(target: Huitong, corpus: Corpus, way: Way, number: int, studies: int) -> dict[str, object]:
    first = _FIRST + number * studies
    instances = [each for at in range(studies) for each in corpus.series(first + at, SERIES_LENGTH)]
    before, began = _counted(target), _index_bytes(target)
    sent_s = way.send(target, instances)
    begun_s = procs.usage(target.pid).cpu_s
    target.wait_until_quiet(SETTLE_S * 2, 300)
    settled_s = procs.usage(target.pid).cpu_s - begun_s
    after = _counted(target)
    each = {name: (after[name] - before.get(name, 0)) / studies for name in after}
    return {
        "home": target.title,
        "way": way.name,
        "slices": SERIES_LENGTH,
        "image_bytes": sum(len(one.head) + len(one.pixels) for one in instances) / studies,
        "index_bytes": (_index_bytes(target) - began) / studies,
        "cpu_ms_receiving": sent_s * 1000 / studies,
        "cpu_ms_settling": settled_s * 1000 / studies,
        **each,
    }


def _counted(target: Huitong) -> dict[str, float]:
    """The server's own counters of requests and bytes, as far as they speak of a study."""
    with urllib.request.urlopen(f"http://{target.http}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {"groups": _sum(text, r"huitong_group_instances_count")}
    for operation in ("put", "get", "delete"):
        requests = _sum(text, rf'huitong_s3_requests_total{{kind="[a-z]+",operation="{operation}"}}')
        octets = _sum(text, rf'huitong_s3_bytes_total{{kind="[a-z]+",operation="{operation}"}}')
        found |= {f"s3_{operation}s": requests, f"s3_{operation}_bytes": octets}
    return found | {"blobs_after": _sum(text, r'huitong_study_blobs_sum{when="merged"}')}


def _sum(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{name} (\S+)$", text, re.MULTILINE))


def _index_bytes(target: Huitong) -> int:
    if isinstance(target, HuitongScaled):
        with psycopg.connect(target.postgres.url()) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return int(row[0]) if row else 0
    with closing(sqlite3.connect(target.folder / "data/index.sqlite")) as index:
        pages, size = (index.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * size)


def table(rows: Sequence[dict[str, object]]) -> str:
    """The figures of a study, a line a measurement."""
    names = [name for name in rows[0] if name not in ("home", "way")] if rows else []
    head = ["home", "way", *names]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * len(names)}"]
    lines += [f"| {row['home']} | {row['way']} | {' | '.join(f'{row[name]:,.1f}' for name in names)} |" for row in rows]
    return "\n".join(lines)
