"""How the words of a registration are read for comparing: names in hanzi and pinyin, addresses, phones, certificates.

Knows how Chinese registrars and systems write and garble; knows nothing of weights and decisions. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product

from huitong.wire import pinyin
from huitong.wire.mending import mended
from huitong.wire.text import fold

#: A hanzi, those of private use too (GB 18030 has rare names there), as a class of regular expressions.
HANZI = "[\u3007\u3400-\u9fff\ue000-\uf8ff\uf900-\ufaff\U00020000-\U0003ffff]"
_HANZI = re.compile(f"{HANZI}+")
#: What separates family and given name, in DICOM (PS3.5 6.2.1), HL7 v2 and on paper.
_SEPARATORS = re.compile(r"[\^\s·•・,，]+")
#: What is left where a decoder met bytes that it could not read.
LOST = re.compile("[\ufffd?？\x00-\x1f]|锟斤拷|烫烫|屯屯")
#: How a newborn without a name is registered: 王芳之子, 王芳之大女, 王芳之婴2, 王芳婴儿.
_CHILD_OF = re.compile(
    r"(?P<mother>.{2,4}?)(?:[之的][大小长次双一二三1-3]?(?:子|女|儿|婴|儿子|女儿|婴儿)|婴儿?)[一二三甲乙A-Ca-c1-3]?"
)
#: Readings of a name with characters of several readings (单, 乐, 重) that are kept.
_WAYS = 4
#: Characters of a name that are read; what is longer is no name.
_READ = 16


@dataclass(frozen=True, slots=True)
class Name:
    """One form of a person's name, read."""

    #: As written, without separators; empty where it came in Latin letters.
    hanzi: str
    family: str
    given: str
    #: Syllables without tones of family and given name, likeliest first; of what is no pinyin the words.
    ways: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    #: The syllables of each way in alphabetical order: the same for either order of family and given name.
    sounds: frozenset[str]
    #: The usual reading with tones; empty for Latin letters.
    toned: str


@dataclass(frozen=True, slots=True)
class Address:
    whole: str
    pairs: frozenset[str]
    #: House, building, unit and room numbers, in their order.
    digits: str


@lru_cache(maxsize=16384)
def read_name(form: str) -> tuple[Name, ...]:
    """The names in one received form, of a PN value one for each group; without what is unreadable or no name."""
    found = []
    for group in form.split("="):
        text = unicodedata.normalize("NFKC", mended(group)).strip()
        if text.strip("^ ") and not LOST.search(text) and not mother_in(text):
            found.append(_hanzi_name(text) if _HANZI.search(text) else _latin_name(text))
    return tuple(name for name in found if name is not None)


def mother_in(form: str) -> str:
    """The mother's name, where a newborn is registered as her child; else empty.

    >>> mother_in("王芳之子"), mother_in("王子"), mother_in("李娜之女2")
    ('王芳', '', '李娜')
    """
    found = _CHILD_OF.fullmatch(_SEPARATORS.sub("", form))
    return found["mother"] if found else ""


def _hanzi_name(text: str) -> Name | None:
    parts = [part for part in _SEPARATORS.split(text) if part]
    whole = "".join(_HANZI.findall("".join(parts)))[:_READ]
    length = pinyin.surname_length(whole)
    if len(parts) > 1 and len(parts[0]) < len(whole):
        length = len(parts[0])
    family, given = whole[:length], whole[length:]
    readings = [*pinyin.surname_readings(family), *(pinyin.readings(one) for one in given)]
    each = [
        [pinyin.without_umlaut(one) for one in ones[:2]] or [hanzi] for hanzi, ones in zip(whole, readings, strict=True)
    ]
    ways = tuple((tuple(way[:length]), tuple(way[length:])) for way in islice(product(*each), _WAYS))
    toned = " ".join((*(ones[0] for ones in each[:length]), *map(pinyin.toned, given)))
    return Name(whole, family, given, ways, _sounds(ways), toned) if whole else None


def _latin_name(text: str) -> Name | None:
    words = [fold(part) for part in re.split(r"[\^\s,]+", _cut_at_capitals(text)) if fold(part)]
    groups = [group.split() for group in (fold(part) for part in text.split("^")) if group] or [words]
    if len(groups) == 1:
        groups = [[words[0]], words[1:]] if len(words) > 1 else [words]
    cut = [_syllables(group) for group in groups if group]
    if not cut:
        return None
    if len(cut) == 1:  # wangxiaodong
        cut = [cut[0][:1], cut[0][1:]]
    family, given = cut[0], tuple(one for part in cut[1:] for one in part)
    ways = ((family, given), (given, family)) if given else ((family, ()),)
    if len(given) > 1:  # Xiao Dong Wang
        ways = (*ways, (given[-1:], (*family, *given[:-1])))
    return Name("", "", "", ways, _sounds(ways), "")


def _cut_at_capitals(text: str) -> str:
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", text)


def _syllables(words: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for word in words:
        ways = pinyin.segmentations(word, 1)
        found += (pinyin.without_umlaut(one) for one in ways[0]) if ways else [word]
    return tuple(found)


def _sounds(ways: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]) -> frozenset[str]:
    return frozenset(" ".join(sorted((*family, *given))) for family, given in ways)


@lru_cache(maxsize=16384)
def read_address(text: str) -> Address | None:
    """None for an address that says nothing."""
    folded = fold(text)
    whole = folded.replace(" ", "")
    if len(whole) < 3:
        return None
    return Address(whole, frozenset(whole[at : at + 2] for at in range(len(whole) - 1)), _numbers(folded))


def house_numbers(text: str) -> str:
    """`Address.digits`, where the rest of the address is not wanted."""
    return _numbers(fold(text))


def _numbers(folded: str) -> str:
    return "-".join(re.findall(r"\d+", folded))


@lru_cache(maxsize=16384)
def read_phone(text: str) -> str:
    """The digits that count: a mobile number without its country code, a fixed line without area code's zero."""
    digits = "".join(one for one in unicodedata.normalize("NFKC", text) if one.isdecimal())
    digits = digits.removeprefix("0086") if len(digits) > 13 else digits
    digits = digits[2:] if len(digits) == 13 and digits.startswith("86") else digits
    digits = digits.lstrip("0")
    return "" if len(digits) < 7 or len(set(digits)) < 3 else digits[-11:]


def read_date(text: str) -> str:
    """YYYYMMDD, or empty where there is none: also for the dates that systems put where they know none."""
    digits = "".join(one for one in text[:10] if one.isdecimal())
    return "" if len(digits) != 8 or digits.startswith(("0", "19000101", "99")) else digits
