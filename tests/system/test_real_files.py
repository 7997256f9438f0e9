"""Every real file beside the clone goes in by both doors, is found, and comes out as it was: bytes, header, frames."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urljoin

import httpx
import pydicom
import pytest
from tests.serving import Server, serving
from tests.shared_files import shared
from tests.wire.dicom.dicom_oracle import differences, read, their_json

from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, SendingFailed, association
from huitong.wire.dicom.part10 import EXPLICIT_LE, read_file_meta

pytestmark = [pytest.mark.shared, pytest.mark.filterwarnings("ignore::UserWarning:pydicom")]
#: Read by pydicom otherwise than by us, with the reasons in tests/wire/dicom/test_scan_real_files.py.
DAMAGED = {"rtplan_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


@dataclass(frozen=True)
class Real:
    """A file, and where an archive has to file it."""

    path: Path
    data: bytes
    study: str
    series: str
    instance: str

    @property
    def url(self) -> str:
        parts = ("studies", self.study, "series", self.series, "instances", self.instance)
        return "/".join(quote(part) for part in parts)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data[read_file_meta(self.data).offset :]).hexdigest()


def _files() -> Iterator[tuple[Path, bytes, list[str]]]:
    for path in sorted(shared("dicom").rglob("*")):
        if path.is_file() and path.suffix not in {".tsv", ".txt", ".md"}:
            data = path.read_bytes()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                header = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
                yield path, data, [str(header.get(uid) or "") for uid in UIDS]


@pytest.fixture(scope="module")
def files() -> list[Real]:
    """Those that say what they are."""
    return [Real(path, data, *uids[:3]) for path, data, uids in _files() if all(uids)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: list[Real]) -> Iterator[Server]:
    """TAIYUAN has sent everything over STOW-RS, YUNCHENG what can be sent over C-STORE."""
    with serving(tmp_path_factory.mktemp("real") / "data") as running:
        for at in range(0, len(files), 50):
            running.stow(*(each.data for each in files[at : at + 50]))
        yield running
        _client.close()


#: One connection for thousands of requests.
_client = httpx.Client(timeout=60)


def _get(server: Server, path: str, accept: str) -> bytes:
    answer = _client.get(f"{server.base}{path}", headers={"Accept": accept})
    assert answer.status_code == 200, (path, answer.text[:300])
    return answer.content


def _stored(server: Server, each: Real, institution: str) -> bytes:
    """The file's own content, wherever its UIDs stand more than once."""
    whole = _get(server, f"/dicom-web/at/{institution}/{each.url}", "application/dicom; transfer-syntax=*")
    if whole.endswith(each.data[read_file_meta(each.data).offset :]):
        return whole
    return _get(server, f"/study/{institution}/{quote(each.study)}/version/{each.sha256}", "*/*")


def test_there_are_hundreds(files: list[Real]) -> None:
    assert len(files) > 780


def test_what_lacks_a_uid_is_refused_and_the_rest_of_its_request_kept(server: Server) -> None:
    nameless = [data for _, data, uids in _files() if not all(uids)]
    assert nameless
    ct = pydicom.data.get_testdata_file("CT_small.dcm", read=False)
    answer = server.stow(*nameless, Path(str(ct)).read_bytes(), allowed=(202,)).json()
    # Those with a SOP Instance UID are named; the others are told of without one (PS3.18 table I.2-1).
    assert len(answer["00081198"]["Value"]) + len(answer["0008119A"]["Value"]) == len(nameless)
    assert len(answer["00081199"]["Value"]) == 1


def test_over_stow_every_file_comes_back_byte_for_byte(server: Server, files: list[Real]) -> None:
    same_data_set: dict[str, set[bytes]] = {}
    for each in files:
        same_data_set.setdefault(each.sha256, set()).add(each.data)
    # Where files differ in nothing but their file meta information, it is one object, and the first is kept (ADR 0006).
    assert [e.path.name for e in files if _stored(server, e, "TAIYUAN") not in same_data_set[e.sha256]] == []
    assert sum(len(same) > 1 for same in same_data_set.values()) == 1


