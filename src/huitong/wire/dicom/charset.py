"""Text of a data set as Unicode, whatever it was declared to be (PS3.3 C.12.1.1.2, PS3.5 6.1).

What is declared is believed unless the octets say otherwise: much Chinese equipment writes GBK or UTF-8 and declares
Latin-1 or nothing. The rule for telling them apart is `_as_gbk`; European names must survive it. Nothing here raises on
text: what cannot be decoded is replaced (U+FFFD).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from pydicom.charset import CODES_TO_ENCODINGS, STAND_ALONE_ENCODINGS, handled_encodings, python_encoding

Decode = Callable[[bytes], str]

_DEFAULT = "iso8859"
#: Single-byte sets under which equipment writes other text undeclared; with the others only UTF-8 hanzi are looked for,
#: as Cyrillic or Thai octets look like GB 2312.
_CARELESS = frozenset({"iso8859", "latin_1"})
_SINGLE_BYTE = _CARELESS | {
    "iso8859_2", "iso8859_3", "iso8859_4", "iso_ir_126", "iso_ir_127", "iso_ir_138", "iso_ir_144", "iso_ir_148",
    "iso_ir_166",
}  # fmt: skip
#: Names that are no defined terms but are met; keys as `_normal` makes them.
_ALIASES = {
    "UTF8": "utf_8", "ISOIR192": "utf_8", "GB18030": "gb18030", "GBK": "gbk", "GB2312": "gb18030", "CP936": "gbk",
    "ISO88591": "latin_1", "LATIN1": "latin_1", "ASCII": _DEFAULT, "BIG5": "big5", "SHIFTJIS": "shift_jis",
    "EUCKR": "euc_kr", "EUCJP": "euc_jp",
}  # fmt: skip
_FRAGMENT = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_DELIMITER = re.compile(rb"[\t\n\f\r]")
_HANZI_RANGES = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_HANZI = re.compile(f"[{_HANZI_RANGES}]")
#: ASCII, hanzi and punctuation of Chinese text: CJK symbols, full-width forms, what GB 2312 row 1 has of general use.
_CHINESE = re.compile(f"[\\x00-\\x7f{_HANZI_RANGES}\u3000-\u303f\uff00-\uffef·—‘’“”…×÷±°～]*")


def _gb(first: range, second: range) -> frozenset[str]:
    """The hanzi whose two octets in GB 2312 lie in these ranges."""
    pairs = (bytes((a, b)).decode("gb2312", "ignore") for a in first for b in second)
    return frozenset(pair for pair in pairs if _HANZI.fullmatch(pair))


_LEVEL_1 = _gb(range(0xB0, 0xD8), range(0xA1, 0xFF))
_TWO_LETTERS = "".join(sorted(_gb(range(0xC0, 0xF8), range(0xC0, 0xFF))))
#: A hanzi alone, beside a Latin letter, whose octets are both letters of Latin-1 as well.
_ACCENTS = re.compile(
    f"(?<=[A-Za-z])[{_TWO_LETTERS}](?![^\\x00-\\x7f])|(?<![^\\x00-\\x7f])[{_TWO_LETTERS}](?=[A-Za-z])"
)
#: How many characters are looked at to judge a text; longer ones are decoded whole by what their beginning says.
_EVIDENCE = 2000


def _normal(term: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", term.upper())


_TERMS = {_normal(term): "utf_8" if codec == "UTF8" else codec for term, codec in python_encoding.items() if term}
_TERMS |= {alias: codec for alias, codec in _ALIASES.items() if alias not in _TERMS}


def _codec(term: str) -> str:
    """Python's name for a defined term, common misspellings included; the default repertoire when it is unknown."""
    return _TERMS.get(_normal(term), _DEFAULT) if term else _DEFAULT


@lru_cache(maxsize=256)
def decoder(terms: tuple[str, ...]) -> Decode:
    """What turns a text value into Unicode under Specific Character Set `terms` (empty: the default repertoire)."""
    first, *others = terms or ("",)
    extensions = [term for term in others if term not in STAND_ALONE_ENCODINGS]
    if first in STAND_ALONE_ENCODINGS:
        extensions = []  # UTF-8, GBK and GB18030 allow no code extensions
    codecs = (_codec(first), *(_codec(term) for term in extensions))

    def decode(raw: bytes) -> str:
        if 0x1B in raw:
            return "".join(_fragment(part, codecs) for part in _FRAGMENT.findall(raw))
        return _decode(raw, codecs[0])

    return decode


def _decode(raw: bytes, codec: str) -> str:
    """Text without escape sequences: as declared, or as what it plainly is instead."""
    if raw.isascii():
        return raw.decode(codec, "replace")
    if codec in _SINGLE_BYTE:
        text = _as_utf8(raw, careless=codec in _CARELESS)
        if text is None and codec in _CARELESS:
            text = _as_gbk(raw)
        return raw.decode(codec, "replace") if text is None else text
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        text = _as_utf8(raw, careless=True) or _as_gbk(raw)
        return raw.decode(codec, "replace") if text is None else text


def _as_utf8(raw: bytes, *, careless: bool) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if careless or len(_HANZI.findall(text, 0, _EVIDENCE)) > 1 else None


def _as_gbk(raw: bytes) -> str | None:
    """`raw` as Chinese text in GBK or GB18030, or None where it may as well be something else.

    Every character beyond ASCII must be a hanzi or Chinese punctuation, and at least half of the hanzi among the 3755
    of GB 2312 level 1 (both octets high, the first B0-D7), which everyday text is made of. A lone pair of octets that
    are both Latin-1 letters, inside a word in Latin letters, is two accented letters ("JÄÄSKELÄINEN"), not a hanzi.
    """
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        return None
    sample = text[:_EVIDENCE]
    hanzi = _HANZI.findall(sample)
    if not hanzi or not _CHINESE.fullmatch(sample) or _ACCENTS.search(sample):
        return None
    return text if 2 * sum(map(_LEVEL_1.__contains__, hanzi)) >= len(hanzi) else None


def _fragment(raw: bytes, codecs: tuple[str, ...]) -> str:
    """One stretch of ISO 2022 text (PS3.5 6.1.2.5): from an escape sequence to the next, or before the first."""
    if raw[:1] != b"\x1b":
        return _decode(raw, codecs[0])
    size = 4 if raw[:3] in (b"\x1b$(", b"\x1b$)") else 3
    codec = CODES_TO_ENCODINGS.get(raw[:size], "")
    if not codec:
        return raw.decode(codecs[0], "replace")
    # an extension that is used though not declared is read as well: its escape sequence says what it is
    if codec in handled_encodings:
        return raw.decode(codec, "replace")  # Python reads the escape sequence itself
    raw = raw[size:]
    delimiter = _DELIMITER.search(raw)
    if delimiter is None:
        return raw.decode(codec, "replace")
    at = delimiter.start()  # a delimiter brings back the first character set
    return raw[:at].decode(codec, "replace") + raw[at:].decode(codecs[0], "replace")
