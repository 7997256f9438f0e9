"""File meta information: what pydicom reads of what we write, and what we make of what is missing."""

from __future__ import annotations

import io

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.dicom.part10 import EXPLICIT_LE, file_prefix, read_file_meta

CT = "1.2.840.10008.5.1.4.1.1.2"
_UIDS = st.from_regex(r"1\.2(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


@given(_UIDS, st.text("ABCDEFGHIJ _0123", max_size=16), st.text("HUITONG 0.1", max_size=16))
def test_a_prefix_is_read_by_pydicom_and_by_us(uid: str, ae_title: str, version: str) -> None:
    prefix = file_prefix(
        CT,
        uid,
        EXPLICIT_LE,
        implementation_class_uid="1.2.3.4",
        implementation_version_name=version,
        source_ae_title=ae_title,
    )
    meta = pydicom.dcmread(io.BytesIO(prefix)).file_meta
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == uid
    assert meta.TransferSyntaxUID == EXPLICIT_LE
    assert meta.ImplementationClassUID == "1.2.3.4"
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.get("ImplementationVersionName", "") == version.rstrip()
    assert meta.get("SourceApplicationEntityTitle", "") == ae_title.strip()
    assert meta.FileMetaInformationGroupLength == len(prefix) - 144
    ours = read_file_meta(prefix + b"\x08\0\x05\0")
    assert (ours.offset, ours.transfer_syntax_uid, ours.marked) == (len(prefix), EXPLICIT_LE, True)


def _with_a_data_set() -> bytes:
    return file_prefix(CT, "1.2.3", EXPLICIT_LE, implementation_class_uid="1.2.3.4") + b"\x08\0\x60\0CS\x02\0CT"


def test_the_preamble_may_be_missing() -> None:
    data = _with_a_data_set()
    assert read_file_meta(data[128:]).offset == len(data) - 138
    assert read_file_meta(data[132:]).offset == len(data) - 142
    assert read_file_meta(data[132:]).transfer_syntax_uid == EXPLICIT_LE


@pytest.mark.parametrize("wrong", [0, 1, 0xFFFFFFFF])
def test_a_wrong_group_length_does_no_harm(wrong: int) -> None:
    data = _with_a_data_set()
    data = data[:140] + wrong.to_bytes(4, "little") + data[144:]
    assert read_file_meta(data).offset == len(data) - 10


@given(st.binary(max_size=300))
def test_any_octets_have_some_file_meta(data: bytes) -> None:
    assert 0 <= read_file_meta(b"\0" * 128 + b"DICM" + data).offset <= 132 + len(data)
    assert 0 <= read_file_meta(data).offset <= len(data)
