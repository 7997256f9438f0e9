"""The DICOMweb door over real sockets: one server for all tests, each with studies of its own."""

from __future__ import annotations

import gzip
import io
import json
import socket
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid
from tests.objects import dataset, part10
from tests.serving import Server, serving

from huitong.wire.multipart import MultipartReader, PartBegin, PartData, boundary_of

TOKEN = {"Authorization": "Bearer demo-TAIYUAN"}
ALL = "multipart/related; type=application/octet-stream; transfer-syntax=*"
DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("dicomweb")) as running:
        yield running


@pytest.fixture(scope="module")
def web(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.dicomweb}/", timeout=30) as client:
        yield client


class Study:
    """A study of several slices in one series, sent."""

    def __init__(self, server: Server, slices: int = 3, institution: str = "TAIYUAN", **attributes: object) -> None:
        self.uid, self.series = generate_uid(), generate_uid()
        same = {"StudyInstanceUID": self.uid, "SeriesInstanceUID": self.series, **attributes}
        self.datasets = [dataset(InstanceNumber=n + 1, **same) for n in range(slices)]
        self.files = [part10(each) for each in self.datasets]
        self.sops = [str(each.SOPInstanceUID) for each in self.datasets]
        self.path = f"studies/{self.uid}"
        self.series_path = f"{self.path}/series/{self.series}"
        server.stow(*self.files, institution=institution)

    def instance(self, number: int = 0) -> str:
        return f"{self.series_path}/instances/{self.sops[number]}"


def sent(server: Server, ds: Dataset) -> str:
    """The path of an object, sent."""
    file = part10(ds)
    server.stow(file)
    return f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def parts_of(answer: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    reader = MultipartReader(boundary_of(answer.headers["content-type"]))
    parts: list[tuple[dict[str, str], bytes]] = []
    for event in reader.feed(answer.content):
        if isinstance(event, PartBegin):
            parts.append((dict(event.headers), b""))
        elif isinstance(event, PartData):
            parts[-1] = (parts[-1][0], parts[-1][1] + bytes(event.data))
    reader.finish()
    return parts


def multipart(*files: bytes, boundary: str = "B-1", head: bytes = b"Content-Type: application/dicom") -> bytes:
    parts = [b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary.encode(), head, each) for each in files]
    return b"".join(parts) + b"--%s--\r\n" % boundary.encode()


def problem(answer: httpx.Response) -> dict[str, object]:
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == answer.status_code
    return document


# --- storing ---


def test_what_is_stored_comes_back_byte_for_byte(server: Server, web: httpx.Client) -> None:
    study = Study(server)
    answer = web.get(study.instance())
    assert answer.content == study.files[0]
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    for path in (study.path, study.series_path):
        answer = web.get(path, headers={"Accept": DICOM_PARTS})
        assert int(answer.headers["content-length"]) == len(answer.content)
        assert [body for _, body in parts_of(answer)] == study.files


def test_the_answer_names_what_was_stored_and_where(server: Server, web: httpx.Client) -> None:
    study = Study(server)
    answer = server.stow(*study.files)
    response = Dataset.from_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in response.ReferencedSOPSequence] == study.sops
    assert web.get(response.ReferencedSOPSequence[1].RetrieveURL).content == study.files[1]
    assert web.get(response.RetrieveURL, headers={"Accept": DICOM_PARTS}).status_code == 200


