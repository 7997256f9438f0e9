"""The report says what was measured, and leaves alone what others wrote around it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench.__main__ import DOCUMENT, main
from bench.measure import Row
from bench.profiling import place_of, read_stacks
from bench.profiling import render as render_profile
from bench.publish import PARTS, publish
from bench.report import place, render
from bench.run import Options, Results, Run
from bench.scenarios import GROUPS, NAMES
from bench.targets import Huitong, Orthanc
from click.testing import CliRunner

ROW = Row("cstore", "huitong", 4, 0, 100, 0.5, 800.0, 4e8, 4.0, 9.0, 1.5, 0.5, 0.2, 0.01, 120.0, 0, [], 4, 4)
SLOWER = replace(ROW, target="orthanc", per_s=200.0, cpu_ms_per_item=5.75, later_cpu_ms_per_item=0.25, peak_rss_mb=90.0)
PAGE = replace(ROW, scenario="qido-deep-page", clients=1, p50_ms=2.0, later_cpu_ms_per_item=0.0)
WRONG = replace(PAGE, target="orthanc", p50_ms=1.0, right=0, checked=5, notes=["GET /x: 0 studies"])


def _results(*rows: Row) -> Results:
    about = {
        "date": "2026-03-17", "cpu": "2 cores (X)", "memory": "24 GiB", "kernel": "Linux 6", "filesystem": "ext4",
        "versions": {"huitong": "Huitong 0.1", "orthanc": "Orthanc 1.10.1"}, "command": "python -m bench --rounds 1",
        "titles": {"huitong": "Huitong", "orthanc": "Orthanc"},
        "options": {"rounds": 1, "instances": 400, "seconds": 3.0, "studies": 50000},
    }  # fmt: skip
    return Results(
        about,
        list(rows),
        {"huitong": {"version": "Huitong 0.1", "seconds": 60, "per_s": 833, "cpu_ms_per_item": 1, "disk_bytes": 1e8}},
    )


def test_a_row_has_speeds_ratios_cpu_and_memory() -> None:
    text = render(_results(ROW, SLOWER))
    speeds = "| C-STORE, 4 associations | 800/s | 200/s | **4.00** | 1.50 + 0.50 / 5.75 + 0.25 | **3.00** | 120 / 90 |"
    assert f"{speeds} ≥ 5 × ✗, ≤ 1.2 CPU ms ✗ |" in text.splitlines()
    assert "### Searching" not in text
    for said in ("2026-03-17", "2 cores (X)", "Orthanc 1.10.1", "python -m bench --rounds 1"):
        assert said in text


def test_a_wrong_answer_is_said_and_has_no_ratio() -> None:
    text = render(_results(PAGE, WRONG))
    row = next(line for line in text.splitlines() if "nine tenths" in line)
    assert "| 2.00 ms | wrong: 0 of 5 answers right (1.00 ms) |  |" in row
    assert "**" not in row
    assert "* Orthanc, GET /x: 0 studies" in text
    assert "### Searching, 50,000 studies" in text


def test_a_bound_is_judged_by_what_was_answered_rightly() -> None:
    text = render(_results(PAGE, WRONG))
    assert next(line for line in text.splitlines() if "nine tenths" in line).endswith("| ≥ 300 × ? |")
    text = render(_results(PAGE, replace(WRONG, right=5, p50_ms=700.0)))
    assert next(line for line in text.splitlines() if "nine tenths" in line).endswith("| ≥ 300 × ✓ |")


def test_retrieval_is_told_as_a_share_of_nginx() -> None:
    ours = replace(ROW, scenario="instance", clients=8)
    results = _results(ours, replace(ours, target="orthanc", per_s=200.0), replace(ours, target="nginx", per_s=1000.0))
    results.about["titles"] = {"huitong": "Huitong", "orthanc": "Orthanc", "nginx": "nginx (the limit)"}
    line = next(line for line in render(results).splitlines() if "WADO-RS instance" in line)
    assert "| **4.00** | 80% |" in line
    assert line.endswith("| ≥ 3 × ✓, ≥ 50% of nginx ✓ |")


def test_the_most_memory_is_said_with_where_it_was_had() -> None:
    text = render(_results(ROW, replace(PAGE, peak_rss_mb=310.0), SLOWER))
    assert "Huitong 310 MB (page of 25 at half to nine tenths of the archive), Orthanc 90 MB" in text
    assert "≤ 300 MB ✗" in text


def test_only_what_is_not_there_yet_is_run_again(tmp_path: Path) -> None:
    targets = [Huitong(tmp_path), Orthanc(tmp_path)]
    run = Run(Options(tmp_path, rounds=2), print, tmp_path / "results.json")
    whole = [one for one in GROUPS["ingest"] if one.name == "cstore"]
    run.results.rows = [ROW, SLOWER, replace(ROW, clients=1), replace(ROW, round=1)]
    rest = run.rest(whole, targets)
    assert [[(one.name, one.clients) for one in rest[number]] for number in (0, 1)] == [
        [("cstore", 1)],
        [("cstore", 1), ("cstore", 4)],
    ]
    assert run.results.rows == [ROW, SLOWER]


def test_unsteady_rounds_are_marked() -> None:
    text = render(_results(ROW, replace(ROW, round=1, per_s=1600.0)))
    assert "1,200/s ~" in text


def test_results_survive_their_file(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(_results(ROW, WRONG).as_json(), "utf-8")
    assert Results.read(file) == _results(ROW, WRONG)


BEGINS, ENDS = PARTS[0].begins, PARTS[0].ends


def test_what_stands_around_the_markers_stays() -> None:
    document = f"# Title\n\nbefore\n\n{BEGINS}\nold\n{ENDS}\n\nafter\n"
    once = place(document, "new\n", BEGINS, ENDS)
    assert once == f"# Title\n\nbefore\n\n{BEGINS}\n\nnew\n\n{ENDS}\n\nafter\n"
    assert place(once, "new", BEGINS, ENDS) == once


@pytest.mark.parametrize("document", ["none", BEGINS, ENDS, f"{ENDS} {BEGINS}"])
def test_a_document_without_its_markers_is_refused(document: str) -> None:
    with pytest.raises(ValueError, match="needs the lines"):
        place(document, "new", BEGINS, ENDS)


def test_what_was_measured_is_kept_beside_the_document_and_the_rest_stays_as_it_was(tmp_path: Path) -> None:
    document, measured = tmp_path / "docs" / "benchmarks.md", tmp_path / "run"
    document.parent.mkdir()
    measured.mkdir()
    document.write_text("\n".join(f"{part.begins}\nold {part.file}\n{part.ends}" for part in PARTS), "utf-8")
    (measured / "results.json").write_text(_results(ROW, SLOWER).as_json(), "utf-8")
    about = {"date": "2026-11-27", "cpu": "2 cores", "memory": "8 GiB"}
    row = {"people": 1000, "home": "sqlite", "p50_ms": 1, "p99_ms": 2, "cpu_ms": 1, "candidates": 1,
           "most_candidates": 9, "found": 1}  # fmt: skip
    (measured / "matching.json").write_text(json.dumps({"lookup": {"about": about, "found": [row]}}), "utf-8")
    written = [file.relative_to(document.parent).as_posix() for file in publish(measured, document)]
    assert written == [
        "benchmarks/results.json", "images/beside-orthanc.svg", "benchmarks/matching.json", "benchmarks.md",
    ]  # fmt: skip
    text = document.read_text("utf-8")
    assert "800/s" in text
    assert "| 1,000 | sqlite |" in text
    assert [part.file for part in PARTS if f"old {part.file}" in text] == ["ohif.json", "growth.json"]
    assert Results.read(document.parent / "benchmarks" / "results.json") == _results(ROW, SLOWER)

    (measured / "results.json").unlink()
    (measured / "matching.json").write_text(json.dumps({"other": {"about": about}}), "utf-8")
    publish(measured, document)
    assert document.read_text("utf-8") == text


def test_the_document_of_this_project_has_its_markers() -> None:
    for part in PARTS:
        assert "new table" in place(DOCUMENT.read_text("utf-8"), "new table", part.begins, part.ends)


def test_scenarios_are_told_apart_by_name_and_clients() -> None:
    keys = [(one.name, one.clients) for group in GROUPS.values() for one in group]
    titles = [one.title for group in GROUPS.values() for one in group]
    assert len(keys) == len(set(keys)) == len(set(titles))


def test_only_takes_groups_names_and_their_beginnings(tmp_path: Path) -> None:
    options = Options(tmp_path, only=("search", "cstore-small"))
    chosen = {one.name for group, scenarios in GROUPS.items() for one in scenarios if options.wants(group, one.name)}
    assert chosen == {"cstore-small"} | {one.name for one in GROUPS["search"]}
    assert all(Options(tmp_path).wants("ingest", name) for name in NAMES)


@pytest.mark.parametrize("flags", [("--only", "nonsense"), ("--targets", "huitong,pacs"), ("--rounds", "0")])
def test_flags_that_name_nothing_are_refused(flags: tuple[str, str], tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, [*flags, "--dir", str(tmp_path)])
    assert answer.exit_code == 2
    assert flags[1].split(",")[-1] in answer.output


STACKS = """
run (threading.py:9);prepare (huitong/imaging/preparing.py:69);sha256 (hashlib.py:1) 30
run (threading.py:9);write_all (huitong/store/files.py:49) 60
run (threading.py:9);_worker (concurrent/futures/thread.py:81) 500
run (threading.py:9);read (asyncio/streams.py:3) 10
"""


def test_a_profile_counts_work_by_room_and_leaves_waiting_out() -> None:
    stacks = read_stacks(STACKS.splitlines())
    assert place_of(stacks[0][0]) == ("imaging/preparing", "prepare")
    text = render_profile("C-STORE", [ROW], stacks)
    for line in ("| store | 60% |", "| imaging | 30% |", "| other | 10% |", "| store/files | `write_all` | 60.0% |"):
        assert line in text
    assert "_worker" not in text
