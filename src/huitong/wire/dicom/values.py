"""Octets of one element to its attribute object of the DICOM JSON model (PS3.18 F.2), one function per VR.

Every decoder takes the value's octets, which are not empty, and the data set's text decoder, and gives the whole
attribute object: a call per element is what the scanner can afford, an object per element is not. What does not parse
as its VR is given as the text it is ("***" as a date, "abc" as a number) and never raises.
"""

from __future__ import annotations

import struct
from binascii import b2a_base64
from collections.abc import Callable
from math import isfinite
from typing import Any

from huitong.wire.dicom.charset import Decode

Element = dict[str, Any]
Decoder = Callable[[bytes, Decode], Element]

#: orjson and most readers take integers of 64 bits; longer ones stay text.
_LEAST, _GREATEST = -(2**63), 2**64 - 1
#: Up to so many values, each number among those that are none is still given as a number.
_ODD_NUMBERS = 256
_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _texts(vr: str, text: str) -> Element:
    """Values of text that may hold several, trailing padding off, `null` for an empty one among others (F.2.5)."""
    if "\\" not in text:
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}
    values = [value.rstrip(" \0") or None for value in text.split("\\")]
    return {"vr": vr, "Value": values}


def _strings(vr: str) -> Decoder:
    def decode(raw: bytes, slow: Decode) -> Element:
        text = (raw.decode() if raw.isascii() and 27 not in raw else slow(raw)).rstrip(" \0")
        if "\\" in text or not text:
            return _texts(vr, text)
        return {"vr": vr, "Value": [text]}

    return decode


def _paragraph(vr: str) -> Decoder:
    """LT, ST, UT, UR: one value, backslashes are text."""

    def decode(raw: bytes, slow: Decode) -> Element:
        text = (raw.decode() if raw.isascii() and 27 not in raw else slow(raw)).rstrip(" \0")
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return decode


def _stripped(vr: str) -> Decoder:
    """AE and UI: spaces on both sides are padding."""

    def decode(raw: bytes, slow: Decode) -> Element:
        text = (raw.decode() if raw.isascii() else slow(raw)).strip(" \0")
        if "\\" in text:
            return {"vr": vr, "Value": [value.strip(" \0") or None for value in text.split("\\")]}
        return {"vr": vr, "Value": [text]} if text else {"vr": vr}

    return decode


def _person_names(raw: bytes, slow: Decode) -> Element:
    text = (raw.decode() if raw.isascii() and 27 not in raw else slow(raw)).rstrip(" \0")
    if "\\" not in text and "=" not in text:
        return {"vr": "PN", "Value": [{"Alphabetic": text}]} if text else {"vr": "PN"}
    values: list[dict[str, str] | None] = [name_groups(value) or None for value in text.split("\\")]
    return {"vr": "PN"} if values == [None] else {"vr": "PN", "Value": values}


def name_groups(name: str) -> dict[str, str]:
    """The component groups of a person name (PS3.5 6.2.1.1) by their names of PS3.18 F.2.2."""
    if "=" not in name:
        return {"Alphabetic": name} if name else {}
    groups = name.rstrip("=").split("=")
    return dict(zip(("Alphabetic", "Ideographic", "Phonetic"), groups, strict=False)) if groups != [""] else {}


def _decimal_string(raw: bytes, slow: Decode) -> Element:
    try:
        text = raw.decode("ascii")
        if "\\" in text:
            values = list(map(float, text.split("\\")))
            if isfinite(sum(values)) and "_" not in text:
                return {"vr": "DS", "Value": values}
        else:
            value = float(text)
            if isfinite(value) and "_" not in text:  # "1_0" is a number to Python only
                return {"vr": "DS", "Value": [value]}
    except ValueError:
        pass
    return _odd_numbers("DS", raw, slow, float)


def _integer_string(raw: bytes, slow: Decode) -> Element:
    try:
        if 92 in raw:
            values = list(map(int, raw.split(b"\\")))
            if min(values) >= _LEAST and max(values) <= _GREATEST and 95 not in raw:
                return {"vr": "IS", "Value": values}
        else:
            value = int(raw)
            if _LEAST <= value <= _GREATEST and 95 not in raw:
                return {"vr": "IS", "Value": [value]}
    except ValueError:
        pass
    return _odd_numbers("IS", raw, slow, _integer)


