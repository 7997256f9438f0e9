"""Certificates and exchange ids: how they are written, what they prove, what they say of a person. Pure.

Citizen numbers after GB 11643-1999, residence permits of the regions 81, 82 and 83 included. Permits as the National
Immigration Administration prints them: 港澳居民来往内地通行证 (a letter and eight digits for life, before 2013 followed
by two that count the cards), 台湾居民来往大陆通行证 (eight digits for life).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

GB11643, PASSPORT, HMT, TWT, HEALTH_CARD, BIRTH = "GB11643", "passport", "HMT", "TWT", "health-card", "birth"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of one kind of certificate."""

    name: str
    #: Of the number as `normal` leaves it; the groups that count are joined.
    form: re.Pattern[str]
    #: A person has one number of this kind for life: two that differ are two people.
    lifelong: bool


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(GB11643, re.compile(r"(\d{17}[\dX])"), True),
        Kind(PASSPORT, re.compile(r"([A-Z0-9]{5,20})"), False),
        Kind(HMT, re.compile(r"([HM]\d{8})(?:\d\d)?"), True),
        Kind(TWT, re.compile(r"(\d{8})(?:\d\d)?"), True),
        Kind(HEALTH_CARD, re.compile(r"([0-9A-F]{32,128})"), False),
        Kind(BIRTH, re.compile(r"([A-Z]\d{9})"), True),
    )
}
_SEPARATORS = re.compile(r"[\s\-－—·.．/]+")
#: GB 11643-1999 4.1.4: ISO 7064 MOD 11-2.
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
#: Crockford's base 32: no I, L, O, U.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MISREAD = str.maketrans("ILO", "110")
_EXCHANGE = re.compile(f"HT[{_ALPHABET}]{{17}}")


@lru_cache(maxsize=16384)
def normal(kind: str, number: str) -> str:
    """The number as it is compared; empty where it is none of this kind (wrong form, check digit or birth date).

    Full width and lower case are folded, separators dropped; a citizen number of 15 digits is written with 18.

    >>> normal("GB11643", " １１０１０５ 19491231 002x")
    '11010519491231002X'
    """
    known = KINDS.get(kind)
    if known is None:
        return ""
    text = _SEPARATORS.sub("", unicodedata.normalize("NFKC", number).upper())
    if kind == GB11643 and re.fullmatch(r"\d{15}", text, re.ASCII):
        text = _of_eighteen(text)
    found = known.form.fullmatch(text) if text.isascii() else None
    if found is None or len(set(found[1])) == 1 or (kind == GB11643 and not _is_citizen(found[1])):
        return ""
    return found[1]


def sound(certificates: Iterable[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Those (kind, number) that prove something, as they are compared."""
    return _sound(tuple(certificates))


@lru_cache(maxsize=16384)
def _sound(certificates: tuple[tuple[str, str], ...]) -> frozenset[tuple[str, str]]:
    return frozenset((kind, value) for kind, number in certificates if (value := normal(kind, number)))


def other_for_life(some: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]) -> bool:
    """Whether both have one of a kind of which one has only one for life, and not the same."""
    mine, theirs = sound(some), sound(others)
    kinds = {kind for kind, _ in mine} & {kind for kind, _ in theirs}
    shared = {kind for kind, _ in mine & theirs}
    return any(KINDS[kind].lifelong for kind in kinds - shared)


def _of_eighteen(fifteen: str) -> str:
    """GB 11643-1989 wrote the year with two digits and had no check digit; all are of the twentieth century."""
    seventeen = f"{fifteen[:6]}19{fifteen[6:]}"
    return seventeen + check_digit(seventeen)


def check_digit(seventeen: str) -> str:
    """The last character of a citizen number, of the 17 digits before it.

    >>> check_digit("11010519491231002")
    'X'
    """
    return _CHECKS[sum(int(digit) * weight for digit, weight in zip(seventeen, _WEIGHTS, strict=True)) % 11]


def _is_citizen(number: str) -> bool:
    return check_digit(number[:17]) == number[17] and _day(number[6:14]) and number[:2] >= "11"


def _day(text: str) -> bool:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) >= date(1850, 1, 1)
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Said:
    """What a citizen number says of its holder."""

    #: GB/T 2260 code of where the number was given.
    region: str
    #: YYYYMMDD.
    birth_date: str
    #: "M" or "F".
    sex: str


def said_by(number: str) -> Said:
    """Of a citizen number that `normal` gave."""
    return Said(number[:6], number[6:14], "M" if int(number[16]) % 2 else "F")


def exchange_id(bits: int) -> str:
    """The exchange id of 80 random bits: HT, 16 characters of Crockford's base 32, and one that checks them.

    >>> exchange_id(0)
    'HT00000000000000000'
    """
    text = "".join(_ALPHABET[bits >> 5 * place & 31] for place in reversed(range(16)))
    return f"HT{text}{_check(text)}"


def _check(text: str) -> str:
    """A linear code over GF(32), modulo x^5 + x^2 + 1: one wrong character, or two that changed places, show."""
    value = 0
    for character in text:
        value = _doubled(value) ^ _ALPHABET.index(character)
    return _ALPHABET[_doubled(value)]


def _doubled(value: int) -> int:
    return value << 1 if value < 16 else (value << 1) ^ 0b100101


def read_exchange_id(text: str) -> str:
    """The id as it is kept, of how people type it (lower case, spaces, O for 0); empty where it is none.

    >>> read_exchange_id("ht 0000-0000 0000 0000 0")
    'HT00000000000000000'
    """
    folded = _SEPARATORS.sub("", unicodedata.normalize("NFKC", text).upper())
    kept = folded[:2] + folded[2:].translate(_MISREAD)
    return kept if _EXCHANGE.fullmatch(kept) and _check(kept[2:18]) == kept[18] else ""
