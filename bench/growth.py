"""The same questions to the same archive while it grows from a thousand to ten million studies.

At each size the index is filled up (`bulk`), the server started, every kind of search asked and judged, then objects
are sent into it: what the size of an archive costs. An interrupted run goes on: what is measured is kept.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from bench import ingest, procs
from bench import province as pr
from bench.asking import Case, ask_for, judge
from bench.bulk import Index, PostgresIndex, SqliteIndex, patterns
from bench.corpus import DAYS, Corpus, Instance, Study, uid
from bench.http_client import Answer
from bench.measure import Row, measure
from bench.run import load, send
from bench.targets import Huitong, HuitongOnPostgres, Target, running

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
PAGE = 25
_JSON = "application/dicom+json"
_CASES = 40
_MONTH = 30
_SENDERS = 4
#: Searches by one client before anything is timed, and how many studies are sent.
_WARM_S = 0.5
#: Of what is sent: older than everything that is searched, so that it changes no answer.
_SENT_DATE = "20150105"
#: That a study takes on disk at most: in PostgreSQL 4.6 KB, in SQLite 3, and more while indices are made.
_BYTES_EACH = 5500
T = TypeVar("T", str, int)


# --- what is asked ---


def _rows(answer: Answer) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(answer.body)
    return rows


def _value(row: dict[str, Any], tag: str) -> str:
    return str(row[tag]["Value"][0])


def _number(row: dict[str, Any]) -> int | None:
    """Which study of the province it is, if everything in it says so."""
    accession = _value(row, "00080050")
    if not accession.removeprefix("GR").isdecimal():
        return None
    number = int(accession.removeprefix("GR"))
    one = pr.study(number)
    said = [_value(row, tag) for tag in ("0020000D", "00100020", "00080020")]
    return number if said == [one.uid, one.patient_id, one.date] else None


def _judged(path: str, wanted: int, faults: Callable[[list[int]], str]) -> Case:
    """So many studies, all of the province and different; `faults` looks at their numbers."""

    def judged(answer: Answer) -> str:
        numbers = [number for row in _rows(answer) if (number := _number(row)) is not None]
        if len(numbers) != len(_rows(answer)) or len(set(numbers)) != wanted:
            return f"{len(_rows(answer))} studies, {len(set(numbers))} of them known, instead of {wanted}"
        return faults(numbers)

    return Case(path, _JSON, judged)


def _exactly(path: str, expected: set[int]) -> Case:
    return _judged(path, len(expected), lambda numbers: "" if set(numbers) == expected else "other studies")


def _paged(path: str, dates: list[str]) -> Case:
    """The dates of a page follow from the corpus; which of the studies of a day come first does not."""

    def faults(numbers: list[int]) -> str:
        found = [pr.study(number).date for number in numbers]
        return "" if found == dates else f"dates {found[:1]} to {found[-1:]}, not {dates[:1]} to {dates[-1:]}"

    return _judged(path, len(dates), faults)


def _some(kind: str, there: Sequence[T]) -> list[T]:
    return random.Random(kind).sample(there, min(_CASES, len(there)))


def patient_id_cases(province: pr.Province) -> list[Case]:
    numbers = _some("patient", range(province.count))
    patients = sorted({pr.patient_of(number) for number in numbers})
    return [
        _exactly(f"/studies?PatientID={pr.patient_id(each)}", pr.studies_of(each, province.count)) for each in patients
    ]


def accession_cases(province: pr.Province) -> list[Case]:
    numbers = _some("accession", range(province.count))
    return [_exactly(f"/studies?AccessionNumber={pr.study(number).accession}", {number}) for number in numbers]


def date_cases(province: pr.Province, length: int = _MONTH) -> list[Case]:
    cases = []
    for first in _some("date", range(DAYS - length)):
        begin, end = province.days(first, length)
        path = f"/studies?StudyDate={begin}-{end}&limit={PAGE}"
        cases.append(_paged(path, province.dates_at(0, PAGE, first, length)))
    return cases


def first_page_cases(province: pr.Province) -> list[Case]:
    return [_paged(f"/studies?limit={PAGE}", province.dates_at(0, PAGE))]


def deep_page_cases(province: pr.Province) -> list[Case]:
    offsets = [int(province.count * share) - PAGE for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    return [_paged(f"/studies?limit={PAGE}&offset={at}", province.dates_at(at, PAGE)) for at in offsets]


def name_cases(province: pr.Province, hanzi: bool) -> list[Case]:
    """Given names, without the family name before them: any part of a name."""
    pieces = _some("name", list(province.given_names(hanzi)))
    return [_named(province, piece) for piece in pieces if province.named(piece)]


def _named(province: pr.Province, piece: str) -> Case:
    def faults(numbers: list[int]) -> str:
        return "" if all(piece in pr.study(number).name.lower() for number in numbers) else "another name"

    path = f"/studies?PatientName=*{quote(piece)}*&limit={PAGE}"
    return _judged(path, min(PAGE, province.named(piece)), faults)


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    title: str
    cases: Callable[[pr.Province], list[Case]]
    clients: int = 1


def mixed_cases(province: pr.Province) -> list[Case]:
    return [case for question in QUESTIONS if question.clients == 1 for case in question.cases(province)[: _CASES // 4]]


QUESTIONS = [
    Question("patient-id", "patient number", patient_id_cases),
    Question("accession", "accession number", accession_cases),
    Question("date", "a month, its newest 25", date_cases),
    Question("first-page", "first page of 25", first_page_cases),
    Question("deep-page", "page of 25 at half to 9/10", deep_page_cases),
    Question("name", "part of a name, in pinyin", lambda province: name_cases(province, hanzi=False)),
    Question("hanzi", "part of a name, in hanzi", lambda province: name_cases(province, hanzi=True)),
    Question("mixed", "all of these, 8 clients", mixed_cases, clients=8),
]


# --- what is sent ---


def _sent_study(number: int) -> Study:
    return Study(
        uid=uid("grown", number),
        series_uid=uid("grown", number, "series"),
        patient_id=f"GSENT{number}",
        name=f"Newcomer^Sent{number}",
        date=_SENT_DATE,
        accession=f"GRSENT{number}",
    )


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent into the archive, over four associations; numbers of its studies begin at `first`."""

    name: str
    title: str
    instances: Callable[[Corpus, int, int], list[Instance]]