@pytest.mark.parametrize(
    ("content_type", "head"),
    [
        ('multipart/related; type="application/dicom"; boundary="B-1"', b"content-type:application/dicom"),
        ("multipart/related; boundary=B-1; type=application/dicom", b"CONTENT-TYPE: Application/DICOM; a=b"),
        (
            "Multipart/Related;Boundary=B-1",
            b"Content-Length: 5\r\nContent-Type: application/dicom\r\nX: 1.0",
        ),
        ("multipart/related; boundary=B-1; type=application/dicom", b"X-Nothing: x"),
    ],
)
def test_any_spelling_of_the_envelope_is_understood(web: httpx.Client, content_type: str, head: bytes) -> None:
    file = part10()
    answer = web.post("studies", content=multipart(file, head=head), headers={**TOKEN, "Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    assert web.get(answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]).content == file


def test_a_bad_instance_does_not_cost_the_good_ones(web: httpx.Client) -> None:
    good, other = part10(), part10()
    nameless = part10(dataset(StudyInstanceUID=None, SOPInstanceUID="1.2.3.4"))
    body = multipart(good, b"this is no DICOM", nameless, other)
    answer = web.post("studies", content=body, headers={**TOKEN, "Content-Type": "multipart/related; boundary=B-1"})
    assert answer.status_code == 202
    response = Dataset.from_json(answer.json())
    assert len(response.ReferencedSOPSequence) == 2
    assert [item.ReferencedSOPInstanceUID for item in response.FailedSOPSequence] == ["1.2.3.4"]
    assert response.FailedSOPSequence[0].FailureReason == 0xA900
    assert [item.FailureReason for item in response.OtherFailuresSequence] == [0xC000]


def test_a_request_of_bad_instances_only_is_a_conflict(web: httpx.Client) -> None:
    headers = {**TOKEN, "Content-Type": "multipart/related; boundary=B-1"}
    answer = web.post("studies", content=multipart(b"nonsense"), headers=headers)
    assert answer.status_code == 409
    assert "00081199" not in answer.json()


def test_instances_of_another_study_are_not_taken_for_this_one(web: httpx.Client) -> None:
    here, elsewhere = dataset(), dataset()
    answer = web.post(
        f"studies/{here.StudyInstanceUID}",
        content=multipart(part10(here), part10(elsewhere)),
        headers={**TOKEN, "Content-Type": "multipart/related; boundary=B-1"},
    )
    assert answer.status_code == 202
    failed = Dataset.from_json(answer.json()).FailedSOPSequence
    assert [item.ReferencedSOPInstanceUID for item in failed] == [elsewhere.SOPInstanceUID]
    assert web.get(f"studies/{elsewhere.StudyInstanceUID}").status_code == 404


def test_xml_is_answered_where_it_is_asked_for(web: httpx.Client) -> None:
    headers = {**TOKEN, "Content-Type": "multipart/related; boundary=B-1", "Accept": "application/dicom+xml"}
    answer = web.post("studies", content=multipart(part10()), headers=headers)
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert b"ReferencedSOPSequence" in answer.content


def test_one_bare_instance_is_taken_too(web: httpx.Client) -> None:
    file = part10()
    answer = web.post("studies", content=file, headers={**TOKEN, "Content-Type": "application/dicom"})
    assert answer.status_code == 200
    assert web.get(answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]).content == file


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "multipart/related; boundary=B-1"}, 401),
        ({"Content-Type": "multipart/related; boundary=B-1", "Authorization": "Basic eDp5"}, 401),
        ({"Content-Type": "multipart/related; boundary=B-1", "Authorization": "Bearer demo-NOBODY"}, 403),
        ({**TOKEN, "Content-Type": "application/json"}, 415),
        ({**TOKEN, "Content-Type": 'multipart/related; type="application/dicom+json"; boundary=B-1'}, 415),
        ({**TOKEN, "Content-Type": "multipart/form-data; boundary=B-1"}, 415),
        ({**TOKEN, "Content-Type": "multipart/related"}, 400),
        ({**TOKEN, "Content-Type": "multipart/related; boundary=Other"}, 400),
        ({**TOKEN}, 415),
    ],
)
def test_requests_that_cannot_be_taken_say_why(web: httpx.Client, headers: dict[str, str], status: int) -> None:
    answer = web.post("studies", content=multipart(part10()), headers=headers)
    assert answer.status_code == status
    assert problem(answer)["title"]
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_an_institution_sends_under_its_own_root_only(web: httpx.Client) -> None:
    headers = {**TOKEN, "Content-Type": "multipart/related; boundary=B-1"}
    assert web.post("at/TAIYUAN/studies", content=multipart(part10()), headers=headers).status_code == 200
    assert web.post("at/YUNCHENG/studies", content=multipart(part10()), headers=headers).status_code == 403


