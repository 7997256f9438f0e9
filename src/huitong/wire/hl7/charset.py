"""The text of a message as Unicode (MSH-18, HL7 table 0211), whatever it was declared to be.

The octets are judged as those of DICOM objects are (`wire.dicom.charset`): much Chinese equipment writes GBK or UTF-8
and declares nothing, or the other. Nothing here raises; what cannot be decoded is replaced (U+FFFD).
"""

from __future__ import annotations

import re

from huitong.wire.dicom.charset import Decode, decoder
from huitong.wire.mending import unmistaken

UTF8 = "UNICODE UTF-8"
#: Terms of table 0211, reduced to letters and digits -> DICOM's term and Python's codec for writing.
_TERMS = {
    "": ("", "utf-8"), "ASCII": ("", "utf-8"),
    "UNICODE": ("ISO_IR 192", "utf-8"), "UNICODEUTF8": ("ISO_IR 192", "utf-8"),
    "UTF8": ("ISO_IR 192", "utf-8"), "GB180302000": ("GB18030", "gb18030"), "GB18030": ("GB18030", "gb18030"),
    "GB2312": ("GB18030", "gb18030"), "GBK": ("GB18030", "gb18030"), "88591": ("ISO_IR 100", "latin-1"),
    "88592": ("ISO_IR 101", "iso8859-2"), "88595": ("ISO_IR 144", "iso8859-5"), "88599": ("ISO_IR 148", "iso8859-9"),
    "ISOIR14": ("ISO 2022 IR 13", "shift_jis"), "ISOIR87": ("ISO 2022 IR 87", "iso2022_jp"),
    "ISOIR192": ("ISO_IR 192", "utf-8"), "ISOIR58": ("ISO 2022 IR 58", "gb18030"), "BIG5": ("BIG5", "big5"),
    "KSX1001": ("ISO 2022 IR 149", "euc_kr"),
}  # fmt: skip


def _normal(term: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", term.upper())


def codec_of(term: str) -> str:
    """Python's codec in which an answer to a message of this declaration is written."""
    return _TERMS.get(_normal(term), _TERMS[""])[1]


def decoder_of(term: str) -> Decode:
    """What turns the octets of a segment into text, where MSH-18 says `term`."""
    declared = _TERMS.get(_normal(term), _TERMS[""])[0]
    read = decoder((declared,) if declared else ())
    return _gb_unless_utf8(read) if declared == "GB18030" else read


def _gb_unless_utf8(read: Decode) -> Decode:
    """UTF-8 is nearly always valid GB 18030 as well, and means other hanzi; GB 18030 is hardly ever valid UTF-8."""

    def decode(raw: bytes) -> str:
        text = read(raw)
        return text if raw.isascii() else (unmistaken(text, raw) or text)

    return decode
