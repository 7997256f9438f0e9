from __future__ import annotations

import zipfile
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from tests.shared_files import shared

from huitong.app import open_archive
from huitong.base.errors import NotAllowed, StoreFull
from huitong.base.settings import Settings
from huitong.cli.importing import Tally, import_members
from huitong.cli.walk import walk
from huitong.imaging.actions import find
from huitong.imaging.model import Outcome
from huitong.wire.query import Level, Query


def _settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings(data=tmp_path / "data", demo=True, keep_free_bytes=0, **changes)  # type: ignore[arg-type]


async def _import(settings: Settings, *paths: Path, institution: str = "TAIYUAN") -> Tally:
    tally = Tally()
    done: list[int] = []
    async with open_archive(settings) as archive:
        await import_members(archive.access.local(institution), walk(paths), tally, done.append)
    return tally


def _file(name: str) -> Path:
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


async def test_what_is_imported_is_found_and_sending_it_again_does_nothing(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    first = await _import(settings, _file("CT_small.dcm"), _file("MR_small.dcm"))
    assert first.outcomes == {Outcome.KEPT: 2}
    assert first.size_bytes[Outcome.KEPT] == _file("CT_small.dcm").stat().st_size + _file("MR_small.dcm").stat().st_size
    again = await _import(settings, _file("CT_small.dcm"), _file("MR_small.dcm"))
    assert again.outcomes == {Outcome.ALREADY: 2}
    async with open_archive(settings) as archive:
        found = find(archive.access.local(), Query(Level.STUDY))
    assert {row["0020000D"]["Value"][0] for row in found.rows} == first.studies  # type: ignore[index]


async def test_the_same_uid_with_other_bytes_is_kept_beside(tmp_path: Path) -> None:
    other = pydicom.dcmread(_file("CT_small.dcm"))
    other.StudyDescription = "another"
    other.save_as(tmp_path / "other.dcm")
    tally = await _import(_settings(tmp_path), _file("CT_small.dcm"), tmp_path / "other.dcm")
    assert sum(tally.outcomes.values()) == 2
    assert tally.outcomes[Outcome.VARIANT] == 1


async def test_the_refused_cost_the_good_ones_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "torn.dcm").write_bytes(_file("CT_small.dcm").read_bytes()[:200])
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(_file("CT_small.dcm"), "CT/1.dcm")
        archive.writestr("CT/notes.txt", "no image")
    tally = await _import(_settings(tmp_path), tmp_path / "notes.txt", tmp_path / "torn.dcm", tmp_path / "export.zip")
    assert tally.outcomes == {Outcome.KEPT: 1}
    names = {Path(name).name for names in tally.refused.values() for name in names}
    assert names == {"notes.txt", "torn.dcm"}
    assert tally.refused_count == 3


async def test_an_object_larger_than_the_archive_takes_is_refused_with_the_reason(tmp_path: Path) -> None:
    large = tmp_path / "large.dcm"
    large.write_bytes(_file("CT_small.dcm").read_bytes() + bytes(2 << 20))
    tally = await _import(_settings(tmp_path, max_instance_bytes=1 << 20), large, _file("CT_small.dcm"))
    assert tally.outcomes == {Outcome.KEPT: 1}
    assert [reason for reason in tally.refused if "larger than this archive accepts" in reason]


async def test_an_archive_without_room_stops_the_import_instead_of_refusing_everything(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", demo=True, keep_free_bytes=1 << 60)
    tally = await _import(settings, _file("CT_small.dcm"), _file("MR_small.dcm"))
    assert isinstance(tally.stopped_by, StoreFull)
    assert tally.outcomes == {}
    assert tally.refused_count == 0


async def test_an_institution_that_the_directory_does_not_know_may_not_be_named(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        await _import(_settings(tmp_path), _file("CT_small.dcm"), institution="NOBODY")


@pytest.mark.shared
async def test_a_disc_is_imported_whole_by_its_directory(tmp_path: Path) -> None:
    tally = await _import(_settings(tmp_path), shared("dicom", "dicomdir", "DICOMDIR"))
    assert (tally.outcomes, tally.refused_count) == ({Outcome.KEPT: 31}, 0)
