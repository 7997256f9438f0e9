"""Which value representation a tag has (PS3.6, PS3.5 6.2), from pydicom's tables. Reads no data."""

from __future__ import annotations

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, private_dictionary_VR

#: Values that are octets; PS3.18 F.2.7 gives them as InlineBinary or BulkDataURI.
BYTES_VR = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
#: In explicit VR these have a 16-bit length, all others two reserved bytes and a 32-bit one (PS3.5 7.1.2).
SHORT_LENGTH_VR = frozenset(
    {
        "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO",
        "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US",
    }
)  # fmt: skip
LONG_LENGTH_VR = BYTES_VR | {"SQ", "SV", "UC", "UR", "UT", "UV"}
KNOWN_VR = SHORT_LENGTH_VR | LONG_LENGTH_VR
#: What the dictionary cannot decide alone; `Ambiguous` elements are settled once their neighbours are known.
AMBIGUOUS_VR = frozenset({"US or SS", "OB or OW", "US or OW", "US or SS or OW"})

_PUBLIC: dict[int, str] = {tag: str(entry[0]) for tag, entry in DicomDictionary.items()}


def public_vr(tag: int) -> str | None:
    """The VR of a standard element, "US or SS" and the like where it depends; None when the standard has none."""
    vr = _PUBLIC.get(tag)
    if vr is None and not tag & 0x10000:
        try:
            vr = str(dictionary_VR(tag))  # repeating groups 50xx, 60xx (PS3.5 7.6)
        except KeyError:
            return None
    if vr is not None and vr not in KNOWN_VR and vr not in AMBIGUOUS_VR:
        return None  # "NONE": item and delimitation tags are not elements
    return vr


def private_vr(tag: int, creator: str) -> str:
    """The VR of private element `tag` in a block of `creator` (PS3.5 7.8); "UN" when it is not known."""
    element = tag & 0xFFFF
    if 0x10 <= element <= 0xFF:
        return "LO"
    if creator and element & 0xFF00:
        try:
            vr = str(private_dictionary_VR(tag, creator))
        except KeyError:
            return "UN"
        return vr if vr in KNOWN_VR or vr in AMBIGUOUS_VR else "UN"
    return "UN"
