from __future__ import annotations

import io
import os
import shutil
import struct
import zipfile
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from huitong.base.errors import NotDicom
from huitong.cli.dicomdir import is_dicomdir
from huitong.cli.walk import Member, Refused, printable, walk, why_not
from huitong.cli.zips import ZipRefused, ZipShelf

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
MEDIUM = PYDICOM_FILES / "dicomdirtests"


def _file(name: str) -> Path:
    found = get_testdata_file(name)
    assert isinstance(found, str)
    return Path(found)


def _members(*paths: Path) -> dict[str, bytes]:
    found = {}
    for item in walk(paths):
        if isinstance(item, Member):
            with item.open() as file:
                found[item.name] = file.read()
    return found


def _refused(*paths: Path) -> dict[str, str]:
    return {item.name: item.reason for item in walk(paths) if isinstance(item, Refused)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three objects, one without preamble, in two folders, and what lies beside them on real media."""
    (tmp_path / "b").mkdir()
    shutil.copy(_file("CT_small.dcm"), tmp_path / "b" / "2.dcm")
    shutil.copy(_file("MR_small.dcm"), tmp_path / "b" / "1")
    shutil.copy(_file("no_meta.dcm"), tmp_path / "a.dcm")
    (tmp_path / "README.txt").write_text("these are images")
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "film.avi").write_bytes(b"RIFF" * (5 << 19))
    return tmp_path


def test_a_folder_gives_its_objects_by_name_and_says_why_not_the_rest(folder: Path) -> None:
    names = [str(folder / name) for name in ("README.txt", "a.dcm", "b/1", "b/2.dcm")]
    assert list(_members(folder)) == names  # a small text is left to the archive, which knows better
    assert _members(folder)[str(folder / "b" / "2.dcm")] == _file("CT_small.dcm").read_bytes()
    assert _refused(folder) == {
        str(folder / "empty.dcm"): "is empty",
        str(folder / "film.avi"): str(NotDicom()),
    }


def test_a_file_met_twice_is_given_once(folder: Path) -> None:
    (folder / "again.dcm").symlink_to(folder / "a.dcm")
    assert len(_members(folder, folder / "a.dcm", folder)) == 4


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in _refused(tmp_path / "nothing")[str(tmp_path / "nothing")]


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _refused(tmp_path) == {str(tmp_path / "pipe"): "is no regular file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(folder: Path) -> None:
    (folder / "a.dcm").chmod(0)
    assert "Permission denied" in _refused(folder)[str(folder / "a.dcm")]


def test_every_object_that_pydicom_ships_is_handed_on() -> None:
    dicom = {str(path) for path in PYDICOM_FILES.rglob("*.dcm") if not is_dicomdir(path.read_bytes()[:2048])}
    assert len(dicom) >= 70
    assert dicom <= set(_members(PYDICOM_FILES))


# --- media ---


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nooffset"])
def test_a_dicomdir_stands_for_the_files_that_it_lists(name: str) -> None:
    on_medium = {
        path for part in ("77654033", "98892001", "98892003") for path in (MEDIUM / part).rglob("*") if path.is_file()
    }
    assert {Path(found) for found in _members(MEDIUM / name)} == on_medium
    assert _refused(MEDIUM / name) == {}


def test_a_medium_given_as_folder_gives_each_file_once_and_no_directory() -> None:
    names = list(_members(MEDIUM))
    assert len(names) == len(set(names)) >= 30
    assert not [name for name in names if "DICOMDIR" in name]


def test_names_in_lower_case_with_versions_are_found_as_on_an_iso_9660_mount(tmp_path: Path) -> None:
    for path in MEDIUM.rglob("*"):
        if path.is_file() and path.relative_to(MEDIUM).parts[0] in ("77654033", "DICOMDIR"):
            target = tmp_path / f"{path.relative_to(MEDIUM)}".lower()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target.with_name(target.name + ";1"))
    found = _members(tmp_path / "dicomdir;1")
    assert len(found) == 7
    assert len(_refused(tmp_path / "dicomdir;1")) == 1  # the other two patients' files, one medium: said once by name


def test_files_that_a_dicomdir_lists_and_are_absent_are_said_also_for_a_folder(tmp_path: Path) -> None:
    shutil.copy(MEDIUM / "DICOMDIR", tmp_path)
    reasons = [item.reason for item in walk([tmp_path]) if isinstance(item, Refused)]
    assert len(reasons) == 31
    assert "lists 77654033/CR1/6154, which is not there" in reasons


def test_a_dicomdir_that_leads_outside_its_medium_is_not_followed(tmp_path: Path) -> None:
    directory = pydicom.dcmread(MEDIUM / "DICOMDIR")
    first = next(record for record in directory.DirectoryRecordSequence if "ReferencedFileID" in record)
    with pydicom.config.disable_value_validation():
        first.ReferencedFileID = ["..", "SECRET"]
    (tmp_path / "medium").mkdir()
    shutil.copy(_file("CT_small.dcm"), tmp_path / "SECRET")
    directory.save_as(tmp_path / "medium" / "DICOMDIR")
    assert _members(tmp_path / "medium" / "DICOMDIR") == {}
    reasons = {item.reason for item in walk([tmp_path / "medium"]) if isinstance(item, Refused)}
    assert "lists ../SECRET, which leads outside the medium" in reasons


def test_a_damaged_dicomdir_is_refused(tmp_path: Path) -> None:
    whole = (MEDIUM / "DICOMDIR").read_bytes()
    (tmp_path / "DICOMDIR").write_bytes(whole[:1000] + b"\xff" * 40)
    items = list(walk([tmp_path / "DICOMDIR"]))
    assert not [item for item in items if isinstance(item, Member)]


# --- archives ---


def _zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_gives_its_objects_without_being_unpacked(tmp_path: Path, method: int) -> None:
    content = _file("CT_small.dcm").read_bytes()
    path = _zip(
        tmp_path / "export.zip",
        {"a/1.dcm": content, "DICOMDIR": (MEDIUM / "DICOMDIR").read_bytes(), "x.bin": b"x" * (5 << 20) + b"\1"},
        method,
    )
    assert _members(path) == {f"{path}!a/1.dcm": content}
    assert _refused(path) == {f"{path}!x.bin": str(NotDicom())}
    assert list(tmp_path.iterdir()) == [path]


def test_an_archive_in_a_folder_is_known_by_its_bytes_not_its_name(tmp_path: Path) -> None:
    _zip(tmp_path / "export.dat", {"1": _file("CT_small.dcm").read_bytes()})
    assert list(_members(tmp_path)) == [f"{tmp_path / 'export.dat'}!1"]


def test_an_object_whose_preamble_looks_like_an_archive_is_an_object(tmp_path: Path) -> None:
    content = b"PK\x03\x04" + _file("CT_small.dcm").read_bytes()[4:]
    (tmp_path / "both").write_bytes(content)
    assert _members(tmp_path) == {str(tmp_path / "both"): content}


def test_an_archive_within_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = _zip(tmp_path / "inner.zip", {"1": b"x"}).read_bytes()
    outer = _zip(tmp_path / "outer.zip", {"inner.zip": inner})
    assert _refused(outer) == {f"{outer}!inner.zip": "is an archive within an archive"}


def test_a_damaged_archive_and_a_damaged_member_are_refused(tmp_path: Path) -> None:
    content = _file("CT_small.dcm").read_bytes()
    path = _zip(tmp_path / "a.zip", {"1": content, "2": content}, zipfile.ZIP_STORED)
    whole = bytearray(path.read_bytes())
    (tmp_path / "b.zip").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in _refused(tmp_path / "b.zip")[str(tmp_path / "b.zip")]
    whole[20_000] ^= 1
    path.write_bytes(whole)
    first, second = (item for item in walk([path]) if isinstance(item, Member))
    with pytest.raises(ZipRefused, match="CRC"), first.open() as file:
        file.read()
    with second.open() as file:
        assert file.read() == content


def test_an_archive_that_would_expand_without_bounds_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("zeros", "w", force_zip64=True) as member,
    ):
        for _ in range(64):
            member.write(bytes(1 << 20))
    # The same 64 KB member listed a thousand times: what a bomb of overlapping members does.
    content = path.read_bytes()
    end = content.rindex(b"PK\x05\x06")
    size, start = struct.unpack_from("<II", content, end + 12)
    central = content[start : start + size] * 1000
    path.write_bytes(
        content[:start] + central + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1000, 1000, len(central), start, 0)
    )
    assert len(zipfile.ZipFile(path).infolist()) == 1000
    assert "overlap" in _refused(path)[str(path)]


def test_an_archive_that_claims_too_high_a_ratio_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {f"{n}": bytes(1 << 20) for n in range(3)})
    content = path.read_bytes().replace(struct.pack("<I", 1 << 20), struct.pack("<I", 1 << 30))
    path.write_bytes(content)
    assert "would expand to" in _refused(path)[str(path)]


def test_a_member_that_is_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    content = _file("CT_small.dcm").read_bytes()
    path = _zip(tmp_path / "a.zip", {"1": content})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", len(content)), struct.pack("<I", 3000)))
    assert "CRC" in _refused(path)[f"{path}!1"]


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"1": b"secret" * 100})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert _refused(path) == {f"{path}!1": "is encrypted"}


def test_names_in_gbk_are_readable(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename = "张三/1.dcm".encode("gbk").decode("cp437")
        info.flag_bits = 0
        archive.writestr(info, _file("CT_small.dcm").read_bytes())
    raw = path.read_bytes().replace(info.filename.encode(), "张三/1.dcm".encode("gbk"))
    assert ZipShelf.readable_name(info) == "张三/1.dcm"
    assert raw


def test_many_archives_read_in_turn_stay_readable_while_others_open(tmp_path: Path) -> None:
    content = _file("CT_small.dcm").read_bytes()
    for number in range(12):
        _zip(tmp_path / f"{number:02}.zip", {"1": content})
    opened = [item.open() for item in walk([tmp_path]) if isinstance(item, Member)]
    streams = [each.__enter__() for each in opened]
    assert [stream.read() for stream in streams] == [content] * 12
    for each in opened:
        each.__exit__(None, None, None)


# --- words ---


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张三.dcm", "张三.dcm"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("new\nline", "new\\nline"),
        ("\udcff", "\\udcff"),
        ("\u202edcm", "\\u202edcm"),
    ],
)
def test_a_name_cannot_command_the_terminal(name: str, expected: str) -> None:
    assert printable(name) == expected


@given(st.binary(max_size=300))
def test_a_large_file_with_the_prefix_is_handed_on_and_one_that_begins_as_text_is_not(noise: bytes) -> None:
    assert why_not(noise.ljust(128, b"\0")[:128] + b"DICM" + noise, 1 << 30) is None
    assert why_not(b"Text " + noise[:100], 1 << 30) == str(NotDicom())
    assert why_not(b"Text " + noise[:100], 1 << 10) is None


@given(st.binary(max_size=600))
def test_any_bytes_as_an_archive_are_read_or_refused(noise: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("1", b"content")
    whole = bytearray(buffer.getvalue())
    for position, byte in enumerate(noise[: len(whole)]):
        if byte > 200:
            whole[position % len(whole)] = byte
    path = Path(f"/tmp/huitong-test-{os.getpid()}.zip")
    path.write_bytes(whole)
    try:
        for item in walk([path]):
            assert isinstance(item, Member | Refused)
    finally:
        path.unlink()
