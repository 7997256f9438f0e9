"""How far two values agree: for each kind of field a function that gives one of few levels, best first.

The same functions serve the training (Splink calls them from SQL) and the look-up, so that a level means the same in
both. All are symmetric. "" stands for: not to be compared, because one side is missing or unreadable. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product

from huitong.people.forms import Address, Name
from huitong.people.identifiers import normal

MISSING = ""
#: Of names, best first; what comes after `TYPED` are other names, or this one changed.
NAMES = (
    "same", "same, other order", "same sound and tone", "same sound", "similar sound", "one character",
    "given name only", "family name only", "different",
)  # fmt: skip
DATES = ("same", "day and month swapped", "one digit", "digits swapped", "year", "different")
PHONES = ("same", "one digit", "different")
ADDRESSES = ("same", "same numbers", "similar", "different")
MOTHERS = ("same", "same sound", "different")
CERTIFICATES = ("same", "one digit", "different")
#: Of a given name and a family name that may have changed places.
NAME_PAIRS = (
    "same", "changed places", "one same, other similar", "both similar", "one same, other missing", "one same",
    "one similar", "different",
)  # fmt: skip
NUMBERS = ("same", "one digit", "different")
TEXTS = ("same", "very similar", "similar", "different")
#: Shares of equal pairs of characters (Dice), and Jaro-Winkler, from which texts are called so.
_SAME_NUMBERS_DICE, _SIMILAR_DICE = 0.5, 0.6
_VERY_SIMILAR_JW, _SIMILAR_JW = 0.92, 0.8
_SOUND_JW = 0.92


def names(a: Sequence[Name], b: Sequence[Name]) -> str:
    """The best level that any form of one reaches with any of the other."""
    if not a or not b:
        return MISSING
    found = {_pair(*pair) for pair in product(a, b)}
    return next(level for level in NAMES if level in found)


def _pair(a: Name, b: Name) -> str:
    if a.hanzi and b.hanzi:
        if a.hanzi == b.hanzi:
            return "same"
        if is_turned(a.hanzi, b.hanzi):
            return "same, other order"
        if a.toned == b.toned:
            return "same sound and tone"
    if not set(a.ways).isdisjoint(b.ways):
        return "same sound"
    both = bool(a.hanzi and b.hanzi)
    if both and a.family == b.family and _one_character(a.given, b.given):
        return "one character"
    if not both and _sounds_similar(a, b):
        return "similar sound"
    if both and len(a.given) > 1 and a.given == b.given:
        return "given name only"
    return _parts_equal(a, b, both)


def is_turned(a: str, b: str) -> bool:
    """Whether it is the other with one or two characters of one end put to the other end."""
    return len(a) == len(b) > 1 and any(a[at:] + a[:at] == b for at in (1, 2, len(a) - 1, len(a) - 2))


def _one_character(a: str, b: str) -> bool:
    return max(len(a), len(b)) > 1 and within_one(a, b)


def _sounds_similar(a: Name, b: Name) -> bool:
    first = "".join((*a.ways[0][0], *a.ways[0][1])) if a.ways else ""
    others = ("".join((*family, *given)) for family, given in b.ways)
    return any(jaro_winkler(first, other) >= _SOUND_JW for other in others)


def _parts_equal(a: Name, b: Name, both: bool) -> str:
    if both:
        return "family name only" if a.family == b.family else "different"
    for (family, given), (other_family, other_given) in product(a.ways, b.ways):
        if family == other_family:
            return "family name only"
        if len(given) > 1 and given == other_given:
            return "given name only"
    return "different"


def sex(a: str, b: str) -> str:
    """F and M; whatever else is there is not known."""
    if a not in ("M", "F") or b not in ("M", "F"):
        return MISSING
    return "same" if a == b else "different"


def birth_date(a: str, b: str) -> str:
    """Of two dates YYYYMMDD."""
    if not a or not b:
        return MISSING
    if a == b:
        return "same"
    if a[:4] == b[:4] and a[4:6] == b[6:] and a[6:] == b[4:6]:
        return "day and month swapped"
    differing = [at for at in range(8) if a[at] != b[at]]
    if len(differing) == 1:
        return "one digit"
    first, second = differing[0], differing[1]
    if len(differing) == 2 and second == first + 1 and a[first] == b[second] and a[second] == b[first]:
        return "digits swapped"
    return "year" if a[:4] == b[:4] else "different"


def phones(a: Sequence[str], b: Sequence[str]) -> str:
    if not a or not b:
        return MISSING
    if any(one in b for one in a):
        return "same"
    typed = any(len(one) == len(other) > 9 and within_one(one, other) for one in a for other in b)
    return "one digit" if typed else "different"


def address(a: Address | None, b: Address | None) -> str:
    if a is None or b is None:
        return MISSING
    if a.whole == b.whole:
        return "same"
    common = len(a.pairs & b.pairs)
    dice = 2 * common / (len(a.pairs) + len(b.pairs))
    if a.digits and a.digits == b.digits and (dice >= _SAME_NUMBERS_DICE or common == min(len(a.pairs), len(b.pairs))):
        return "same numbers"
    return "similar" if dice >= _SIMILAR_DICE else "different"


def mother(a: Sequence[Name], b: Sequence[Name]) -> str:
    level = names(a, b)
    if level in ("", "same"):
        return level
    return "same sound" if level in NAMES[: NAMES.index("one character")] else "different"


def birth_order(a: int | None, b: int | None) -> str:
    if a is None or b is None:
        return MISSING
    return "same" if a == b else "different"


def certificates(a: Sequence[tuple[str, str]], b: Sequence[tuple[str, str]]) -> str:
    """Of numbers of the same kind. A right number beside one that its check digit refutes may be a typing error."""
    found = {_certificate(kind, one, other) for kind, one in a for other_kind, other in b if kind == other_kind}
    return next((level for level in CERTIFICATES if level in found), MISSING)


def _certificate(kind: str, a: str, b: str) -> str:
    if a == b:
        return "same"
    typed = not (normal(kind, a) and normal(kind, b)) and len(a) > 7 and within_one(a, b)
    return "one digit" if typed else "different"


def alike(a: str, b: str) -> str:
    if not a or not b:
        return MISSING
    if a == b:
        return "same"
    similarity = jaro_winkler(a, b)
    return TEXTS[1] if similarity >= _VERY_SIMILAR_JW else TEXTS[2] if similarity >= _SIMILAR_JW else TEXTS[3]


def name_pair(a: tuple[str, str], b: tuple[str, str]) -> str:
    """Of (given name, family name) in one script, as countries with one script register them."""
    if not any(a) or not any(b):
        return MISSING
    if a == b:
        return "same"
    if all(a) and a == (b[1], b[0]):
        return "changed places"
    found = {_name_pair(a, b), _name_pair(a, (b[1], b[0]))}
    return next(level for level in NAME_PAIRS if level in found)


def _name_pair(a: tuple[str, str], b: tuple[str, str]) -> str:
    parts = [alike(one, other) for one, other in zip(a, b, strict=True)]
    same, missing = parts.count("same"), parts.count(MISSING)
    near = sum(part in TEXTS[1:3] for part in parts)
    if same:
        return "one same, other similar" if near else "one same, other missing" if missing else "one same"
    return "both similar" if near == 2 else "one similar" if near else "different"


def number(a: str, b: str) -> str:
    """Of numbers of one kind, as digits."""
    if not a or not b:
        return MISSING
    return "same" if a == b else "one digit" if within_one(a, b) else "different"


def within_one(a: str, b: str) -> bool:
    """Whether one character put in, left out, exchanged or changed places with its neighbour makes `a` of `b`."""
    if abs(len(a) - len(b)) > 1:
        return False
    if len(a) > len(b):
        a, b = b, a
    at = next((at for at, (one, other) in enumerate(zip(a, b, strict=False)) if one != other), len(a))
    if len(a) < len(b):
        return a[at:] == b[at + 1 :]
    return a[at + 1 :] == b[at + 1 :] or (
        a[at + 1 : at + 2] + a[at : at + 1] == b[at : at + 2] and a[at + 2 :] == b[at + 2 :]
    )


@lru_cache(maxsize=65536)
def jaro_winkler(a: str, b: str) -> float:
    """From 0 to 1 (W. E. Winkler, 1990), prefix weight 0.1 for at most four characters."""
    if a == b:
        return 1.0
    if (len(a), a) > (len(b), b):
        a, b = b, a
    jaro = _jaro(a, b)
    prefix = next((at for at in range(min(4, len(a))) if a[at] != b[at]), min(4, len(a)))
    return jaro + prefix * 0.1 * (1 - jaro)


def _jaro(a: str, b: str) -> float:
    reach = max(len(b) // 2 - 1, 0)
    taken = [False] * len(b)
    matched = []
    for at, one in enumerate(a):
        for other in range(max(0, at - reach), min(len(b), at + reach + 1)):
            if not taken[other] and b[other] == one:
                taken[other] = True
                matched.append(one)
                break
    if not matched:
        return 0.0
    there = [one for one, was in zip(b, taken, strict=True) if was]
    moved = sum(one != other for one, other in zip(matched, there, strict=True)) // 2
    count = len(matched)
    return (count / len(a) + count / len(b) + (count - moved) / count) / 3


#: The kinds of comparison that a model may name.
_KINDS: tuple[Callable[..., str], ...] = (
    names, sex, birth_date, phones, address, mother, birth_order, certificates, alike, name_pair, number,
)  # fmt: skip
KINDS: dict[str, Callable[..., str]] = {one.__name__: one for one in _KINDS}
