"""Names and addresses that some system garbled before it sent them, as they were meant.

Knows octets and how common a hanzi is; knows nothing of persons. Where there is doubt a text stays as it came: a
garbled name is nobody's, a wrongly mended one may be somebody else's.
"""

from __future__ import annotations

import re
from functools import lru_cache

from huitong.wire.dicom.charset import decoder

_HANZI = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_ONLY_HANZI = re.compile("[\\x00-\\x7f\u3000-\u303f\uff00-\uffef·\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]*")
_LETTER = re.compile("[A-Za-z]")
#: First octets of the common hanzi of GB 2312 (level 1); the second is A1 or above.
_LEVEL_1 = range(0xB0, 0xD8)
#: Of all its hanzi.
_GB2312 = range(0xB0, 0xF8)


@lru_cache(maxsize=8192)
def mended(text: str) -> str:
    """A value that was garbled before it was sent, as it was meant; any other value as it is.

    Two accidents can be undone: Chinese octets taken for Latin letters ("ÍõÐ¡¶«"), and UTF-8 taken for GBK ("鐜嬪皬").
    The groups of a PN value (PS3.5 6.2.1) are judged each by itself.

    >>> mended("ÍõÐ¡¶«"), mended("鐜嬪皬"), mended("Jääskeläinen"), mended("王小东")
    ('王小东', '王小', 'Jääskeläinen', '王小东')
    """
    return text if text.isascii() else "=".join(_mended(group) for group in text.split("="))


def _mended(text: str) -> str:
    octets = _as_latin(text)
    if octets is not None:
        return _meant_by_letters(octets) or text
    try:
        raw = text.encode("gb18030")
    except UnicodeEncodeError:  # a lone surrogate
        return text
    return unmistaken(text, raw) or text


def _as_latin(text: str) -> bytes | None:
    """The octets of which these are the Latin letters (ISO 8859-1, Windows-1252); None where some are not."""
    try:
        return b"".join(bytes((ord(each),)) if ord(each) < 256 else each.encode("cp1252") for each in text)
    except UnicodeEncodeError:
        return None


def _meant_by_letters(octets: bytes) -> str | None:
    """Chinese, as octets that were declared nothing are judged; or two hanzi and more that leave no Latin letter over.

    No name in Latin letters is accented throughout, but one of rare hanzi (闫婷婷) has none of level 1. One of them has
    to be of GB 2312: the octets of "Óláf" are two hanzi of GBK.
    """
    text = decoder(())(octets)
    if _HANZI.search(text):
        return text
    try:
        text = octets.decode("gb18030")
    except UnicodeDecodeError:
        return None
    hanzi = _HANZI.findall(text)
    whole = _ONLY_HANZI.fullmatch(text) and not _LETTER.search(text)
    return text if whole and len(hanzi) > 1 and any(_is_of(_GB2312, each) for each in hanzi) else None


def unmistaken(text: str, raw: bytes) -> str | None:
    """`raw` as UTF-8 where that is hanzi, and these are as common as those of `text`, its reading as GB 18030."""
    try:
        other = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not _HANZI.search(other) or not _ONLY_HANZI.fullmatch(other):
        return None
    usual = _usual(text)
    return other if usual < 0.5 or usual <= _usual(other) else None


def _usual(text: str) -> float:
    """The share of the common ones among the hanzi: most of everyday text, little of what was garbled."""
    hanzi = _HANZI.findall(text)
    return sum(_is_of(_LEVEL_1, each) for each in hanzi) / len(hanzi) if hanzi else 0.0


def _is_of(first_octets: range, hanzi: str) -> bool:
    pair = hanzi.encode("gb18030")
    return len(pair) == 2 and pair[0] in first_octets and pair[1] >= 0xA1
