"""Which attribute belongs to which level, and what of a header the index keeps as columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from huitong.base.errors import MissingIdentity
from huitong.people.model import CERTIFICATE_TYPES
from huitong.wire.dicom.scan import person_name, text
from huitong.wire.names import name_forms

Header = dict[str, Any]


def _tags(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: Study level beyond the patient's group 0010 (PS3.3 C.7.2, PS3.4 table C.6-1, PS3.18 table 10.6.3-3).
STUDY_TAGS = frozenset(
    _tags("""
    00080005 00080020 00080030 00080050 00080051 00080080 00080081 00080090 00080096 00080201 00081030 00081032
    00081040 00081048 00081060 00081070 00081080 00081084 00081110 0020000D 00200010 00201070 00321032 00321033
    00321060 00321064 00380010 00400012 40080200
    """)
)
#: Series level (PS3.3 C.7.3 and C.7.5, PS3.4 table C.6-3, PS3.18 table 10.6.3-4).
SERIES_TAGS = frozenset(
    _tags("""
    00080005 00080021 00080031 00080060 00080064 00080068 00080070 00080080 00080201 00081010 0008103E 0008103F
    00081050 00081072 00081090 00081111 00180010 00180015 00181000 00181020 00181030 00185100 0020000E 00200011
    00200052 00200060 00201040 00400244 00400245 00400250 00400251 00400253 00400254 00400260 00400275 00540400
    """)
)
#: Returned at each level whether asked for or not (PS3.18 tables 10.6.3-3 to 10.6.3-5).
STUDY_RETURNED = _tags("""
    00080005 00080020 00080030 00080050 00080056 00080061 00080090 00080201 00081190 00100010 00100020 00100030
    00100040 0020000D 00200010 00201206 00201208
    """)
SERIES_RETURNED = _tags("""
    00080005 00080060 00080201 0008103E 00081190 0020000D 0020000E 00200011 00201209 00400244 00400245 00400275
    """)
INSTANCE_RETURNED = _tags("""
    00080005 00080016 00080018 00080056 00080201 00081190 0020000D 0020000E 00200013 00280008 00280010 00280011
    00280100
    """)

#: A UID may be odd (letters, leading zeros, too long) and is kept all the same, up to this.
_MAX_UID = 128
#: What a UID cannot have however odd it is: it stands in URLs, in JSON and in quoted headers.
_NEVER_IN_UIDS = re.compile(r"""["'\\/?#%<>&]""")
#: Characters by which a number, a sex or a modality is filed (the standard allows 64 at most), and all modalities of a
#: study together: what is longer is kept in the object and found by its beginning. Indices of PostgreSQL take 2.7 KB.
_MAX_SHORT, _MAX_MODALITIES = 256, 512
_DATE = re.compile(r"(\d{4})[.-]?(0[1-9]|1[0-2])[.-]?(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3]):?([0-5]\d)?:?([0-5]\d|60)?(\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs by which an instance is filed."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str


def identity(header: Header) -> Identity:
    """Raises MissingIdentity naming the first UID that is absent or no UID by any stretch."""
    uids = []
    for tag, keyword in _IDENTITY:
        uid = text(header, tag)
        if not uid:
            raise MissingIdentity(keyword)
        if len(uid) > _MAX_UID or not uid.isprintable() or _NEVER_IN_UIDS.search(uid) or not uid.strip("."):
            raise MissingIdentity(f"{keyword} is not a UID")
        uids.append(uid)
    return Identity(*uids)


_IDENTITY = (
    ("0020000D", "StudyInstanceUID"),
    ("0020000E", "SeriesInstanceUID"),
    ("00080016", "SOPClassUID"),
    ("00080018", "SOPInstanceUID"),
)


def date(value: str) -> str:
    """YYYYMMDD, or empty for what is no date (`***`)."""
    match = _DATE.fullmatch(value.strip())
    return "".join(match.groups()) if match else ""


def time(value: str) -> str:
    """HHMMSS with the fraction there was, or empty for what is no time."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return ""
    hour, minute, second, fraction = match.groups()
    return f"{hour}{minute or '00'}{second or '00'}{fraction or ''}"


def short(header: Header, tag: str) -> str:
    """A text that an index holds, as far as it does; without NUL, which one of the databases does not hold."""
    return text(header, tag).replace("\0", "")[:_MAX_SHORT]


def spaced(modalities: Iterable[str]) -> str:
    """Sorted, with a space around each; of too many the first."""
    joined = f" {' '.join(sorted(modalities))} "
    return joined[: joined.rfind(" ", 0, _MAX_MODALITIES) + 1] if joined.strip() else ""


def number(value: str) -> int | None:
    """An IS value as far as the index takes it."""
    try:
        whole = int(float(value))
    except (ValueError, OverflowError):
        return None
    return whole if -(2**31) <= whole < 2**31 else None


def shown_name(header: Header, tag: str = "00100010") -> str:
    """The name as a person reads it: hanzi where there are any, carets as spaces."""
    name = person_name(header, tag)
    best = name.get("Ideographic") or name.get("Alphabetic") or name.get("Phonetic") or ""
    family, _, given = best.partition("^")
    if best.isascii():
        return " ".join(best.replace("^", " ").split())
    return (family + " ".join(given.replace("^", " ").split())).strip()


def forms(header: Header, tag: str) -> str:
    """All searchable forms of a name, one a line."""
    name = person_name(header, tag)
    groups = (name.get("Alphabetic", ""), name.get("Ideographic", ""), name.get("Phonetic", ""))
    return "\n".join(name_forms(*groups)) if any(groups) else ""


def patient_of(header: Header) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """What the object says of its patient, as people's records have it: columns, and certificates (kind, number).

    A certificate is an item of Other Patient IDs Sequence whose Identifier Type Code is one of HL7 table 0203, or whose
    Issuer of Patient ID names the kind (PS3.3 C.7.1.1, table 10-18).
    """
    name = person_name(header, "00100010")
    groups = (_line(name.get(group, "")) for group in ("Ideographic", "Alphabetic", "Phonetic"))
    said = {
        "names": "\n".join(dict.fromkeys(group for group in groups if group.strip("^ "))),
        "sex": sex if (sex := text(header, "00100040")) in ("M", "F", "O") else "",
        "birth_date": date(text(header, "00100030")),
        "phones": _line(text(header, "00102154")),
        "address": _line(text(header, "00101040")),
        "mother_name": _line(person_name(header, "00101060").get("Alphabetic", "")),
    }
    items = header.get("00101002", {}).get("Value", ())
    certificates = (_certificate(item) for item in items if isinstance(item, dict))
    return said, tuple(each for each in certificates if each is not None)


def _certificate(item: Header) -> tuple[str, str] | None:
    qualifiers = item.get("00100024", {}).get("Value") or [{}]
    codes = (text(qualifiers[0], "00400035"), text(item, "00100021"))
    kind = next((kind for code in codes if (kind := CERTIFICATE_TYPES.get(code.strip().upper()))), None)
    number = _line(text(item, "00100020"))
    return (kind, number) if kind and number else None


def _line(value: str) -> str:
    return " ".join(value.replace("\0", "").split())[:_MAX_SHORT]


def study_level(header: Header) -> Header:
    """The patient's and the study's attributes; bulk stays with the instance."""
    return {t: e for t, e in header.items() if (t[:4] == "0010" or t in STUDY_TAGS) and "BulkDataURI" not in e}


def series_level(header: Header) -> Header:
    return {t: e for t, e in header.items() if t in SERIES_TAGS and "BulkDataURI" not in e}
