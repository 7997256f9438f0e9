"""`huitong directory` as an operator uses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests import homes
from tests.archives import archive_in, settings_for
from tests.serving import huitong

from huitong import app
from huitong.cli.demo_directory import load_demo_directory
from huitong.directory import actions

GOOD = "机构代码,机构名称,等级\nA,甲医院,三甲\nB,乙医院,二甲\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "机构.csv"
    path.write_bytes(GOOD.encode("gb18030"))
    return path


def test_a_file_is_loaded_said_again_to_change_nothing_and_shown(tmp_path: Path, file: Path) -> None:
    data = str(tmp_path / "data")
    dry = huitong("directory", "load", str(file), "--dry-run", "--data", data)
    assert (dry.returncode, "added 2" in dry.stdout, "dry run" in dry.stdout) == (0, True, True)
    first = huitong("directory", "load", str(file), "--data", data)
    assert (first.returncode, "added 2" in first.stdout) == (0, True)
    again = huitong("directory", "load", str(file), "--data", data)
    assert (again.returncode, "unchanged 2" in again.stdout, "目录未改变" in again.stdout) == (0, True, True)
    shown = huitong("directory", "show", "--data", data)
    assert shown.returncode == 0
    assert "甲医院" in shown.stdout
    assert shown.stdout.count("机构.csv") == 2


def test_a_refused_line_is_named_and_the_exit_status_says_so(tmp_path: Path, file: Path) -> None:
    file.write_text(GOOD + "C,丙医院,四级\n", "utf-8")
    said = huitong("directory", "load", str(file), "--data", str(tmp_path / "data"))
    assert (said.returncode, "added 2" in said.stdout, "refused 1" in said.stdout) == (1, True, True)
    assert "四级" in said.stdout


def test_what_cannot_be_read_is_an_error(tmp_path: Path, file: Path) -> None:
    file.write_text("a,b\n", "utf-8")
    said = huitong("directory", "load", str(file), "--data", str(tmp_path / "data"))
    assert (said.returncode, "表头无法识别" in said.stderr) == (2, True)
    assert huitong("directory", "load", str(file), "--kind", "people", "--data", str(tmp_path / "d")).returncode == 2


@pytest.mark.embedded
def test_a_folder_without_an_archive_is_not_shown(tmp_path: Path) -> None:
    assert huitong("directory", "show", "--data", str(tmp_path / "nothing")).returncode == 2


@pytest.mark.embedded
@pytest.mark.scaled
def test_a_store_that_moves_takes_its_directory_along_and_goes_on_counting(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    load_demo_directory(settings)
    with archive_in(tmp_path / "data"):
        pass  # the folder of packs is made
    moved = replace(settings, database=homes.new_database(migrated=False))
    app.move_store(settings, moved.database, "", quick=True, progress=lambda done, total: None)
    rows, loads = app.show_directory(moved)
    assert ([row.code for row in rows], len(loads)) == (["TAIYUAN", "YC_DONGCUN", "YC_XIECHI", "YUNCHENG"], 6)
    assert app.load_directory(moved, "new.csv", GOOD.encode(), None, dry_run=False).pk == 7


def test_the_demo_has_its_directory_and_a_second_start_leaves_no_reports(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for _ in range(2):
        load_demo_directory(settings_for(folder))
    with archive_in(folder) as archive:
        assert len(actions.load_reports(archive.reader)) == 6
        page = actions.institution_page(archive.reader, "TAIYUAN")
        assert (page.institution.level, len(page.certificates)) == ("3A", 3)


def test_reindexing_keeps_the_directory(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    load_demo_directory(settings_for(folder))
    assert huitong("reindex", "--data", str(folder)).returncode == 0
    with archive_in(folder) as archive:
        assert actions.find_institutions(archive.reader)[0] == 4
