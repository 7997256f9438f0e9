"""What has to be found in an archive of any size follows from arithmetic; its rows are those that a server writes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from bench.bulk import PATTERNS, TABLES, SqliteIndex, patterns, rows_of, tokens_of
from bench.corpus import Corpus, Study
from bench.growth import QUESTIONS, Question, _sent_study
from bench.http_client import Answer
from bench.run import load
from bench.targets import Huitong, running

from bench import province as pr
from huitong.imaging.records import study_grams

COUNT = 4000
PROVINCE = pr.Province(COUNT)
STUDIES = [pr.study(number) for number in range(COUNT)]


def test_dates_of_any_page_are_those_of_the_sorted_list() -> None:
    dates = sorted((study.date for study in STUDIES), reverse=True)
    for offset in (0, 1, 777, COUNT - 10):
        assert PROVINCE.dates_at(offset, 25) == dates[offset : offset + 25]
    first, last = PROVINCE.days(100, 30)
    within = [date for date in dates if first <= date <= last]
    assert PROVINCE.dates_at(0, 25, 100, 30) == within[:25]
    assert len(within) > 25


def test_a_patient_has_one_or_two_studies_of_one_name() -> None:
    by_patient: dict[int, set[int]] = {}
    for number in range(COUNT):
        by_patient.setdefault(pr.patient_of(number), set()).add(number)
    assert {patient: pr.studies_of(patient, COUNT) for patient in by_patient} == by_patient
    assert {len(numbers) for numbers in by_patient.values()} == {1, 2}
    assert len({(study.patient_id, study.name) for study in STUDIES}) == len(by_patient)


@pytest.mark.parametrize("hanzi", [False, True])
def test_names_are_counted_without_making_them(hanzi: bool) -> None:
    pieces = list(PROVINCE.given_names(hanzi))
    assert len(pieces) == len(set(pieces))
    names = [study.name.lower() for study in STUDIES]
    for piece in pieces[::150]:
        assert PROVINCE.named(piece) == sum(piece in name for name in names)
    assert sum(map(PROVINCE.named, pieces)) == COUNT


def test_studies_differ_and_are_spread_over_days() -> None:
    assert len({study.uid for study in STUDIES}) == len({study.accession for study in STUDIES}) == COUNT
    per_day = Counter(study.date for study in STUDIES)
    assert set(per_day.values()) <= {1, 2}


def _answer(*studies: Study) -> Answer:
    tags = {"0020000D": "uid", "00100020": "patient_id", "00080020": "date", "00080050": "accession"}
    rows = [{tag: {"Value": [getattr(one, name)]} for tag, name in tags.items()} for one in studies]
    return Answer(200, 0, {}, json.dumps(rows).encode())


def _newest(count: int, after: int = 0) -> list[Study]:
    return sorted(STUDIES, key=lambda study: study.date, reverse=True)[after : after + count]


def test_a_page_of_other_studies_is_noticed() -> None:
    [case] = next(each for each in QUESTIONS if each.name == "first-page").cases(PROVINCE)
    assert case.judge(_answer(*_newest(25))) == ""
    assert "instead of 25" in case.judge(_answer(*_newest(24)))
    assert "instead of 25" in case.judge(_answer(*_newest(24), _newest(1)[0]))
    assert "instead of 25" in case.judge(_answer(*_newest(24), _sent_study(1)))
    assert case.judge(_answer(*_newest(25, after=3))).startswith("dates")


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: one.name)
def test_questions_are_the_same_each_time_and_different_from_each_other(question: Question) -> None:
    paths = [case.path for case in question.cases(PROVINCE)]
    assert paths == [case.path for case in question.cases(pr.Province(COUNT))]
    assert len(paths) == len(set(paths)) > 0


#: Keys (no patient is written), places of bytes, lengths that go with those of names, and when it came.
_OF_ITS_OWN = {
    "pk", "study_pk", "series_pk", "patient_pk", "institution", "sha256", "record_at", "payload_at", "payload_bytes",
    "tail_bytes", "size_bytes", "frames", "first_at_ms", "last_at_ms", "received_at_ms",
}  # fmt: skip


def test_rows_are_those_that_a_server_writes(tmp_path: Path) -> None:
    corpus, numbers = Corpus(1), range(5, 10)
    target = Huitong(tmp_path)
    with running([target]):
        sent = [*patterns(corpus)]
        for number in numbers:
            modality, description = pr.KINDS[number % len(pr.KINDS)]
            attributes = {"Modality": modality, "StudyDescription": description, "StudyTime": pr.time_of(number)}
            sent += corpus.tiny([pr.study(number)], **attributes)
        assert not load(target, sent).faults
    index = SqliteIndex(tmp_path / "data/index.sqlite")
    found = index.patterns()
    assert len(found) == len(PATTERNS)
    for number in numbers:
        made = rows_of(found[number % len(found)], number, (1, 1, 1))
        [study] = index.rows(f"SELECT * FROM study WHERE study_uid = '{pr.study(number).uid}'")
        [series] = index.rows(f"SELECT * FROM series WHERE study_pk = {study['pk']}")
        [instance] = index.rows(f"SELECT * FROM instance WHERE series_pk = {series['pk']}")
        for mine, theirs in zip(made, (study, series, instance), strict=True):
            for column in theirs:
                if column not in _OF_ITS_OWN:
                    assert mine[column] == theirs[column], column
        assert Counter(tokens_of(made[0])) == Counter(study_grams(made[0]))
    schema = index.rows("SELECT name, sql FROM sqlite_master ORDER BY name")
    assert sum(index.fill(100, 150)) == 50
    filled = SqliteIndex(tmp_path / "data/index.sqlite")
    assert filled.rows("SELECT name, sql FROM sqlite_master ORDER BY name") == schema
    assert filled.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert filled.rows("PRAGMA foreign_key_check") == []
    counts = [filled.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in TABLES]
    assert counts == [60] * 3
    by_token = f"SELECT rowid FROM study_grams WHERE study_grams MATCH '{tokens_of(made[0])[-2]}'"
    assert len(filled.rows(by_token)) > 0
