"""The text of a message as Unicode (MSH-18, HL7 table 0211), whatever it was declared to be.

The octets are judged as those of DICOM objects are (`wire.dicom.charset`): much Chinese equipment writes GBK or UTF-8
and declares nothing, or the other. Nothing here raises; what cannot be decoded is replaced (U+FFFD).
"""

from __future__ import annotations

import re

from huitong.wire.dicom.charset import Decode, decoder

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
_HANZI = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_ONLY_HANZI = re.compile("[\\x00-\\x7f\u3000-\u303f\uff00-\uffef·\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]*")
#: First octets of the common hanzi of GB 2312 (level 1); the second is A1 or above.
_LEVEL_1 = range(0xB0, 0xD8)


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
        return text if raw.isascii() else (_unmistaken(text, raw) or text)

    return decode


def _unmistaken(text: str, raw: bytes) -> str | None:
    """`raw` as UTF-8 where that is hanzi and `text`, its other reading, is none that somebody would write."""
    try:
        other = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return other if _HANZI.search(other) and _ONLY_HANZI.fullmatch(other) and not _common(text) else None


def _common(text: str) -> bool:
    """Whether at least half of the hanzi are common ones: everyday text is, garbled text is not."""
    hanzi = _HANZI.findall(text)
    common = sum(1 for each in hanzi if _is_level_1(each.encode("gb18030")))
    return bool(hanzi) and 2 * common >= len(hanzi)


def _is_level_1(pair: bytes) -> bool:
    return len(pair) == 2 and pair[0] in _LEVEL_1 and pair[1] >= 0xA1


def mended(text: str) -> str:
    """A value that was garbled before it was sent, as it was meant; any other value as it is.

    Two accidents can be undone: Chinese octets taken for Latin letters ("ÍõÐ¡¶«"), and UTF-8 taken for GBK ("鐜嬪皬").

    >>> mended("ÍõÐ¡¶«"), mended("鐜嬪皬"), mended("Jääskeläinen"), mended("王小东")
    ('王小东', '王小', 'Jääskeläinen', '王小东')
    """
    if text.isascii():
        return text
    octets = _as_latin(text)
    if octets is not None:
        meant = decoder(())(octets)
        return meant if _HANZI.search(meant) else text
    try:
        raw = text.encode("gb18030")
    except UnicodeEncodeError:  # a lone surrogate
        return text
    return _unmistaken(text, raw) or text


def _as_latin(text: str) -> bytes | None:
    """The octets of which these are the Latin letters (ISO 8859-1, Windows-1252); None where some are not."""
    try:
        return b"".join(bytes((ord(each),)) if ord(each) < 256 else each.encode("cp1252") for each in text)
    except UnicodeEncodeError:
        return None
