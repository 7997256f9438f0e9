"""The commands as an operator runs them: processes, exit statuses, what is printed where."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydicom.data import get_testdata_file

from huitong.base.settings import ROWS
from huitong.cli import main

SHORT_OF_NOTHING = ("--keep-free-bytes", "0")


def _run(cwd: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HUITONG_")}
    program = [sys.executable, "-c", "from huitong.cli import main; main()"]
    return subprocess.run(
        [*program, *arguments],
        cwd=cwd,
        env={**clean, "COLUMNS": "100", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


#: Works on no archive.
ALONE = {"simulate"}


def leaves(group: click.Group = main) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield from leaves(command) if isinstance(command, click.Group) else [command] * (command.name not in ALONE)


@pytest.mark.parametrize("command", list(leaves()), ids=lambda command: command.name)
def test_every_setting_is_a_flag_of_every_command(command: click.Command) -> None:
    flags = {option for parameter in command.params for option in parameter.opts}
    assert {"--" + each.replace("_", "-") for each in ROWS} | {"--settings"} <= flags


def test_settings_are_shown_with_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "huitong.toml").write_text('ae_title = "ARCHIVE"\n')
    done = _run(tmp_path, "settings", "--dimse", "4242", "--demo", HUITONG_SETTLE_S="5")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.strip()}
    assert lines["dimse"] == ["127.0.0.1:4242", "flag"]
    assert lines["demo"] == ["yes", "flag"]
    assert lines["settle_s"] == ["5", "environment"]
    assert lines["ae_title"] == ["ARCHIVE", "huitong.toml"]
    assert lines["max_pdu_bytes"] == ["256", "KiB", "default"]


def test_a_mistake_in_the_settings_is_said_without_a_traceback(tmp_path: Path) -> None:
    done = _run(tmp_path, "serve", HUITONG_DATTA="x")
    assert done.returncode == 2
    assert "`datta`, which is no setting; did you mean `data`" in done.stderr
    assert "docs/reference/settings.md" in done.stderr
    assert "Traceback" not in done.stderr


def test_import_verify_and_reindex_work_hand_in_hand(tmp_path: Path) -> None:
    ct, (text) = get_testdata_file("CT_small.dcm"), tmp_path / "a.txt"
    text.write_text("no image")
    assert isinstance(ct, str)
    at = ("--data", str(tmp_path / "data"), *SHORT_OF_NOTHING)

    done = _run(tmp_path, "import", *at, "--demo", "--institution", "TAIYUAN", ct)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:4] == ["objects", "size", "kept", "1"]
    done = _run(tmp_path, "import", *at, "--demo", "--institution", "TAIYUAN", ct, str(text))
    assert done.returncode == 1
    assert "already there" in done.stdout
    assert "refused, 1: This is not a DICOM object that can be read." in done.stdout
    assert str(text) in done.stdout

    done = _run(tmp_path, "verify", *at)
    assert done.returncode == 0, done.stdout
    assert "all is as it should be" in done.stdout
    for index in (tmp_path / "data").glob("index.sqlite*"):
        index.unlink()
    done = _run(tmp_path, "reindex", *at)
    assert done.returncode == 0, done.stdout
    done = _run(tmp_path, "import", *at, "--demo", "--institution", "TAIYUAN", ct)
    assert "already there" in done.stdout

    (pack,) = (path for path in (tmp_path / "data" / "packs").rglob("*.pack") if path.stat().st_size > 30_000)
    damaged = bytearray(pack.read_bytes())
    damaged[20_000] ^= 1
    pack.chmod(0o640)
    pack.write_bytes(damaged)
    done = _run(tmp_path, "verify", *at)
    assert done.returncode == 1
    assert "differs from its digest" in done.stdout


def test_an_import_for_an_unknown_institution_ends_with_status_2(tmp_path: Path) -> None:
    done = _run(tmp_path, "import", "--data", "data", "--institution", "NOBODY", ".", *SHORT_OF_NOTHING)
    assert done.returncode == 2
    assert "NOBODY" in done.stderr
    assert "Traceback" not in done.stderr