def test_a_body_that_is_broken_off_leaves_what_was_complete(server: Server, web: httpx.Client) -> None:
    whole, cut = dataset(), dataset()
    body = multipart(part10(whole), part10(cut))[:-200]
    with socket.create_connection(("127.0.0.1", server.http_port)) as connection:
        connection.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-TAIYUAN\r\n"
            b"Content-Type: multipart/related; boundary=B-1\r\nContent-Length: %d\r\n\r\n" % (len(body) + 200) + body
        )
    found = f"studies?StudyInstanceUID={whole.StudyInstanceUID}"
    for _ in range(100):
        if web.get(found).json():
            break
    assert web.get(found).json()
    assert web.get(f"studies/{cut.StudyInstanceUID}").status_code == 404


def test_a_body_that_ends_without_its_boundary_keeps_what_was_complete(web: httpx.Client) -> None:
    whole, cut = dataset(), dataset()
    body = multipart(part10(whole), part10(cut))[:-9]
    answer = web.post("studies", content=body, headers={**TOKEN, "Content-Type": "multipart/related; boundary=B-1"})
    assert answer.status_code == 202
    response = Dataset.from_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in response.ReferencedSOPSequence] == [whole.SOPInstanceUID]
    assert [item.ReferencedSOPInstanceUID for item in response.FailedSOPSequence] == [cut.SOPInstanceUID]


# --- searching ---


def test_a_search_finds_counts_and_pages(server: Server, web: httpx.Client) -> None:
    patient = generate_uid()[-16:]
    studies = {Study(server, 1, PatientID=patient).uid for _ in range(3)}
    first = web.get("studies", params={"PatientID": patient, "limit": "2"})
    assert first.headers["content-type"] == "application/dicom+json"
    assert first.headers["x-total-count"] == "3"
    assert first.headers["warning"].startswith("299 ")
    following = web.get(first.links["next"]["url"])
    assert "next" not in following.links
    rows = first.json() + following.json()
    assert len(rows) == 3
    assert {row["0020000D"]["Value"][0] for row in rows} == studies
    for row in rows:
        assert row["00081190"]["Value"] == [f"{str(web.base_url).rstrip('/')}/studies/{row['0020000D']['Value'][0]}"]


def test_each_level_is_searched_below_its_parents_and_anywhere(server: Server, web: httpx.Client) -> None:
    study = Study(server, 3)
    for path, expected in [
        (f"{study.path}/series", 1),
        (f"{study.path}/instances", 3),
        (f"{study.series_path}/instances", 3),
        (f"series?StudyInstanceUID={study.uid}", 1),
        (f"instances?SOPInstanceUID={','.join(study.sops[:2])}", 2),
    ]:
        rows = web.get(path).json()
        assert len(rows) == expected, path
        for row in rows:
            assert web.get(row["00081190"]["Value"][0], headers={"Accept": DICOM_PARTS}).status_code == 200


def test_nothing_found_is_an_empty_list(web: httpx.Client) -> None:
    answer = web.get("studies?PatientID=nobody-has-this")
    assert answer.status_code == 200
    assert answer.json() == []
    assert answer.headers["x-total-count"] == "0"


def test_an_exact_count_is_given_on_demand(web: httpx.Client) -> None:
    answer = web.get("studies?limit=1", headers={"Prefer": "count=exact"})
    assert answer.headers["preference-applied"] == "count=exact"
    assert int(answer.headers["x-total-count"]) >= 0


def test_searches_are_answered_in_xml_too(server: Server, web: httpx.Client) -> None:
    study = Study(server, 2)
    accept = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    parts = parts_of(web.get(f"{study.path}/instances", headers=accept))
    assert [headers["content-type"] for headers, _ in parts] == ["application/dicom+xml"] * 2
    assert study.sops[0].encode() in parts[0][1]
    assert web.get("studies?PatientID=nobody", headers=accept).status_code == 204