@pytest.mark.timeout(400)
def test_over_cstore_every_data_set_comes_back_byte_for_byte(server: Server, files: list[Real]) -> None:
    sendable = [(each, sent) for each in files if (sent := _as_sent(each.data)) is not None]
    assert len(sendable) > 780
    to = Address("127.0.0.1", server.dimse_port)
    for at in range(0, len(sendable), 100):
        group = sendable[at : at + 100]
        kinds = {(sent.sop_class_uid, sent.transfer_syntax_uid) for _, sent in group}
        with association(to, "YUNCHENG", "HUITONG", sorted(kinds)) as storer:
            for each, sent in group:
                try:
                    storer.store(sent)
                except SendingFailed as e:
                    pytest.fail(f"{each.path.name}: {e}")
    for each, sent in sendable:
        assert _stored(server, each, "YUNCHENG").endswith(sent.content[sent.data_set_at :]), each.path.name


def _as_sent(data: bytes) -> Part10 | None:
    """The file as a C-STORE has it; None for one without usable file meta information."""
    meta = read_file_meta(data)
    header = pydicom.dcmread(
        io.BytesIO(data), force=True, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"]
    )
    ids = header.get("SOPClassUID"), header.get("SOPInstanceUID")
    if meta.transfer_syntax_uid is None or not all(ids):
        return None
    return Part10(data, str(ids[0]), str(ids[1]), meta.transfer_syntax_uid or EXPLICIT_LE, meta.offset)


@pytest.mark.timeout(400)
def test_metadata_with_its_bulk_data_is_what_pydicom_reads(server: Server, files: list[Real]) -> None:
    wrong, seen = {}, set()
    for each in files:
        whole = _get(server, f"/dicom-web/at/TAIYUAN/{each.url}", "application/dicom; transfer-syntax=*")
        if each.path.name in DAMAGED or each.url in seen or whole != each.data:
            continue
        seen.add(each.url)
        url = f"{server.base}/dicom-web/at/TAIYUAN/{each.url}/metadata"
        (ours,) = _client.get(url, headers={"Accept": "application/dicom+json"}).json()
        theirs = their_json(read(each.data))
        for header in (ours, theirs):  # a viewer asks for frames; they are compared byte for byte elsewhere
            header.pop("7FE00010", None)
        if lines := list(differences(_inlined(ours, url), theirs)):
            wrong[each.path.name] = lines[:5]
    assert wrong == {}
    assert len(seen) > 700


def _inlined(header: dict[str, dict[str, object]], base: str) -> dict[str, dict[str, object]]:
    """Each BulkDataURI replaced by what it gives."""
    found = {}
    for tag, element in header.items():
        copy = dict(element)
        if (uri := copy.pop("BulkDataURI", None)) is not None:
            value = _client.get(urljoin(base, str(uri)), headers={"Accept": "application/octet-stream"})
            assert value.status_code == 200, value.text
            copy["InlineBinary"] = base64.b64encode(value.content).decode()
        elif copy["vr"] == "SQ" and "Value" in copy:
            copy["Value"] = [_inlined(item, base) for item in copy["Value"]]  # type: ignore[attr-defined]
        found[tag] = copy
    return found


def test_every_study_is_found_by_its_uid_its_patient_and_in_the_list(server: Server, files: list[Real]) -> None:
    with httpx.Client(base_url=f"{server.dicomweb}/at/TAIYUAN") as client:
        for study in {each.study for each in files}:
            (row,) = client.get("/studies", params={"StudyInstanceUID": study}).json()
            assert row["0020000D"]["Value"] == [study]
            if patient := row["00100020"].get("Value"):
                found = client.get("/studies", params={"PatientID": patient[0], "limit": 1000}).json()
                assert study in {each["0020000D"]["Value"][0] for each in found}


@pytest.mark.parametrize("query", ["*小东*", "*xiaodong*", "wxd", "王*"])
def test_the_same_chinese_name_in_every_character_set_is_found(server: Server, query: str) -> None:
    found = httpx.get(f"{server.dicomweb}/studies", params={"PatientName": query, "fuzzymatching": "true"}).json()
    assert found
