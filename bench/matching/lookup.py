"""The look-up of a person among 100,000, a million and ten million, on SQLite and on PostgreSQL.

Each person has one record, with the rows that `people` keeps of it (without the forms of the name that staff search
by, which no look-up of the machine reads). Asked for is another record of somebody who is there: what `people.matching`
does with a new record before it decides: its keys, candidates by index, their rows, scores, rules.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg

from bench.matching.population import features_of
from huitong.cli.servers import LocalPostgres
from huitong.cli.simulate import Record, people, records
from huitong.cli.simulate.people import BATCH
from huitong.people import matching, weighing
from huitong.people.identifiers import normal
from huitong.people.model import Demographics
from huitong.store.database import Database
from huitong.store.postgres import PostgresDatabase
from huitong.store.sqlite import SqliteDatabase

SIZES = (100_000, 1_000_000, 10_000_000)
HOMES = ("sqlite", "postgresql")
SEED = 11
COLUMNS = {
    "person": ("pk", "exchange_id"),
    "patient": ("pk", "issuer", "number", "person_pk", "first_person_pk", "names", "sex", "birth_date", "phones",
                "address", "mother_name", "birth_order", "said", "revision", "matched_revision"),
    "patient_identifier": ("patient_pk", "whose", "kind", "value", "sound"),
    "patient_key": ("key", "patient_pk"),
}  # fmt: skip
_PG = {"shared_buffers": "1GB", "max_wal_size": "8GB", "synchronous_commit": "off"}
Rows = dict[str, list[tuple[Any, ...]]]


def known_of(record: Record) -> Demographics:
    said = features_of(record)
    return Demographics(
        names=said.names, sex=said.sex, birth_date=said.birth_date, phones=said.phones, address=said.address,
        mother_name=said.mother_name, birth_order=said.birth_order, certificates=said.certificates,
    )  # fmt: skip


def firsts_and_seconds(first: int, count: int) -> tuple[dict[int, Record], dict[int, Record]]:
    """Of people of whole batches from `first`: their first records, and the second of those who have one."""
    firsts: dict[int, Record] = {}
    seconds: dict[int, Record] = {}
    for record in records(people(first + count, SEED, first), SEED):
        (seconds if record.person in firsts else firsts).setdefault(record.person, record)
    return firsts, seconds


def rows_from(first: int) -> Rows:
    """The rows of a batch."""
    rows: Rows = {table: [] for table in COLUMNS}
    for person, record in firsts_and_seconds(first, BATCH)[0].items():
        pk, known = person + 1, known_of(record)
        rows["person"].append((pk, f"HT{pk:018d}"))
        said = ("\n".join(known.names), known.sex, known.birth_date, "\n".join(known.phones), known.address)
        told = (known.mother_name, known.birth_order, "{}", 1, 1)
        rows["patient"].append((pk, record.institution, record.number, pk, pk, *said, *told))
        for kind, value in known.certificates:
            sound = normal(kind, value)
            rows["patient_identifier"].append((pk, "own", kind, sound or value, int(bool(sound))))
        rows["patient_key"] += ((f"k:{key}", pk) for key in weighing.keys_of(known))
    rows["patient_key"].sort()
    return rows


def run(
    folder: Path, homes: Sequence[str], sizes: Sequence[int], asked: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """A row of figures for each home and size; what was filled is deleted.

    Making people takes longest: with both homes, PostgreSQL gets the rows that SQLite has.
    """
    place, found = folder / "lookup", list[dict[str, Any]]()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for home in sorted(homes, key=HOMES.index):
            for row in _home(home, place, sorted(sizes), asked, say):
                say(f"look-up: {row}")
                found.append(row)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return found


def _home(
    home: str, place: Path, sizes: Sequence[int], asked: int, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    file = place / "index.sqlite"
    if home == "sqlite":
        yield from _sizes(home, SqliteDatabase(file), _made, _fill_sqlite(file), sizes, asked, say)
        return
    server = LocalPostgres(place / "postgresql", _PG)
    server.start()
    try:
        rows = partial(_copied, file) if file.exists() else _made
        yield from _sizes(home, PostgresDatabase(server.url()), rows, _fill_postgres(server.url()), sizes, asked, say)
    finally:
        server.stop()


def _sizes(
    home: str, database: Database, rows: Callable[[range], AbstractContextManager[Iterator[Rows]]],
    fill: Callable[[Iterator[Rows]], None], sizes: Sequence[int], asked: int, say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:  # fmt: skip
    with closing(database):
        database.migrate()
        there = 0
        for size in sizes:
            started = time.perf_counter()
            with rows(range(there, size, BATCH)) as batches:
                fill(batches)
            say(f"look-up: {size:,} people on {home}, filled in {time.perf_counter() - started:.0f} s")
            there = size
            yield {"home": home, "people": size, **_asked(database, size, asked)}


@contextmanager
def _made(firsts: range) -> Iterator[Iterator[Rows]]:
    """The rows of these batches, made anew."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool.map(rows_from, firsts)


