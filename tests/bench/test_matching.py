"""What is measured of matching, on few made people; and the tables of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from bench.matching import lookup, measuring, population
from bench.report import place


@pytest.fixture(scope="module")
def matched() -> population.Matched:
    return population.run(1500, population.SEED, lambda _line: None)


def test_no_two_people_are_joined_and_most_records_of_one_are(matched: population.Matched) -> None:
    assert matched.false_count == 0, matched.false_joins
    assert matched.reached / matched.true > 0.98
    assert matched.recall > 0.85
    assert matched.joined + matched.asked > 0.95 * matched.true


def test_twins_and_namesakes_are_compared_and_never_joined(matched: population.Matched) -> None:
    for kind in ("twins", "namesakes"):
        assert sum(matched.hard[kind].values()) > 0
        assert "join" not in matched.hard[kind]


def test_a_person_is_looked_up_by_another_record(tmp_path: Path) -> None:
    (row,) = lookup.run(tmp_path, ("sqlite",), (lookup.BATCH,), 100, lambda _line: None)
    assert row["found"] > 0.95
    assert row["candidates"] >= row["found"]
    assert not list(tmp_path.iterdir())


def test_the_tables_say_what_was_found(matched: population.Matched) -> None:
    found = {**asdict(matched), "precision": matched.precision, "recall": matched.recall}
    about = {"date": "2026-11-26", "cpu": "2 cores", "memory": "8 GiB"}
    text = measuring.render({"population": {"about": about, "found": found}})
    assert f"| of one person | {matched.true:,} |" in text
    assert "False joins: none." in text
    document = f"a\n{measuring.BEGIN}\nold\n{measuring.END}\nb\n"
    assert "old" not in place(document, text, measuring.BEGIN, measuring.END)
