"""Scenarios of searching: QIDO-RS over an archive of tens of thousands of studies."""

from __future__ import annotations

import datetime
import json
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from bench.asking import Case
from bench.corpus import DAYS, FIRST_DAY, Study
from bench.http_client import Answer
from bench.reach import ANY, Reach

_JSON = "application/dicom+json"
_CASES = 40
#: Studies that a range of dates should hold, whatever the size of the archive.
_IN_RANGE = 20
_PAGE = 25
#: Answers with more than this would be cut by some servers.
_MOST = 200


@dataclass(frozen=True, slots=True)
class Search:
    name: str
    title: str
    clients: int
    cases: Callable[[Sequence[Study]], list[Case]]
    unit: str = "p50_ms"
    reach: Reach = ANY


def found_uids(answer: Answer) -> list[str]:
    return [row["0020000D"]["Value"][0] for row in json.loads(answer.body)]


def _finds(path: str, expected: set[str]) -> Case:
    def judge(answer: Answer) -> str:
        found = found_uids(answer)
        if sorted(found) == sorted(expected):
            return ""
        return f"{len(found)} studies, {len(expected & set(found))} of the {len(expected)} that match"

    return Case(path, _JSON, judge)


def patient_id_cases(studies: Sequence[Study]) -> list[Case]:
    by_patient: dict[str, set[str]] = defaultdict(set)
    for study in studies:
        by_patient[study.patient_id].add(study.uid)
    some = random.Random(5).sample(sorted(by_patient), min(_CASES, len(by_patient)))
    return [_finds(f"/studies?PatientID={patient}", by_patient[patient]) for patient in some]


def accession_cases(studies: Sequence[Study]) -> list[Case]:
    some = random.Random(6).sample(list(studies), min(_CASES, len(studies)))
    return [_finds(f"/studies?AccessionNumber={study.accession}", {study.uid}) for study in some]


def date_range_cases(studies: Sequence[Study]) -> list[Case]:
    by_date: dict[str, set[str]] = defaultdict(set)
    for study in studies:
        by_date[study.date].add(study.uid)
    length = max(1, round(_IN_RANGE * DAYS / len(studies)))
    rng = random.Random(7)
    cases = []
    for _ in range(_CASES):
        first = FIRST_DAY + datetime.timedelta(days=rng.randrange(max(1, DAYS - length)))
        days = [(first + datetime.timedelta(days=day)).strftime("%Y%m%d") for day in range(length)]
        expected = set().union(*(by_date[day] for day in days))
        cases.append(_finds(f"/studies?StudyDate={days[0]}-{days[-1]}&limit={_MOST}", expected))
    return [*{case.path: case for case in cases}.values()]


def _page_case(path: str, studies: Sequence[Study], known: set[str]) -> Case:
    def judge(answer: Answer) -> str:
        found = found_uids(answer)
        wanted = min(_PAGE, len(studies))
        # Which studies make a page is the server's to choose (PS3.18 8.3.4.4): any order will do, but no study twice.
        right = len(found) == len(set(found)) == wanted and known.issuperset(found)
        return "" if right else f"{len(found)} studies, {len(known.intersection(found))} known, instead of {wanted}"

    return Case(path, _JSON, judge)


def first_page_cases(studies: Sequence[Study]) -> list[Case]:
    return [_page_case(f"/studies?limit={_PAGE}", studies, {study.uid for study in studies})]


def deep_page_cases(studies: Sequence[Study]) -> list[Case]:
    known = {study.uid for study in studies}
    offsets = [int(len(studies) * share) - _PAGE for share in (0.5, 0.6, 0.7, 0.8, 0.9)]
    return [_page_case(f"/studies?limit={_PAGE}&offset={max(0, at)}", studies, known) for at in offsets]


def _named(studies: Sequence[Study], pieces: Sequence[str], percent_encode: bool) -> list[Case]:
    """Searches for names that have one of the pieces somewhere; pieces that too many names have are left out."""
    cases = []
    for piece in pieces:
        expected = {study.uid for study in studies if piece.lower() in study.name.lower()}
        if 0 < len(expected) <= _MOST:
            text = quote(piece) if percent_encode else piece
            cases.append(_finds(f"/studies?PatientName=*{text}*&limit={_MOST}", expected))
    return cases


def romanised_name_cases(studies: Sequence[Study]) -> list[Case]:
    given = sorted({study.name.partition("^")[2].partition("=")[0].lower() for study in studies})
    return _named(studies, random.Random(8).sample(given, min(_CASES, len(given))), percent_encode=False)


def hanzi_name_cases(studies: Sequence[Study]) -> list[Case]:
    given = sorted({study.name.rpartition("^")[2] for study in studies})
    return _named(studies, random.Random(9).sample(given, min(_CASES, len(given))), percent_encode=True)


def mixed_cases(studies: Sequence[Study]) -> list[Case]:
    """All that both archives answer rightly, in equal parts: some hundred of these show how memory grows."""
    kinds = (
        patient_id_cases,
        accession_cases,
        date_range_cases,
        first_page_cases,
        deep_page_cases,
        romanised_name_cases,
    )
    return [case for kind in kinds for case in kind(studies)[: _CASES // 4]]


_PATIENT, _FIRST = Reach(3), Reach(50)

SCENARIOS = [
    Search("qido-patient-id", "patient number", 1, patient_id_cases, reach=_PATIENT),
    Search("qido-patient-id", "patient number, 8 clients", 8, patient_id_cases, "per_s", _PATIENT),
    Search("qido-accession", "accession number", 1, accession_cases),
    Search("qido-date-range", "range of dates", 1, date_range_cases, reach=Reach(30)),
    Search("qido-first-page", "first page of 25", 1, first_page_cases, reach=_FIRST),
    Search("qido-first-page", "first page of 25, 8 clients", 8, first_page_cases, "per_s", _FIRST),
    Search("qido-deep-page", "page of 25 at half to nine tenths of the archive", 1, deep_page_cases, reach=Reach(300)),
    Search("qido-name", "part of a name, romanised", 1, romanised_name_cases),
    Search("qido-hanzi", "part of a name, in hanzi", 1, hanzi_name_cases),
    Search("qido-mixed", "all but hanzi mixed, 8 clients", 8, mixed_cases, "per_s"),
]
