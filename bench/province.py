"""The studies of an archive of any size, each made from its number alone; and what has to be found among the first n.

Nothing is held: a study, and how many there are of a day or of a name, follow from arithmetic. So the right answer is
known at ten million studies as it is at a thousand. Pure.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.corpus import DAYS, FIRST_DAY, SURNAMES, SYLLABLES, Study, uid

#: Changed whenever the same number gives another study, so that no archive of another corpus is gone on with.
VERSION = 1
#: Modalities and what was examined, in turns.
KINDS = (
    ("CT", "胸部CT平扫"),
    ("MR", "颅脑MRI平扫+DWI"),
    ("DX", "胸部正侧位"),
    ("US", "肝胆胰脾彩超"),
    ("CR", "左膝关节正侧位"),
)
INSTITUTIONS = ("TAIYUAN", "YUNCHENG")
#: Coprime to the days and to the seconds of a day: neighbours in number lie far apart in time.
_DAY_STEP, _SECOND_STEP = 1571, 7919
_GIVEN = [(first, second) for first in range(len(SYLLABLES)) for second in range(len(SYLLABLES)) if first != second]
#: Given names in lower case letters and in hanzi.
_FORMS = [tuple(SYLLABLES[first][at] + SYLLABLES[second][at] for at in (0, 1)) for first, second in _GIVEN]
_NAMES = len(SURNAMES) * len(_GIVEN)


def study(number: int) -> Study:
    patient = patient_of(number)
    return Study(
        uid=uid("province", number),
        series_uid=uid("province", number, "series"),
        patient_id=patient_id(patient),
        name=name(_name_number(patient)),
        date=_day(day_of(number)),
        accession=f"GR{number:08d}",
    )


def time_of(number: int) -> str:
    """HHMMSS."""
    seconds = number * _SECOND_STEP % 86_400
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def day_of(number: int) -> int:
    """Days since the first day."""
    return number * _DAY_STEP % DAYS


@lru_cache(maxsize=DAYS)
def _day(day: int) -> str:
    return (FIRST_DAY + datetime.timedelta(days=day)).strftime("%Y%m%d")


def patient_of(number: int) -> int:
    """Every third study is the second one of an earlier patient."""
    third, rest = divmod(number, 3)
    return number if rest else 3 * (third // 2) + 1 + third % 2


def patient_id(patient: int) -> str:
    return f"G{patient:08d}"


def studies_of(patient: int, count: int) -> set[int]:
    """Numbers of a patient's studies among the first `count`."""
    second = 3 * (patient // 3 * 2 + patient % 3 - 1)
    return {number for number in (patient, second) if number < count and patient_of(number) == patient}


@lru_cache(maxsize=_NAMES)
def name(number: int) -> str:
    """A name of the thousands that there are: alphabetic and ideographic group."""
    given, surname = divmod(number, len(SURNAMES))
    first, second = (SYLLABLES[each] for each in _GIVEN[given])
    (family, hanzi) = SURNAMES[surname]
    return f"{family}^{first[0].capitalize()}{second[0]}={hanzi}^{first[1]}{second[1]}"


def _name_number(patient: int) -> int:
    """Spread evenly (the finaliser of MurmurHash3)."""
    mixed = patient
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed ^= mixed >> 33
        mixed = mixed * factor & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ mixed >> 33) % _NAMES


class Province:
    """What there is among the first `count` studies."""

    def __init__(self, count: int) -> None:
        self.count = count

    @cached_property
    def per_day(self) -> NDArray[np.int64]:
        """Studies of each day."""
        whole, rest = divmod(self.count, DAYS)
        found = np.full(DAYS, whole, dtype=np.int64)
        found[[day_of(number) for number in range(rest)]] += 1
        return found

    def days(self, first: int, length: int) -> tuple[str, str]:
        """First and last day, as dates."""
        return _day(first), _day(min(first + length, DAYS) - 1)

    def dates_at(self, offset: int, length: int, first_day: int = 0, days: int = DAYS) -> list[str]:
        """The dates of a page of the list, newest first, of studies of these days."""
        there = self.per_day[first_day : first_day + days][::-1]
        ends = np.cumsum(there)
        places = np.arange(offset, min(offset + length, int(ends[-1]))) if ends.size else np.arange(0)
        last = first_day + there.size - 1
        return [_day(last - int(behind)) for behind in np.searchsorted(ends, places, side="right")]

    @cached_property
    def _per_name(self) -> NDArray[np.int64]:
        found = np.zeros(_NAMES, dtype=np.int64)
        step = 1_000_000  # at a time, so that ten million take no more memory than one
        for first in range(0, self.count, step):
            numbers = np.arange(first, min(first + step, self.count), dtype=np.uint64)
            found += np.bincount(_name_numbers(numbers).astype(np.int64), minlength=_NAMES)
        return found

    def named(self, piece: str) -> int:
        """How many have the piece in their given name, in letters or hanzi; no family name has two such syllables."""
        per_given = self._per_name.reshape(len(_GIVEN), len(SURNAMES)).sum(axis=1)
        return sum(int(per_given[place]) for place, forms in enumerate(_FORMS) if any(piece in form for form in forms))

    def given_names(self, hanzi: bool) -> Iterator[str]:
        """Every given name that there may be: two syllables."""
        return (forms[hanzi] for forms in _FORMS)


def _name_numbers(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """`_name_number` of the patients of many studies."""
    one, three, two = np.uint64(1), np.uint64(3), np.uint64(2)
    third, rest = np.divmod(numbers, three)
    mixed = np.where(rest > 0, numbers, three * (third // two) + one + third % two)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(33)
    return mixed % np.uint64(_NAMES)
