"""`huitong audit verify`: the exit status says whether the record of who looked is as it was written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from tests.access.test_auditing import looked, work_of
from tests.archives import archive_in
from tests.homes import with_flags

from huitong.access import auditing
from huitong.cli import main
from huitong.cli.options import ALL_GOOD, COULD_NOT, SOME_WRONG


def audit(folder: Path, command: str, *more: str) -> Result:
    flags = with_flags(["--data", str(folder), "--demo", "--log-level", "error"])
    return CliRunner().invoke(main, ["audit", command, *flags, *more])


def verify(folder: Path, *more: str) -> Result:
    return audit(folder, "verify", *more)


def offline(*more: str | Path) -> Result:
    """No store, no setting."""
    return CliRunner().invoke(main, ["audit", "verify", *map(str, more)])


def test_it_names_the_first_line_that_was_touched_and_a_kept_head_shows_a_cut_end(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        for number in range(3):
            auditing.record(work_of(archive), looked(number))
    sound = verify(tmp_path)
    assert sound.exit_code == ALL_GOOD
    head = sound.stdout.split()[-1]
    assert head.startswith("3:")
    assert verify(tmp_path, "--head", head).exit_code == ALL_GOOD
    with archive_in(tmp_path) as archive, archive.store.database.write() as tx:
        tx.execute(text("DELETE FROM audit WHERE seq = 3"))
    assert verify(tmp_path).exit_code == ALL_GOOD
    assert verify(tmp_path, "--head", head).exit_code == SOME_WRONG
    with archive_in(tmp_path) as archive, archive.store.database.write() as tx:
        tx.execute(text("UPDATE audit SET allowed = 0 WHERE seq = 2"))
    touched = verify(tmp_path)
    assert touched.exit_code == SOME_WRONG
    assert "line 2" in touched.stdout


@pytest.mark.parametrize("head", [f"0:{'0' * 64}", "3", f"x:{'0' * 64}", "3:abc"])
def test_a_head_that_none_can_be_is_refused(tmp_path: Path, head: str) -> None:
    with archive_in(tmp_path):
        pass
    assert verify(tmp_path, "--head", head).exit_code == COULD_NOT


def test_a_head_that_was_kept_and_a_file_prove_to_others_what_the_store_was(tmp_path: Path) -> None:
    data, file, kept = tmp_path / "data", tmp_path / "audit.jsonl", tmp_path / "kept"
    with archive_in(data) as archive:
        assert audit(data, "head").exit_code == COULD_NOT
        for number in range(5):
            auditing.record(work_of(archive), looked(number))
    made, key = audit(data, "head"), audit(data, "key").stdout.strip()
    kept.write_text(made.stdout, "utf-8")
    assert made.stdout.startswith("huitong/audit\n5\n")
    said = audit(data, "export", "--file", str(file))
    assert (said.exit_code, said.stdout) == (ALL_GOOD, "6 lines, 1 to 6\n")  # that it was exported, too
    sound = offline("--file", file, "--heads", kept, "--key", key)
    assert sound.exit_code == ALL_GOOD, sound.output
    assert "6 lines, all as they were written" in sound.stdout
    assert "2 heads agree: 2 signed by a key we know, 1 kept elsewhere; 1 lines are of no head" in sound.stdout
    assert verify(data, "--heads", str(kept), "--key", key).exit_code == ALL_GOOD
    with archive_in(data) as archive:
        assert auditing.lines(archive.store)[0].looked.kind == "audit export"
        with archive.store.database.write() as tx:
            tx.execute(text("DELETE FROM audit WHERE seq > 3"))
            tx.execute(text("DELETE FROM audit_head"))
    assert verify(data).exit_code == ALL_GOOD
    cut = verify(data, "--heads", str(kept))
    assert cut.exit_code == SOME_WRONG
    assert "lines after 3 were removed: the head that was kept is of 5 lines" in cut.stdout
    file.write_text(file.read_text("utf-8").replace('"line":2,', '"line":2,"x":1,').replace("HT3", "HT7"), "utf-8")
    touched = offline("--file", file)
    assert touched.exit_code == SOME_WRONG
    assert touched.stdout.startswith("line 4 was altered, removed or put in; 3 lines before it")


def test_days_are_chinas_and_numbers_and_days_do_not_mix(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "file"
    with archive_in(data) as archive:
        for hour in (15, 17):  # 23:00 of the day, and 01:00 of the next
            work = replace(work_of(archive), clock=lambda hour=hour: datetime(2026, 11, 1, hour, tzinfo=UTC))
            auditing.record(work, looked())
    said = audit(data, "export", "--file", str(file), "--since", "2026-11-01", "--until", "2026-11-01")
    assert said.stdout == "1 lines, 1 to 1\n"
    assert audit(data, "export", "--file", str(file), "--first", "2", "--last", "2").stdout == "1 lines, 2 to 2\n"
    assert offline("--file", file).exit_code == ALL_GOOD
    for wrong in (("--first", "1", "--since", "2026-11-01"), ("--first", "99"), ("--since", "2027-01-01")):
        assert audit(data, "export", "--file", str(file), *wrong).exit_code == COULD_NOT


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for wrong in (
        ("--file", "absent"), ("--file", "file"), ("--file", "file", "--head", f"1:{'0' * 64}"), ("--heads", "file"),
        ("--key", "x"),
    ):  # fmt: skip
        paths = [str(tmp_path / each) if each in ("file", "absent") else each for each in wrong]
        assert offline(*paths).exit_code == COULD_NOT
    with archive_in(tmp_path / "data"):
        pass
    plain = CliRunner().invoke(main, ["audit", "key", "--data", str(tmp_path / "data")])
    assert plain.exit_code == COULD_NOT
