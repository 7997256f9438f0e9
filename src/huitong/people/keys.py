"""Under which keys a registration is looked up, so that another of the same person is among the few that share one.

Each key needs only part of what was registered to be right: a typing error, swapped fields or a new address spoil some
keys and leave others. All are selective: of ten million records few share one, because each holds a number that is
nearly a person's own or a name with most of a date (`bench/matching` measures both). Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import product

from huitong.people.forms import Address, Name

#: Bytes of a key's digest: among 10^9 keys a few meet by chance, which costs a comparison and no more.
_DIGEST_BYTES = 7


def keys(
    certificates: Sequence[tuple[str, str]],
    phones: Sequence[str],
    names: Sequence[Name],
    birth_date: str,
    mothers: Sequence[Name],
    address: Address | None,
) -> tuple[str, ...]:
    """A letter for the kind and a digest, most selective kinds first. Opaque: a key tells nobody's number or name."""
    parts: list[tuple[str, str]] = [("c", f"{kind}|{value}") for kind, value in certificates]
    parts += (("p", phone) for phone in phones)
    if birth_date:
        sounds = {min(name.sounds) for name in names}
        parts += (part for sound in sorted(sounds) for part in _name_and_date(sound, birth_date))
        parts += sorted({("f", f"{pair}|{birth_date}") for name in names for pair in _pairs(name)})
        parts += sorted({("g", f"{given}|{birth_date}") for name in names for given in _given(name)})
        parts += sorted({("m", f"{min(mother.sounds)}|{birth_date}") for mother in mothers})
        parts += [("a", f"{address.digits}|{birth_date}")] if address is not None and "-" in address.digits else []
    return tuple(dict.fromkeys(kind + _digest(text) for kind, text in parts))


def _name_and_date(sound: str, birth_date: str) -> Iterator[tuple[str, str]]:
    """With two of the three parts of the date, so that one may be wrong; and with month and day in either order."""
    year, month, day = birth_date[:4], birth_date[4:6], birth_date[6:]
    yield "d", f"{sound}|{month}{day}"
    yield "y", f"{sound}|{year}|{day}"
    yield "n", f"{sound}|{year}{month}"
    if month != day and day <= "12":
        yield "s", f"{sound}|{year}|{min(month, day)}{max(month, day)}"


def _pairs(name: Name) -> Iterator[str]:
    """A syllable of the family name with one of the given name, in alphabetical order: one character may be wrong."""
    family, given = name.ways[0]
    for one, other in product(family[:2], given[:4]):
        yield " ".join(sorted((one, other)))


def _given(name: Name) -> Iterator[str]:
    """A given name of several syllables; of a name in Latin letters either part may be it."""
    parts = [name.ways[0][1]] if name.hanzi else name.ways[0]
    return (" ".join(part) for part in parts if len(part) > 1)


def _digest(text: str) -> str:
    return urlsafe_b64encode(blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()).decode().rstrip("=")