@contextmanager
def _copied(file: Path, firsts: range) -> Iterator[Iterator[Rows]]:
    """The rows of these batches, as SQLite has them."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as raw:
        yield (_batch(raw, first) for first in firsts)


def _batch(raw: sqlite3.Connection, first: int) -> Rows:
    rows: Rows = {}
    for table, columns in COLUMNS.items():
        pk = "pk" if "pk" in columns else "patient_pk"
        wanted = f"SELECT {', '.join(columns)} FROM {table} WHERE {pk} > ? AND {pk} <= ?"
        rows[table] = raw.execute(wanted, (first, first + BATCH)).fetchall()
    return rows


def _asked(database: Database, size: int, asked: int) -> dict[str, Any]:
    chosen = random.Random(size)
    batches = chosen.sample(range(0, size, BATCH), min(10, size // BATCH))
    wanted = [(person, record) for first in batches for person, record in firsts_and_seconds(first, BATCH)[1].items()]
    chosen.shuffle(wanted)
    times, cpu, candidates, found = [], [], [], 0
    for turn, (person, record) in enumerate(wanted[: asked + asked // 4]):
        known = known_of(record)
        started, began = time.perf_counter(), time.thread_time()
        with database.read() as tx:
            compared = matching.compared(tx, known)
        elapsed, used = time.perf_counter() - started, time.thread_time() - began
        if turn >= asked // 4:  # those before warmed caches up
            times.append(elapsed * 1000)
            cpu.append(used * 1000)
            candidates.append(len(compared))
            found += any(each.record.pk == person + 1 for each in compared)
    times.sort()
    return {
        "asked": len(times),
        "p50_ms": round(times[len(times) // 2], 3),
        "p99_ms": round(times[len(times) * 99 // 100], 3),
        "cpu_ms": round(sum(cpu) / len(cpu), 3),
        "candidates": round(sum(candidates) / len(times), 2),
        "most_candidates": max(candidates),
        "found": round(found / len(times), 4),
    }


def _fill_sqlite(path: Path) -> Callable[[Iterator[Rows]], None]:
    def fill(batches: Iterator[Rows]) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            for pragma in ("synchronous=OFF", "cache_size=-1000000"):
                raw.execute(f"PRAGMA {pragma}")
            raw.execute("CREATE TABLE keys_meanwhile (key TEXT, patient_pk INTEGER)")
            for rows in batches:
                raw.execute("BEGIN")
                for table, columns in COLUMNS.items():
                    into = "keys_meanwhile" if table == "patient_key" else table
                    marks = ", ".join("?" * len(columns))
                    raw.executemany(f"INSERT INTO {into} ({', '.join(columns)}) VALUES ({marks})", rows[table])
                raw.execute("COMMIT")
            # In the order of the key: pages of the index are filled one after the other.
            raw.execute(
                "INSERT INTO patient_key (key, patient_pk)"
                " SELECT key, patient_pk FROM keys_meanwhile ORDER BY key, patient_pk"
            )
            raw.execute("DROP TABLE keys_meanwhile")
            raw.execute("ANALYZE")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    return fill


def _fill_postgres(url: str) -> Callable[[Iterator[Rows]], None]:
    options = "-c maintenance_work_mem=1GB -c session_replication_role=replica"

    def fill(batches: Iterator[Rows]) -> None:
        with psycopg.connect(url, autocommit=True, options=options) as raw:
            raw.execute("ALTER TABLE patient_key DROP CONSTRAINT patient_key_pkey")
            raw.execute("DROP INDEX patient_key_by_patient")
            for rows in batches:
                with raw.transaction(), raw.cursor() as cursor:
                    for table, columns in COLUMNS.items():
                        with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()) as copy:
                            for row in rows[table]:
                                copy.write_row(row)
            raw.execute("ALTER TABLE patient_key ADD PRIMARY KEY (key, patient_pk)")
            raw.execute("CREATE INDEX patient_key_by_patient ON patient_key (patient_pk)")
            for table in COLUMNS:
                raw.execute(f"VACUUM (ANALYZE) {table}".encode())
            raw.execute(b"CHECKPOINT")

    return fill
