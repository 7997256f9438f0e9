"""Index rows by the million, written straight into the database of an archive that is stopped.

The rows are those that the server itself wrote of a few studies sent to it (`PATTERNS`), with the UIDs, names, numbers
and dates of others put in; names and tokens are made by the functions of `imaging`. Indices are dropped and made again,
as the database describes them. There are no images behind such rows: this is an archive to be searched in. Nor are
there records of patients: a study of which none is known is answered with its institution's own number.
"""

from __future__ import annotations

import hashlib
import sqlite3
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from bench.corpus import Corpus, Instance, Study, uid
from bench.province import INSTITUTIONS, KINDS, study, time_of
from huitong.imaging import attributes as at
from huitong.wire.grams import grams
from huitong.wire.text import text_forms

_CHUNK = 10_000
#: Chunks that are made ahead.
_AHEAD = 4
TABLES = ("study", "series", "instance")

_Row: TypeAlias = dict[str, Any]


def _pattern_study(kind: int) -> Study:
    """What no other has, so that it can be found in a row and replaced."""
    return Study(
        uid=uid("pattern", kind),
        series_uid=uid("pattern", kind, "series"),
        patient_id=f"GPATTERN{kind}",
        name=f"Nobody^Pattern{kind}=某^样本",
        date="20160229",
        accession=f"GRPATTERN{kind}",
    )


PATTERNS = [_pattern_study(kind) for kind in range(len(KINDS))]
_PATTERN_TIME = "114733"


def patterns(corpus: Corpus) -> list[Instance]:
    """An object of each kind of study, to be sent first."""
    return [
        one
        for pattern, (modality, description) in zip(PATTERNS, KINDS, strict=True)
        for one in corpus.tiny([pattern], Modality=modality, StudyDescription=description, StudyTime=_PATTERN_TIME)
    ]


@dataclass(frozen=True, slots=True)
class Pattern:
    """The rows that the server wrote of one study."""

    study: _Row
    series: _Row
    instance: _Row


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of some studies in the order of `TABLES`, keys and all, and the tokens of each study."""

    rows: tuple[list[tuple[Any, ...]], ...]
    tokens: list[tuple[int, list[str]]]


def rows_of(pattern: Pattern, number: int, pks: Sequence[int]) -> tuple[_Row, _Row, _Row]:
    """The rows of study `number` with these keys: as if it had been sent."""
    one, was = study(number), PATTERNS[number % len(KINDS)]
    alphabetic, ideographic = one.name.split("=")
    shown, forms = _name(alphabetic, ideographic)
    begins = time_of(number)
    old_alphabetic, old_ideographic = was.name.split("=")
    attributes = _put(
        pattern.study["attributes"],
        (was.uid, one.uid), (was.patient_id, one.patient_id), (was.date, one.date), (was.accession, one.accession),
        (_PATTERN_TIME, begins), (old_alphabetic, alphabetic), (old_ideographic, ideographic),
    )  # fmt: skip
    of_study = pattern.study | {
        "pk": pks[0], "institution": INSTITUTIONS[number % len(INSTITUTIONS)], "study_uid": one.uid,
        "patient_id": one.patient_id, "patient_name": shown, "name_forms": forms, "study_date": one.date,
        "study_time": begins, "accession_number": one.accession, "attributes": attributes, "patient_pk": None,
    }  # fmt: skip
    series_attributes = _put(pattern.series["attributes"], (was.series_uid, one.series_uid))
    of_series = pattern.series | {
        "pk": pks[1], "study_pk": pks[0], "series_uid": one.series_uid, "attributes": series_attributes,
    }  # fmt: skip
    sop_uid = uid(one.series_uid, 1)
    of_instance = pattern.instance | {
        "pk": pks[2], "series_pk": pks[1], "sop_uid": sop_uid, "sha256": hashlib.sha256(sop_uid.encode()).digest(),
        "record_at": (number + 1) << 12,
    }  # fmt: skip
    return of_study, of_series, of_instance


def _put(json: bytes, *changes: tuple[str, str]) -> bytes:
    for old, new in changes:
        json = json.replace(old.encode(), new.encode())
    return json


@cache
def _name(alphabetic: str, ideographic: str) -> tuple[str, str]:
    """The name as it is shown, and all forms by which it is searched."""
    header = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": alphabetic, "Ideographic": ideographic}]}}
    return at.shown_name(header), at.forms(header, "00100010")


def tokens_of(row: _Row) -> list[str]:
    """As `records.study_grams`, in another order: those of words are made once, there are few thousands of these."""
    words = (*_words("n", row["name_forms"]), *_words("r", row["referring_forms"]), *_words("d", row["description"]))
    return [*words, *_number_tokens("i", row["patient_id"]), *_number_tokens("a", row["accession_number"])]


@cache
def _words(field: str, text: str) -> tuple[str, ...]:
    return tuple(grams(field, text_forms(text) if field == "d" else text.split("\n")))


def _number_tokens(field: str, number: str) -> set[str]:
    """Of letters before digits."""
    text = number.lower()
    pairs = _words(field, text.rstrip("0123456789"))
    return {field + text[at_ : at_ + 3] for at_ in range(len(text) - 2)}.union(pairs)


def _chunk(patterns_: Sequence[Pattern], first: int, end: int, next_pks: Sequence[int]) -> Chunk:
    made: tuple[list[tuple[Any, ...]], ...] = ([], [], [])
    tokens = []
    for number in range(first, end):
        pks = [pk + number for pk in next_pks]
        rows = rows_of(patterns_[number % len(KINDS)], number, pks)
        for into, row in zip(made, rows, strict=True):
            into.append(tuple(row.values()))
        tokens.append((pks[0], tokens_of(rows[0])))
    return Chunk(made, tokens)


class Index(ABC):
    """The database of a stopped archive, for one filling."""

    @abstractmethod
    def rows(self, sql: str) -> list[_Row]: ...

    @abstractmethod
    def begin(self) -> None:
        """Without indices, and without what makes a crash survivable."""

    @abstractmethod
    def add(self, chunk: Chunk) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Indices again, and what the database does by itself after a while."""

    def patterns(self) -> list[Pattern]:
        found = []
        for pattern in PATTERNS:
            [of_study] = self.rows(f"SELECT * FROM study WHERE study_uid = '{pattern.uid}'")
            [of_series] = self.rows(f"SELECT * FROM series WHERE study_pk = {of_study['pk']}")
            [of_instance] = self.rows(f"SELECT * FROM instance WHERE series_pk = {of_series['pk']}")
            found.append(Pattern(of_study, of_series, of_instance))
        return found

    def fill(self, first: int, end: int) -> Iterator[int]:
        """Add studies `first` to `end` - 1; tells now and then how many are written."""
        found = self.patterns()
        # Behind what is there; number `first` gets the next one.
        pks = [self.rows(f"SELECT max(pk) AS pk FROM {table}")[0]["pk"] + 1 - first for table in TABLES]
        self.columns = [list(row) for row in (found[0].study, found[0].series, found[0].instance)]
        self.begin()
        with ProcessPoolExecutor(1, mp_context=get_context("fork")) as maker:
            waiting: deque[Future[Chunk]] = deque()
            for at_ in range(first, end, _CHUNK):
                waiting.append(maker.submit(_chunk, found, at_, min(at_ + _CHUNK, end), pks))
                while len(waiting) > _AHEAD or (waiting and at_ + _CHUNK >= end):
                    chunk = waiting.popleft().result()
                    self.add(chunk)
                    yield len(chunk.tokens)
        self.finish()


