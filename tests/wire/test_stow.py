from __future__ import annotations

from xml.etree import ElementTree as ET

from pydicom import Dataset

from huitong.wire.native_model import native_xml
from huitong.wire.stow import Failed, Stored, store_response

GOOD = Stored("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "http://h/studies/1/series/2/instances/1.2.3")
BAD = Failed(0xA900, "1.2.840.10008.5.1.4.1.1.2", "1.2.4", "another study")
NAMELESS = Failed(0xC000, comment="not DICOM")
NS = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


def test_the_status_tells_whether_all_some_or_none_were_stored() -> None:
    assert store_response([GOOD], []).status == 200
    assert store_response([GOOD], [BAD]).status == 202
    assert store_response([GOOD], [NAMELESS]).status == 202
    assert store_response([Stored("1", "2", "u", warning_reason=0xB007)], []).status == 202
    assert store_response([], [BAD, NAMELESS]).status == 409
    assert store_response([], []).status == 409


def test_the_response_reads_as_dicom_json() -> None:
    response = store_response([GOOD], [BAD, NAMELESS], "http://h/studies/1")
    dataset = Dataset.from_json(response.dataset)
    assert dataset.RetrieveURL == "http://h/studies/1"
    assert dataset.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    assert dataset.ReferencedSOPSequence[0].RetrieveURL == GOOD.retrieve_url
    assert dataset.FailedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.4"
    assert dataset.FailedSOPSequence[0].FailureReason == 0xA900
    assert dataset.OtherFailuresSequence[0].FailureReason == 0xC000
    assert dataset.OtherFailuresSequence[0].ErrorComment == "not DICOM"


def test_empty_sequences_and_the_study_of_nothing_are_left_out() -> None:
    assert store_response([], [BAD], "http://h/studies/1").dataset.keys() == {"00081198"}


def test_the_response_can_be_said_in_xml() -> None:
    root = ET.fromstring(native_xml(store_response([GOOD], [BAD]).dataset))
    tags = [element.get("tag") for element in root.findall(f"{NS}DicomAttribute")]
    assert tags == ["00081198", "00081199"]
    reason = root.find(f".//{NS}DicomAttribute[@keyword='FailureReason']/{NS}Value")
    assert reason is not None
    assert reason.text == str(0xA900)


def test_names_binary_and_bulk_are_said_in_xml() -> None:
    root = ET.fromstring(
        native_xml(
            {
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^<Xiao>", "Ideographic": "王^小"}]},
                "00091001": {"vr": "OB", "InlineBinary": "AAA="},
                "7FE00010": {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"},
                "00080005": {"vr": "CS", "Value": ["a\x1bb", None]},
                "00080050": {"vr": "SH"},
            }
        )
    )
    assert [(part.tag.removeprefix(NS), part.text) for part in root[0].iter() if part.text] == [
        ("FamilyName", "Wang"),
        ("GivenName", "<Xiao>"),
        ("FamilyName", "王"),
        ("GivenName", "小"),
    ]
    assert root[1][0].text == "AAA="
    assert root[2][0].get("uri") == "bulkdata/7FE00010"
    assert [value.text for value in root[3]] == ["a�b"]
    assert len(root[4]) == 0
