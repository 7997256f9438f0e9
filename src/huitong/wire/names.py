"""All the ways a person's name is looked for: hanzi, pinyin, initials, either order of family and given name.

`name_forms` takes the three groups of a PN value (PS3.5 6.2.1). Chinese senders put hanzi into any of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import product

from huitong.wire import pinyin
from huitong.wire.text import MAX_CHARS, fold

#: Pinyin spellings of one name that are indexed, most likely first.
_SPELLINGS = 12
#: Characters of a name that are read as pinyin; longer ones (a sentence in the name field) are found by hanzi only.
_READ = 12

_HANZI = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_CAMEL = re.compile("(?<=[a-z])(?=[A-Z])")
_UMLAUT = str.maketrans(dict.fromkeys("üÜǕǖǗǘǙǚǛǜ", "v"))


def name_forms_of(value: str) -> tuple[str, ...]:
    """`name_forms` of a whole PN value, "alphabetic=ideographic=phonetic"."""
    alphabetic, ideographic, phonetic, *_ = (*value.split("=", 3), "", "", "")
    return name_forms(alphabetic, ideographic, phonetic)


@lru_cache(maxsize=1024)
def name_forms(alphabetic: str, ideographic: str = "", phonetic: str = "") -> tuple[str, ...]:
    """Every folded text by which the person is found, without repetition.

    >>> name_forms("", "王^小东")[:3]
    ('王 小东', '王小东', '小东 王')
    >>> {"wang xiaodong", "xiaodongwang", "wxd"} <= set(name_forms("", "王^小东"))
    True
    """
    forms: dict[str, None] = {}
    for group in dict.fromkeys((alphabetic, ideographic, phonetic)):
        for form in _group_forms(group[:MAX_CHARS]):
            forms[form] = None
            forms[form.replace(" ", "")] = None
    forms.pop("", None)
    return tuple(forms)


def _group_forms(group: str) -> Iterator[str]:
    if not group:
        return
    yield fold(group)
    components = [component for component in group.split("^")[:3] if component.strip()]
    if _HANZI.search(group):
        family, given = _hanzi_parts(components)
        yield from _orders([family], [given])
        yield from _hanzi_pinyin(family, given)
    else:
        yield from _latin_forms(components)


def _orders(family: Sequence[str], given: Sequence[str]) -> Iterator[str]:
    """Family name first and given name first."""
    yield " ".join((*family, *given))
    yield " ".join((*given, *family))


def _hanzi_parts(components: list[str]) -> tuple[str, str]:
    """Family and given name; where the sender wrote them as one, the surname is told by the table."""
    whole = fold(" ".join(components)).split()
    if len(whole) > 1:
        return whole[0], "".join(whole[1:])
    length = pinyin.surname_length(whole[0]) if whole else 0
    return "".join(whole)[:length], "".join(whole)[length:]


def _hanzi_pinyin(family: str, given: str) -> Iterator[str]:
    """Full pinyin in both orders, and initials, for a bounded number of readings."""
    surname = _HANZI.fullmatch(family) and pinyin.surname_readings(family)
    per_character = [*(surname or ()), *(pinyin.readings(one) for one in given)]
    if not surname or len(per_character) > _READ or not all(per_character):
        return
    split = len(family)
    for way in _likeliest(per_character):
        yield from _pinyin_forms(way[:split], way[split:])


def _pinyin_forms(family: Sequence[str], given: Sequence[str]) -> Iterator[str]:
    """Of one spelling: syllable by syllable, as two words in both orders, initials."""
    yield " ".join((*family, *given))
    yield from _orders(["".join(family)], ["".join(given)])
    yield "".join(syllable[0] for syllable in (*family, *given))


def _likeliest(per_character: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Combinations of the characters' readings, those of common readings first; at most `_SPELLINGS`."""
    ways: list[tuple[int, tuple[str, ...]]] = [(0, ())]
    for options in per_character:
        longer = [
            (rank + place, (*way, written))
            for rank, way in ways
            for place, reading in enumerate(options)
            for written in pinyin.spellings(reading)
        ]
        ways = sorted(longer, key=_rank)[:_SPELLINGS]
    return [way for _, way in ways]


def _rank(ranked: tuple[int, tuple[str, ...]]) -> int:
    return ranked[0]


def _latin_forms(components: list[str]) -> Iterator[str]:
    """Both orders and initials; if every word is pinyin, cut into syllables with the spellings of ü."""
    parts = components if len(components) > 1 else (components or [""])[0].split()
    family, given = (fold(part) for part in (*(parts or [""])[:1], " ".join(parts[1:])))
    yield from _orders([family], [given])
    words = f"{family} {given}".split()
    if len(words) > 1:
        yield "".join(word[0] for word in words)
    family_ways = _syllables((parts or [""])[0])
    given_ways = _syllables(" ".join(parts[1:]))
    for family_way, given_way in product(family_ways[:2], given_ways[:3]):
        for way in _likeliest([(syllable,) for syllable in (*family_way, *given_way)][:_READ]):
            yield from _pinyin_forms(way[: len(family_way)], way[len(family_way) :])


def _syllables(part: str) -> list[tuple[str, ...]]:
    """The ways to read a written part as pinyin; capitals inside a word (XiaoDong) are syllable boundaries."""
    composed = unicodedata.normalize("NFC", part).translate(_UMLAUT)
    words = fold(_CAMEL.sub(" ", composed)).split()[:_READ]
    # In a name written in several words a word that can be one syllable is one: Xiao Dong has no Xi'ao.
    limit = 3 if len(words) == 1 else 1
    ways = product(*(pinyin.segmentations(word, limit) for word in words))
    return [tuple(_chain(way)) for way, _ in zip(ways, range(3), strict=False)] if words else []


def _chain(way: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for syllables in way:
        yield from syllables


def masked(name: str) -> str:
    """The name as a screen may show it: 张*三, 张*, 欧**娜; of several words each keeps its first letter."""
    words = name.split()
    if len(words) > 1:
        return " ".join(f"{word[0]}{'*' * (len(word) - 1)}" for word in words)
    if len(name) < 3:
        return f"{name[:1]}{'*' * (len(name) - 1)}"
    return f"{name[0]}{'*' * (len(name) - 2)}{name[-1]}"
