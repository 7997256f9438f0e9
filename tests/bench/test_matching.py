"""What is measured of matching, on few made people; and the tables of it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from bench.matching import lookup, measuring, population


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


def test_a_person_is_looked_up_by_another_record() -> None:
    with TemporaryDirectory(prefix="huitong-lookup-") as folder:  # where PostgreSQL may go, which is nobody
        Path(folder).chmod(0o755)
        rows = lookup.run(Path(folder), ("postgresql", "sqlite"), (lookup.BATCH,), 100, lambda _line: None)
        assert not list(Path(folder).iterdir())
    assert [row["home"] for row in rows] == ["sqlite", "postgresql"]
    for row in rows:
        assert row["found"] > 0.95
        assert row["candidates"] == rows[0]["candidates"] >= row["found"]


def test_the_tables_say_what_was_found(matched: population.Matched) -> None:
    found = {**asdict(matched), "precision": matched.precision, "recall": matched.recall}
    about = {"date": "2026-11-26", "cpu": "2 cores", "memory": "8 GiB"}
    text = measuring.render({f"population {matched.people}": {"about": about, "found": found}})
    assert f"| of one person | {matched.true:,} |" in text
    assert "False joins: none." in text


def test_another_model_is_told_value_by_value() -> None:
    kept = {"levels": [{"m": 0.7384}, {"m": 0.1}], "gone": 1, "same": "x"}
    made = {"levels": [{"m": 0.7429}, {"m": 0.1}], "same": "x"}
    assert measuring.differences(kept, made) == ["/gone: 1 -> None", "/levels/0/m: 0.7384 -> 0.7429"]
    assert measuring.differences(kept, dict(kept)) == []
    assert measuring.differences({"levels": [1, 2]}, {"levels": [1]}) == ["/levels: [1, 2] -> [1]"]


def test_training_fails_where_the_model_is_not_the_one_that_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, told = tmp_path / "model.json", list[str]()
    file.write_text('{"m": 0.5}')
    monkeypatch.setattr(measuring, "MODEL", file)
    monkeypatch.setattr(measuring, "ROOT", tmp_path)
    options = measuring.Options(tmp_path, parts=("train",))
    monkeypatch.setattr(measuring, "_in_venv", lambda _module: file.write_text('{"m": 0.5}'))
    measuring.run(options, told.append, tmp_path / "results.json")
    assert told[-1] == "training: the same model again, byte for byte"
    monkeypatch.setattr(measuring, "_in_venv", lambda _module: file.write_text('{"m": 0.6}'))
    with pytest.raises(SystemExit, match=r"/m: 0\.5 -> 0\.6"):
        measuring.run(options, told.append, tmp_path / "results.json")