def _integer(text: str) -> float:
    """An integer, also of "1.0"; the fraction where there is one."""
    try:
        value: float = int(text)
    except ValueError:
        value = float(text)
        if value.is_integer():
            value = int(value)
    if isinstance(value, int) and not _LEAST <= value <= _GREATEST:
        raise ValueError(text)
    return value


def _odd_numbers(vr: str, raw: bytes, slow: Decode, number: Callable[[str], float]) -> Element:
    texts = slow(raw).split("\\")
    if len(texts) > _ODD_NUMBERS:  # nothing to be gained from judging a long list of nonsense value by value
        return {"vr": vr, "Value": [text.strip(" \0") or None for text in texts]}
    values: list[float | str | None] = []
    for text in texts:
        stripped = text.strip(" \0\t\r\n")
        try:
            value = number(stripped) if stripped.isascii() and "_" not in stripped else None
        except (ValueError, OverflowError):
            value = None
        values.append(value if value is not None and isfinite(value) else stripped or None)
    return {"vr": vr} if values == [None] else {"vr": vr, "Value": values}


def un(raw: bytes, _slow: Decode | None = None) -> Element:
    """Octets of unknown meaning."""
    return {"vr": "UN", "InlineBinary": b2a_base64(raw, newline=False).decode("ascii")}


def octets(vr: str) -> Decoder:
    """InlineBinary of a VR that is octets."""

    def decode(raw: bytes, _slow: Decode) -> Element:
        return {"vr": vr, "InlineBinary": b2a_base64(raw, newline=False).decode("ascii")}

    return decode


def _integers(vr: str, code: str, order: str) -> Decoder:
    one = struct.Struct(order + code)
    unpack, size = one.unpack, one.size

    def decode(raw: bytes, _slow: Decode) -> Element:
        length = len(raw)
        if length == size:
            return {"vr": vr, "Value": list(unpack(raw))}
        if length % size:
            return un(raw)  # not that many whole numbers: kept as octets, so that nothing is lost
        return {"vr": vr, "Value": list(struct.unpack(f"{order}{length // size}{code}", raw))}

    return decode


def _floats(vr: str, code: str, order: str) -> Decoder:
    read = _integers(vr, code, order)

    def decode(raw: bytes, slow: Decode) -> Element:
        element = read(raw, slow)
        values = element.get("Value")
        if values is not None and not isfinite(sum(values)):
            # JSON has no such numbers; the strings are those that other servers and JavaScript's Number() take
            element["Value"] = [value if isfinite(value) else _NON_FINITE[str(value)] for value in values]
        return element

    return decode


def _tags(order: str) -> Decoder:
    def decode(raw: bytes, _slow: Decode) -> Element:
        numbers = struct.unpack_from(f"{order}{len(raw) // 4 * 2}H", raw)
        values = [f"{group:04X}{element:04X}" for group, element in zip(numbers[::2], numbers[1::2], strict=True)]
        return {"vr": "AT", "Value": values} if values else un(raw)

    return decode


def _decoders(order: str) -> dict[str, Decoder]:
    table: dict[str, Decoder] = {vr: _strings(vr) for vr in ("AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC")}
    table |= {vr: _paragraph(vr) for vr in ("LT", "ST", "UT", "UR")}
    table |= {vr: _stripped(vr) for vr in ("AE", "UI")}
    table |= {"PN": _person_names, "DS": _decimal_string, "IS": _integer_string, "AT": _tags(order)}
    codes = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q"}
    table |= {vr: _integers(vr, code, order) for vr, code in codes.items()}
    table |= {vr: _floats(vr, code, order) for vr, code in {"FL": "f", "FD": "d"}.items()}
    table |= {vr: octets(vr) for vr in ("OB", "OD", "OF", "OL", "OV", "OW", "UN")}
    return table


#: VR to decoder, by byte order: "<" little endian, ">" big endian (retired, PS3.5 A.3).
DECODERS: dict[str, dict[str, Decoder]] = {"<": _decoders("<"), ">": _decoders(">")}
