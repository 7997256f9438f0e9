"""Whether two registered names can be one name: hanzi, pinyin, either order, garbled on the way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from huitong.people.forms import HANZI, LOST
from huitong.wire.mending import mended
from huitong.wire.names import name_forms_of
from huitong.wire.text import fold

_HANZI = re.compile(HANZI)
#: How a child without a name is registered: 王芳之子, 王芳之大女, 王芳之婴2, 王芳婴儿, Baby of.
_CHILD_OF = re.compile(
    r".{2,4}?(?:[之的][大小长次双一二三1-3]?(?:[子女儿婴]|儿子|女儿|婴儿)|婴儿?)[一二三甲乙A-Ca-c1-3]?"
    r"|baby .*|.* baby",
    re.IGNORECASE,
)


class Likeness(IntEnum):
    """Of two names, from none to all."""

    #: Both can be read, and they are two names.
    OTHER = 0
    #: One is missing, has lost characters, or is that of a newborn (王芳之子).
    UNKNOWN = 1
    #: Sounds the same, but both came in hanzi, and in other ones: a typing error, or the name of a twin.
    OTHER_HANZI = 2
    #: Sounds the same: at least one came in Latin letters.
    SOUND = 3
    #: The same characters, in either order.
    SAME = 4


def to_be_shown(names: Iterable[str]) -> str:
    """Of the forms in which a name came, the first in hanzi, else the first; empty without one."""
    forms = list(names)
    return next((form for form in forms if not form.isascii()), next(iter(forms), ""))


def likeness(some: Iterable[str], others: Iterable[str]) -> Likeness:
    """The best of all pairs of the forms in which both names came; hanzi that differ outweigh pinyin that agrees."""
    pairs = [(_read(mended(one)), _read(mended(other))) for one in some for other in others]
    best = max((_of(*pair) for pair in pairs), default=Likeness.UNKNOWN)
    hanzi = any(one[0] and other[0] for one, other in pairs)
    return Likeness.OTHER_HANZI if best is Likeness.SOUND and hanzi else best


def _of(one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> Likeness:
    if not one[1] or not other[1]:
        return Likeness.UNKNOWN
    if (one[0] or other[0]) and set(one[0]) == set(other[0]) and len(one[0]) == len(other[0]):
        return Likeness.SAME if one[1] & other[1] else Likeness.SOUND
    return Likeness.SOUND if one[1] & other[1] else Likeness.OTHER


@lru_cache(maxsize=4096)
def _read(name: str) -> tuple[str, frozenset[str]]:
    """The hanzi, and every form of two characters or more that stands for the whole name, initials left out."""
    plain = fold(name)
    if LOST.search(name) or not plain or _CHILD_OF.fullmatch(plain.replace(" ", "")) or _CHILD_OF.fullmatch(plain):
        return "", frozenset()
    hanzi = "".join(_HANZI.findall(plain))
    whole = {form.replace(" ", "") for form in name_forms_of(name)}
    return hanzi, frozenset(form for form in whole if len(form) > 3 or _HANZI.search(form))