def _slices(corpus: Corpus, first: int, count: int) -> list[Instance]:
    length = -(-count // _SENDERS)
    studies = [_sent_study(first + number) for number in range(_SENDERS)]
    return [one for study in studies for one in corpus.slices_of(study, length)]


def _studies(corpus: Corpus, first: int, count: int) -> list[Instance]:
    return list(corpus.tiny([_sent_study(first + number) for number in range(count)]))


SENDINGS = [
    Sending("cstore", "C-STORE of CT slices, 4 associations", _slices),
    Sending("cstore-studies", "C-STORE of studies of one small object, 4 associations", _studies),
]


# --- databases ---


@dataclass(frozen=True, slots=True)
class Home:
    """A database that the archive is kept in: how the server is started on it, how it is filled."""

    title: str
    target: type[Target]
    index: Callable[[Target], Index]


def _postgres_index(target: Target) -> Index:
    assert isinstance(target, HuitongOnPostgres)
    return PostgresIndex(target.postgres.url())


HOMES = {
    "sqlite": Home("SQLite", Huitong, lambda target: SqliteIndex(target.folder / "data" / "index.sqlite")),
    "postgresql": Home("PostgreSQL", HuitongOnPostgres, _postgres_index),
}


# --- the plan ---


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    sizes: tuple[int, ...] = SIZES
    homes: tuple[str, ...] = tuple(HOMES)
    seconds: float = 3.0
    #: Sent at each size, of each kind.
    instances: int = 400
    keep: bool = False


@dataclass
class Grown:
    """What is written to the file of results: rows of `Row` with `home` and `studies`; how each size was filled."""

    about: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    fills: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> str:
        return json.dumps({"about": self.about, "fills": self.fills, "rows": self.rows}, indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, path: Path) -> Grown:
        data = json.loads(path.read_text("utf-8"))
        return cls(data["about"], data["rows"], data["fills"])


class Growth:
    """One run; `file` has all results after each of them."""

    def __init__(self, options: Options, say: Callable[[str], None], file: Path) -> None:
        self.options, self.say, self.file = options, say, file
        self.corpus = Corpus(4)
        self.results = Grown()

    def run(self) -> None:
        versions = {name: HOMES[name].target.version() for name in self.options.homes}
        about = {
            "date": time.strftime("%Y-%m-%d"),
            **procs.machine(),
            "filesystem": procs.filesystem(self.options.folder),
            "versions": versions,
            "titles": {name: HOMES[name].title for name in HOMES},
            "seconds": self.options.seconds,
            "instances": self.options.instances,
        }
        if self.file.exists():
            self.results = Grown.read(self.file)
        for home in self.options.homes:
            self._drop_others(home, versions[home])
        self.results.about |= about
        for home in self.options.homes:
            if missing := HOMES[home].target.missing():
                self.say(f"without {home}: {missing}")
            else:
                self._grow(home)

    def _drop_others(self, home: str, version: str) -> None:
        """What another version measured is measured again."""
        results = self.results
        results.rows = [row for row in results.rows if row["home"] != home or row["version"] == version]
        results.fills = [fill for fill in results.fills if fill["home"] != home or fill["version"] == version]

    def _grow(self, home: str) -> None:
        target = HOMES[home].target(self.options.folder / "growth" / home)
        there = self._there(target)
        for size in sorted(self.options.sizes):
            if self._is_measured(home, size) or size < there:
                measured = self._is_measured(home, size)
                why = "is measured already" if measured else f"is past: the archive has {there:,} studies"
                self.say(f"{home}: {size:,} {why}")
                continue
            if (room := shutil.disk_usage(self.options.folder).free) < (size - there) * _BYTES_EACH:
                self.say(f"{home}: {size:,} studies need more room than the {room / 1e9:.0f} GB that are free")
                break
            there = self._filled(home, target, there, size)
            with running([target]):
                self._measure(home, target, size)
        if not self.options.keep:
            target.remove()

    def _is_measured(self, home: str, size: int) -> bool:
        last = SENDINGS[-1].name
        return any((row["home"], row["studies"], row["scenario"]) == (home, size, last) for row in self.results.rows)

    def _there(self, target: Target) -> int:
        """How many studies an earlier run left in its folder; 0 for none that can be gone on with."""
        mark = _mark(target)
        found = json.loads(mark.read_text()) if mark.exists() else {}
        if found.get("corpus") == pr.VERSION and found["whole"]:
            return int(found["studies"])
        target.remove()
        return 0

    def _filled(self, home: str, target: Target, there: int, size: int) -> int:
        if there == size:
            return size
        if not there:
            with running([target]):
                if load(target, patterns(self.corpus)).faults:
                    raise RuntimeError("the patterns could not be sent")
        note = {"corpus": pr.VERSION, "studies": there, "whole": False}
        _mark(target).write_text(json.dumps(note))
        began, done = time.monotonic(), there
        with target.standing():
            for count in HOMES[home].index(target).fill(there, size):
                done += count
                if done // 500_000 > (done - count) // 500_000 or done == size:
                    took = time.monotonic() - began
                    self.say(f"{home}: {done:,} studies written, {(done - there) / took:,.0f}/s")
        fill: dict[str, Any] = {
            "home": home, "version": type(target).version(), "studies": size, "added": size - there,
            "seconds": time.monotonic() - began, "disk_bytes": target.disk_bytes(),
        }  # fmt: skip
        self.say(f"{home}: {size:,} studies after {fill['seconds']:,.0f} s, {fill['disk_bytes'] / 1e9:.2f} GB")
        self.results.fills.append(fill)
        _mark(target).write_text(json.dumps(note | {"studies": size, "whole": True}))
        return size

    def _measure(self, home: str, target: Target, size: int) -> None:
        self.results.rows = [r for r in self.results.rows if (r["home"], r["studies"]) != (home, size)]
        province = pr.Province(size)
        for question in QUESTIONS:
            cases = question.cases(province)
            judged = judge(target, cases)
            measure("warm-up", target.name, target.pids, 1, ask_for(target, cases, judged, _WARM_S))
            client = ask_for(target, cases, judged, self.options.seconds)
            row = measure(question.name, target.name, target.pids, question.clients, client)
            row = replace(row, checked=len(cases), right=judged.right, notes=row.notes + judged.wrong[:3])
            self._add(home, target, size, row)
        for place, sending in enumerate(SENDINGS):
            first = size * 10 + place * 1_000_000_000
            scenario = ingest.Ingest(sending.name, sending.title, _SENDERS, ingest.by_association(_SENDERS))
            row = send(target, scenario, sending.instances(self.corpus, first, self.options.instances))
            self._add(home, target, size, row)

    def _add(self, home: str, target: Target, size: int, row: Row) -> None:
        kept = {"home": home, "version": type(target).version(), "studies": size, **row.as_dict()}
        self.results.rows.append(kept)
        self.file.write_text(self.results.as_json(), "utf-8")
        wrong = f"  {row.faults} faults, {row.right} of {row.checked} right: {row.notes[:1]}"
        self.say(
            f"{home} {size:>10,}  {row.scenario:15} {row.per_s:8.1f}/s  p50 {row.p50_ms:8.2f} p95 {row.p95_ms:8.2f} ms"
            f"  CPU {row.cpu_ms_per_item:7.2f}+{row.later_cpu_ms_per_item:.2f} ms  peak {row.peak_rss_mb:4.0f} MB"
            + (wrong if row.faults or row.right != row.checked else "")
        )


def _mark(target: Target) -> Path:
    return target.folder / "grown.json"