class SqliteIndex(Index):
    def __init__(self, path: Path) -> None:
        self._raw = sqlite3.connect(path, isolation_level=None)
        self._raw.row_factory = sqlite3.Row
        self._indices: list[str] = []

    def rows(self, sql: str) -> list[_Row]:
        return [dict(row) for row in self._raw.execute(sql)]

    def begin(self) -> None:
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000", "threads=2"):
            self._raw.execute(f"PRAGMA {pragma}")
        kept = ", ".join(f"'{table}'" for table in TABLES)
        found = self.rows(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' AND tbl_name IN ({kept})"
        )
        for index in found:
            self._raw.execute(f"DROP INDEX {index['name']}")
        self._indices = [index["sql"] for index in found]
        self._inserts = [
            f"INSERT INTO {table}({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            for table, columns in zip(TABLES, self.columns, strict=True)
        ]
        self._hash_bytes(64 << 20)

    def _hash_bytes(self, size: int) -> None:
        """How much of the tokens' index is gathered in memory before it is written."""
        self._raw.execute("INSERT INTO study_grams(study_grams, rank) VALUES ('hashsize', ?)", (size,))

    def add(self, chunk: Chunk) -> None:
        self._raw.execute("BEGIN")
        for sql, rows in zip(self._inserts, chunk.rows, strict=True):
            self._raw.executemany(sql, rows)
        tokens = [(pk, " ".join(each)) for pk, each in chunk.tokens]
        self._raw.executemany("INSERT INTO study_grams(rowid, grams) VALUES (?, ?)", tokens)
        self._raw.execute("COMMIT")

    def finish(self) -> None:
        self._hash_bytes(1 << 20)  # as it is by default
        for sql in self._indices:
            self._raw.execute(sql)
        self._raw.execute("PRAGMA journal_mode=WAL")
        self._raw.close()


class PostgresIndex(Index):
    """By COPY, with triggers of foreign keys off."""

    def __init__(self, url: str) -> None:
        options = "-c synchronous_commit=off -c maintenance_work_mem=1GB -c session_replication_role=replica"
        self._raw = psycopg.connect(url, autocommit=True, row_factory=dict_row, options=options)
        self._indices: list[str] = []

    def rows(self, sql: str) -> list[_Row]:
        return self._raw.execute(sql.encode()).fetchall()

    def begin(self) -> None:
        kept = ", ".join(f"'{table}'" for table in (*TABLES, "study_grams"))
        of_ours = f"tablename IN ({kept}) AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        found = self.rows(f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND {of_ours}")
        for index in found:
            self._raw.execute(f"DROP INDEX {index['indexname']}".encode())
        self._indices = [index["indexdef"] for index in found]

    def add(self, chunk: Chunk) -> None:
        with self._raw.transaction(), self._raw.cursor() as cursor:
            for table, columns, rows in zip(TABLES, self.columns, chunk.rows, strict=True):
                self._copy(cursor, f"COPY {table} ({', '.join(columns)}) FROM STDIN", rows)
            self._copy(cursor, "COPY study_grams (study_pk, grams) FROM STDIN", chunk.tokens)

    def _copy(self, cursor: psycopg.Cursor[_Row], sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        with cursor.copy(sql.encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def finish(self) -> None:
        for sql in self._indices:
            self._raw.execute(sql.encode())
        for table in TABLES:
            last = f"(SELECT max(pk) FROM {table})"
            self._raw.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'pk'), {last})".encode())
        for table in (*TABLES, "study_grams"):
            self._raw.execute(f"VACUUM (ANALYZE) {table}".encode())  # as autovacuum does within minutes
        self._raw.execute(b"CHECKPOINT")
        self._raw.close()
