"""Every real file through the DICOMweb door: kept, found, given back byte for byte, its frames and bulk values too."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin

import httpx
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import UID
from tests.serving import Server, serving
from tests.shared_files import shared

from huitong.base.errors import HuitongError
from huitong.imaging.attributes import Identity, identity
from huitong.wire.dicom.scan import scan

pytestmark = pytest.mark.shared

AS_STORED = {"Accept": "application/octet-stream; transfer-syntax=*"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("files")) as running:
        yield running


@pytest.fixture(scope="module")
def kept(server: Server) -> dict[Identity, list[bytes]]:
    """The files that have the UIDs to be filed by, several under some; all sent in one request."""
    files = sorted(path for path in shared("dicom").rglob("*") if path.is_file() and path.suffix in (".dcm", ""))
    contents = [path.read_bytes() for path in files]
    found: dict[Identity, list[bytes]] = {}
    for content in contents:
        try:
            found.setdefault(identity(scan(content).header), []).append(content)
        except HuitongError:
            continue
    answer = server.stow(*contents, allowed=(200, 202)).json()
    stored = {item["00081155"]["Value"][0] for item in answer["00081199"]["Value"]}
    assert stored == {each.sop_instance_uid for each in found}
    return found


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.dicomweb}/", timeout=60) as client:
        yield client


def path_of(each: Identity) -> str:
    return f"studies/{each.study_uid}/series/{each.series_uid}/instances/{each.sop_instance_uid}"


def test_every_file_comes_back_byte_for_byte(kept: dict[Identity, list[bytes]], web: httpx.Client) -> None:
    for each, contents in kept.items():
        assert web.get(path_of(each)).content in contents, path_of(each)


def test_every_study_is_found(kept: dict[Identity, list[bytes]], web: httpx.Client) -> None:
    rows = web.get("studies?limit=1000").json()
    assert {row["0020000D"]["Value"][0] for row in rows} == {each.study_uid for each in kept}


def first_frame(content: bytes) -> bytes | None:
    """What pydicom takes for the first frame as stored; None where it finds none or is unsure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(io.BytesIO(content), force=True)
        syntax = UID(ds.file_meta.get("TransferSyntaxUID", ""))
        if (
            "PixelData" not in ds
            or not syntax.is_transfer_syntax
            or syntax.is_deflated
            or not ds.get("BitsAllocated", 1) >= 8
        ):
            return None
        try:
            frames = int(ds.get("NumberOfFrames") or 1)
        except ValueError:
            return None
        if syntax.is_encapsulated:
            return bytes(next(generate_frames(ds.PixelData, number_of_frames=frames)))
        size = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated // 8
        if ds.PhotometricInterpretation == "YBR_FULL_422":
            size = size // 3 * 2
        return bytes(ds.PixelData[:size]) if len(ds.PixelData) >= size * frames else None


def test_the_first_frame_is_where_pydicom_finds_it(kept: dict[Identity, list[bytes]], web: httpx.Client) -> None:
    compared = 0
    for each, content in _of_each_series(kept, web):
        expected = first_frame(content)
        if expected is not None:
            answer = web.get(f"{path_of(each)}/frames/1", headers=AS_STORED)
            assert answer.content == expected, path_of(each)
            compared += 1
    assert compared > 80


def test_every_bulk_address_leads_to_its_bytes(kept: dict[Identity, list[bytes]], web: httpx.Client) -> None:
    compared = 0
    for each, content in _of_each_series(kept, web):
        url = f"{web.base_url}{path_of(each)}/metadata"
        found = scan(content)
        for address in _addresses(web.get(url).json()[0]):
            answer = web.get(urljoin(url, address))
            assert answer.status_code == 200, address
            place = found.bulk.get(address.rpartition("/")[2])
            in_fragments = found.frames is not None and found.frames.encapsulated
            if place is not None and not found.deflated and not in_fragments:
                assert answer.content == content[place[0] : place[0] + place[1]], address
                compared += 1
    assert compared > 50


def _of_each_series(kept: Iterable[Identity], web: httpx.Client) -> Iterator[tuple[Identity, bytes]]:
    """One instance of each series, as it is served: the others of a series are alike."""
    for each in {each.series_uid: each for each in kept}.values():
        yield each, web.get(path_of(each)).content


def _addresses(header: dict[str, Any]) -> Iterator[str]:
    for element in header.values():
        if "BulkDataURI" in element:
            yield element["BulkDataURI"]
        for item in element.get("Value") or [] if element.get("vr") == "SQ" else []:
            yield from _addresses(item)
