"""`huitong audit verify`: the exit status says whether the record of who looked is as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text
from tests.access.test_auditing import looked, work_of
from tests.archives import archive_in

from huitong.access import auditing
from huitong.cli import main
from huitong.cli.options import ALL_GOOD, COULD_NOT, SOME_WRONG


def verify(folder: Path, *more: str) -> Result:
    return CliRunner().invoke(main, ["audit", "verify", "--data", str(folder), *more])


@pytest.mark.embedded
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
