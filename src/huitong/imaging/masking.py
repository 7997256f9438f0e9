"""Data sets in DICOM JSON as whoever has a link is shown them: names masked, numbers and addresses left out. Pure.

It is for screens: the viewer writes names across its images. Files go out as they were received, headers included.
"""

from __future__ import annotations

from typing import Any

from huitong.wire.names import masked

#: PatientName, of which a letter stays, and PatientID: OHIF takes studies without one for those of several patients.
_NAME, _NUMBER = "00100010", "00100020"
#: What says who it is, or by which number: PS3.15 table E.1-1, of the modules Patient, Visit and Request.
_LEFT_OUT = frozenset(
    {
        "00080050", "00080090", "00081048", "00081050", "00081060", "00081070", "00100021", "00100022",
        "00100024", "00100030", "00100032", "00100050", "00101000", "00101001", "00101002", "00101005", "00101040",
        "00101060", "00101080", "00101081", "00101090", "00102154", "00102155", "00102160", "001021F0", "00102297",
        "00102299", "00321032", "00321033", "00380010", "00380300", "00380400", "00380500", "00400006", "00402001",
        "00402008", "00402010", "00402016", "00402017", "0040A075", "0040A123",
    }
)  # fmt: skip


def masked_set(data_set: dict[str, Any]) -> dict[str, Any]:
    """The same without what says whose it is; private elements, of which nobody knows what they say, are left out."""
    return {
        tag: _masked(tag, element)
        for tag, element in data_set.items()
        if tag not in _LEFT_OUT and not int(tag[:4], 16) % 2
    }


def _masked(tag: str, element: dict[str, Any]) -> dict[str, Any]:
    values = element.get("Value", ())
    if tag == _NAME:
        return {**element, "Value": [_name(each) for each in values]}
    if tag == _NUMBER:
        return {**element, "Value": ["***"]}
    if element.get("vr") == "SQ":
        return {**element, "Value": [masked_set(each) for each in values if isinstance(each, dict)]}
    return element


def _name(value: Any) -> Any:
    """Each group of a PN (PS3.18 F.2.2), its components together."""
    if not isinstance(value, dict):
        return value
    return {group: masked(_together(text)) for group, text in value.items()}


def _together(name: str) -> str:
    return " ".join(name.replace("^", " " if name.isascii() else "").split())
