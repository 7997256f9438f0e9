"""DICOM JSON model to the Native DICOM Model in XML (PS3.19 annex A.1, PS3.18 annex F)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pydicom.datadict import keyword_for_tag

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
#: PS3.5 6.2.1.1, the components of a name in the order the carets separate them.
_NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
#: XML 1.0 section 2.2 cannot carry these, escaped or not.
_NO_XML = {code: "�" for code in range(32) if code not in (9, 10, 13)}


def native_xml(dataset: Mapping[str, Any]) -> bytes:
    """The XML document of one data set."""
    body = "".join(_attribute(tag, element) for tag, element in dataset.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">'
        f"{body}</NativeDicomModel>"
    ).encode()


def _attribute(tag: str, element: Mapping[str, Any]) -> str:
    vr = str(element.get("vr", "UN"))
    keyword = str(keyword_for_tag(int(tag, 16)))
    named = f" keyword={quoteattr(keyword)}" if keyword else ""
    return f"<DicomAttribute tag={quoteattr(tag)} vr={quoteattr(vr)}{named}>{_content(vr, element)}</DicomAttribute>"


def _content(vr: str, element: Mapping[str, Any]) -> str:
    if "BulkDataURI" in element:
        return f"<BulkData uri={quoteattr(str(element['BulkDataURI']))}/>"
    if "InlineBinary" in element:
        return f"<InlineBinary>{escape(str(element['InlineBinary']))}</InlineBinary>"
    values = element.get("Value") or []
    return "".join(_value(vr, number, value) for number, value in enumerate(values, 1) if value is not None)


def _value(vr: str, number: int, value: Any) -> str:
    if vr == "SQ":
        inner = "".join(_attribute(tag, element) for tag, element in value.items())
        return f'<Item number="{number}">{inner}</Item>'
    if vr == "PN":
        groups = "".join(_name_group(group, value[group]) for group in _NAME_GROUPS if value.get(group))
        return f'<PersonName number="{number}">{groups}</PersonName>'
    return f'<Value number="{number}">{_text(value)}</Value>'


def _name_group(group: str, text: str) -> str:
    components = zip(_NAME_COMPONENTS, text.split("^"), strict=False)
    inner = "".join(f"<{name}>{_text(part)}</{name}>" for name, part in components if part)
    return f"<{group}>{inner}</{group}>"


def _text(value: object) -> str:
    return escape(str(value).translate(_NO_XML))