def test_what_institutions_sent_under_the_same_uid_is_kept_apart(server: Server, web: httpx.Client) -> None:
    ds = dataset(PatientName="First^Sender")
    server.stow(part10(ds))
    first = part10(ds)
    ds.PatientName = "Second^Sender"
    second = part10(ds)
    server.stow(second, institution="YUNCHENG")
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    assert web.get(path).content == web.get(f"at/TAIYUAN/{path}").content == first
    assert web.get(f"at/YUNCHENG/{path}").content == second
    (row,) = web.get(f"at/YUNCHENG/studies?StudyInstanceUID={ds.StudyInstanceUID}").json()
    assert row["00081190"]["Value"][0].endswith(f"/dicom-web/at/YUNCHENG/studies/{ds.StudyInstanceUID}")
    assert row["00100010"]["Value"][0]["Alphabetic"] == "Second^Sender"
    assert web.get(f"at/NOBODY/{path}").status_code == 404


# --- metadata ---


def test_metadata_is_ready_compressed_and_validated(server: Server, web: httpx.Client) -> None:
    study = Study(server, 2)
    for path in (study.path, study.series_path):
        packed = web.get(f"{path}/metadata", headers={"Accept": "application/dicom+json", "Accept-Encoding": "gzip"})
        plain = web.get(f"{path}/metadata", headers={"Accept-Encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
        assert packed.headers["etag"] != plain.headers["etag"]
        again = web.get(
            f"{path}/metadata", headers={"If-None-Match": packed.headers["etag"], "Accept-Encoding": "gzip"}
        )
        assert again.status_code == 304
        assert [each["00080018"]["Value"][0] for each in packed.json()] == study.sops


def test_metadata_is_sent_as_it_was_compressed(server: Server, web: httpx.Client) -> None:
    study = Study(server, 2)
    with web.stream("GET", f"{study.series_path}/metadata", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert len(json.loads(gzip.decompress(raw))) == 2


def test_metadata_of_one_instance_and_its_bulk_data(server: Server, web: httpx.Client) -> None:
    ds = dataset()
    ds.ICCProfile = bytes(range(256)) * 40
    path = sent(server, ds)
    series = path.rpartition("/instances/")[0]
    study = series.rpartition("/series/")[0]
    for at in (path, series, study):
        url = urljoin(str(web.base_url), f"{at}/metadata")
        (found,) = web.get(url).json()
        element = found["00282000"]
        bulk = web.get(urljoin(url, element["BulkDataURI"]))
        assert bulk.content == ds.ICCProfile
        assert bulk.headers["content-type"] == "application/octet-stream"
        part = web.get(urljoin(url, element["BulkDataURI"]), headers={"Range": "bytes=5-9"})
        assert part.status_code == 206
        assert part.content == ds.ICCProfile[5:10]
    parts = parts_of(web.get(f"{path}/bulkdata/00282000", headers={"Accept": "multipart/related; type=*/*"}))
    assert [body for _, body in parts] == [ds.ICCProfile]
    assert problem(web.get(f"{path}/bulkdata/00282001"))["status"] == 404


def test_metadata_in_xml(server: Server, web: httpx.Client) -> None:
    study = Study(server, 2)
    accept = {"Accept": "multipart/related; type=application/dicom+xml"}
    assert len(parts_of(web.get(f"{study.series_path}/metadata", headers=accept))) == 2
    assert len(parts_of(web.get(f"{study.instance()}/metadata", headers=accept))) == 1


# --- instances ---


def test_instances_are_cached_ranged_and_asked_about(server: Server, web: httpx.Client) -> None:
    study = Study(server, 1)
    whole = web.get(study.instance())
    assert "immutable" in whole.headers["cache-control"]
    assert "private" in whole.headers["cache-control"]
    assert web.get(study.instance(), headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    part = web.get(study.instance(), headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    head = web.head(study.instance())
    assert head.headers["content-length"] == str(len(study.files[0]))
    assert head.content == b""
    assert web.get(study.instance(), headers={"Range": "bytes=9999999-"}).status_code == 416
    assert problem(web.get(study.instance(), headers={"Accept": "image/png"}))["status"] == 406
    one = web.get(study.instance(), headers={"Accept": DICOM_PARTS})
    assert [body for _, body in parts_of(one)] == study.files


def test_a_study_that_grows_has_a_new_validator(server: Server, web: httpx.Client) -> None:
    study = Study(server, 1)
    before = web.get(study.path, headers={"Accept": DICOM_PARTS})
    assert before.headers["cache-control"] == "private, no-cache"
    known = {"Accept": DICOM_PARTS, "If-None-Match": before.headers["etag"]}
    assert web.get(study.path, headers=known).status_code == 304
    server.stow(part10(dataset(StudyInstanceUID=study.uid, InstanceNumber=9)))
    assert len(parts_of(web.get(study.path, headers=known))) == 2


def test_a_study_comes_in_parts_or_not_at_all(server: Server, web: httpx.Client) -> None:
    study = Study(server, 1)
    assert web.get(study.path).headers["content-type"].startswith("multipart/related")
    assert problem(web.get(study.path, headers={"Accept": "application/dicom"}))["status"] == 406


def compressed(syntax: str) -> tuple[Dataset, np.ndarray]:
    ds = dataset(Rows=64, Columns=64, NumberOfFrames="3")
    pixels = (np.arange(3 * 64 * 64, dtype="<u2") % 4096).reshape(3, 64, 64)
    ds.PixelData = pixels.tobytes()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        ds.compress(syntax, generate_instance_uid=False)
    else:
        frames = [imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True) for frame in pixels]
        ds.PixelData = pydicom.encaps.encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds.file_meta.TransferSyntaxUID = syntax
    return ds, pixels


def as_file(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_a_compressed_instance_is_given_as_stored_or_in_the_default_syntax(server: Server, web: httpx.Client) -> None:
    ds, pixels = compressed(RLELossless)
    file = as_file(ds)
    server.stow(file)
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    for accept in ("*/*", "application/dicom; transfer-syntax=*", f"application/dicom; transfer-syntax={RLELossless}"):
        assert web.get(path, headers={"Accept": accept}).content == file
    for at, accept in [
        (path, "application/dicom"),
        (path, f'application/dicom; transfer-syntax="{ExplicitVRLittleEndian}"'),
        (f"studies/{ds.StudyInstanceUID}", 'multipart/related; type="application/dicom"'),
    ]:
        answer = web.get(at, headers={"Accept": accept})
        body = parts_of(answer)[0][1] if accept.startswith("multipart") else answer.content
        read = pydicom.dcmread(io.BytesIO(body))
        assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert np.array_equal(read.pixel_array, pixels)
    refused = web.get(path, headers={"Accept": f"application/dicom; transfer-syntax={JPEG2000Lossless}"})
    assert problem(refused)["status"] == 406


# --- frames ---


def test_frames_as_ohif_asks_for_them(server: Server, web: httpx.Client) -> None:
    ds, _ = compressed(RLELossless)
    frames = list(pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=3))
    server.stow(as_file(ds))
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    answer = web.get(f"{path}/frames/2", headers={"Accept": ALL})
    ((headers, body),) = parts_of(answer)
    assert b"\r\nContent-Type: " in answer.content
    assert headers["content-type"] == f"image/dicom-rle; transfer-syntax={RLELossless}"
    assert body == frames[1]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "immutable" in answer.headers["cache-control"]
    several = parts_of(web.get(f"{path}/frames/3,1", headers={"Accept": ALL}))
    assert [body for _, body in several] == [frames[2], frames[0]]
    single = web.get(f"{path}/frames/1", headers={"Range": "bytes=0-63"})
    assert (single.status_code, single.content) == (206, frames[0][:64])


def test_frames_are_made_native_for_clients_that_want_octets(server: Server, web: httpx.Client) -> None:
    ds, pixels = compressed(JPEG2000Lossless)
    server.stow(as_file(ds))
    path = f"studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}/frames"
    answer = web.get(f"{path}/2", headers={"Accept": "application/octet-stream"})
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    assert answer.content == pixels[1].tobytes()
    parts = parts_of(web.get(f"{path}/1,2,3", headers={"Accept": "multipart/related; type=application/octet-stream"}))
    assert b"".join(body for _, body in parts) == pixels.tobytes()
    stored = web.get(f"{path}/1", headers={"Accept": "image/jp2"})
    assert stored.headers["content-type"] == f"image/jp2; transfer-syntax={JPEG2000Lossless}"
    assert problem(web.get(f"{path}/1", headers={"Accept": "image/jpeg"}))["status"] == 406


def test_native_frames_lie_in_the_file(server: Server, web: httpx.Client) -> None:
    study = Study(server, 1)
    for accept in (ALL, "multipart/related; type=application/octet-stream", "multipart/related"):
        ((headers, body),) = parts_of(web.get(f"{study.instance()}/frames/1", headers={"Accept": accept}))
        assert body == study.datasets[0].PixelData
        assert headers["content-type"] == f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    assert web.get(f"{study.instance()}/frames/1").content == study.datasets[0].PixelData


def test_frames_of_single_bits_are_cut_out(server: Server, web: httpx.Client) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 5), dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    ds = dataset(
        Rows=5, Columns=5, NumberOfFrames="3", BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0"
    )
    path = sent(server, ds)
    frame = web.get(f"{path}/frames/2", headers={"Accept": "application/octet-stream"}).content
    found = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")[:25].reshape(5, 5)
    assert np.array_equal(found, bits[1])


@pytest.mark.parametrize(
    ("frames", "status"), [("2", 404), ("1,9", 404), ("0", 400), ("x", 400), ("1,", 400), ("-1", 400)]
)
def test_frames_that_are_not_there_are_said_to_be(server: Server, web: httpx.Client, frames: str, status: int) -> None:
    study = Study(server, 1)
    assert problem(web.get(f"{study.instance()}/frames/{frames}"))["status"] == status


# --- pictures ---


def test_rendered_and_thumbnail_are_pictures(server: Server, web: httpx.Client) -> None:
    pixels = np.linspace(0, 4095, 64 * 64).astype("<u2").tobytes()
    path = sent(server, dataset(Rows=64, Columns=64, PixelData=pixels))
    for accept, media in [("image/jpeg", "image/jpeg"), ("*/*", "image/jpeg"), ("image/png", "image/png")]:
        answer = web.get(f"{path}/rendered", headers={"Accept": accept})
        assert answer.headers["content-type"] == media
    small = web.get(f"{path}/frames/1/rendered?viewport=32,32&window=2048,4096,linear&quality=50")
    assert small.headers["content-type"] == "image/jpeg"
    thumb = web.get(f"{path}/thumbnail?viewport=256%2C256", headers={"Accept": "image/jpeg"})
    assert thumb.content[:3] == b"\xff\xd8\xff"
    assert web.get(f"{path}/thumbnail", headers={"If-None-Match": thumb.headers["etag"]}).status_code == 304
    series = path.rpartition("/instances/")[0]
    assert web.get(f"{series}/thumbnail").content == thumb.content
    assert web.get(f"{series.rpartition('/series/')[0]}/thumbnail").content == thumb.content


@pytest.mark.parametrize(
    "query",
    ["viewport=0,1", "viewport=1", "viewport=a,b", "window=1", "window=1,0", "window=1,2,x", "quality=0", "quality=x"],
)
def test_nonsense_about_pictures_is_refused(server: Server, web: httpx.Client, query: str) -> None:
    study = Study(server, 1)
    assert problem(web.get(f"{study.instance()}/rendered?{query}"))["status"] == 400


def test_a_document_is_rendered_as_it_is(server: Server, web: httpx.Client) -> None:
    pdf = b"%PDF-1.4 " + bytes(20_001) + b"%%EOF"
    ds = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1",
        Modality="DOC",
        EncapsulatedDocument=pdf + b"\0" * (len(pdf) % 2),
        EncapsulatedDocumentLength=len(pdf),
        MIMETypeOfEncapsulatedDocument="application/pdf",
        **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"), None),
    )
    path = sent(server, ds)
    answer = web.get(f"{path}/rendered")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content == pdf
    assert web.get(f"{path}/rendered", headers={"Range": "bytes=0-3"}).content == b"%PDF"
    assert problem(web.get(f"{path}/rendered", headers={"Accept": "image/jpeg"}))["status"] == 406
    assert problem(web.get(f"{path}/frames/1"))["status"] == 404


def test_a_strangers_xml_runs_no_script_on_our_origin(server: Server, web: httpx.Client) -> None:
    cda = b'<html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html> '
    ds = dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.104.2",
        Modality="DOC",
        EncapsulatedDocument=cda + b" " * (len(cda) % 2),
        MIMETypeOfEncapsulatedDocument="text/XML",
        **dict.fromkeys(("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"), None),
    )
    answer = web.get(f"{sent(server, ds)}/rendered")
    assert answer.headers["content-type"].startswith("text/xml")
    assert "sandbox; default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


# --- errors ---


@pytest.mark.parametrize(
    "path",
    [
        "",
        "nothing",
        "studies/1.2.3",
        "studies/1.2.3/metadata",
        "studies/1/series/2/instances/3",
        "studies//series",
        "at/TAIYUAN",
    ],
)
def test_what_is_not_there_is_a_problem(web: httpx.Client, path: str) -> None:
    document = problem(web.get(path))
    assert document["status"] == 404
    assert str(document["instance"]).startswith("/dicom-web")


def test_an_unknown_attribute_is_named(web: httpx.Client) -> None:
    answer = web.get("studies?PatientNom=x")
    assert answer.status_code == 400
    assert "PatientNom" in str(problem(answer)["detail"])


def test_methods_are_said_and_others_refused(web: httpx.Client) -> None:
    answer = web.request("DELETE", "studies/1.2.3")
    assert problem(answer)["status"] == 405
    assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
    options = web.options("studies")
    assert options.status_code == 204
    assert options.headers["allow"] == "GET, POST, HEAD, OPTIONS"


# --- an independent client ---


def test_the_python_client_stores_searches_and_retrieves(server: Server, web: httpx.Client) -> None:
    study = Study(server, 1)
    client = DICOMwebClient(server.dicomweb, headers=TOKEN)
    extra = pydicom.dcmread(io.BytesIO(part10(dataset(StudyInstanceUID=study.uid, SeriesInstanceUID=study.series))))
    stored = client.store_instances([extra])
    assert stored.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == extra.SOPInstanceUID
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study.uid})
    assert Dataset.from_json(found).NumberOfStudyRelatedInstances == 2
    assert len(client.search_for_series(study.uid)) == 1
    assert len(client.search_for_instances(study.uid, study.series)) == 2
    assert len(client.retrieve_series_metadata(study.uid, study.series)) == 2
    datasets = client.retrieve_series(study.uid, study.series)
    assert {each.SOPInstanceUID for each in datasets} == {study.sops[0], extra.SOPInstanceUID}
    assert client.retrieve_instance(study.uid, study.series, study.sops[0]).PixelData == study.datasets[0].PixelData
    (frame,) = client.retrieve_instance_frames(study.uid, study.series, study.sops[0], [1])
    assert frame == study.datasets[0].PixelData
    rendered = client.retrieve_instance_rendered(study.uid, study.series, study.sops[0], media_types=("image/jpeg",))
    assert rendered[:2] == b"\xff\xd8"
