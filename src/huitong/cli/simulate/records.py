"""What institutions registered of people: several records of one person, each with its own gaps and errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from huitong.cli.simulate.people import BATCH, Person
from huitong.cli.simulate.tables import Weighted, family_names, given_characters, homophones, tables
from huitong.wire import pinyin

#: A person goes to so many institutions again and again, rather than to any.
_NEAR = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One registration as the institution sent it, and whose it is."""

    institution: str
    #: Unique within the institution; two institutions give the same to two people.
    number: str
    #: A PN value: hanzi, pinyin, or both.
    name: str
    sex: str
    birth_date: str
    phone: str
    address: str
    mother_name: str
    birth_order: int | None
    #: GB 11643, as it was written.
    certificate: str
    person: int


def records(persons: Iterable[Person], seed: int = 1) -> Iterator[Record]:
    """The records of people as `people` gives them, in their order."""
    clerk = None
    for person in persons:
        if clerk is None or person.number % BATCH == 0:
            clerk = _Clerk(seed, person.number // BATCH)
        yield from clerk.records(person)


class _Clerk:
    def __init__(self, seed: int, batch: int) -> None:
        self._random = Random(f"records {seed} {batch}")  # noqa: S311 - made errors, the same in every run
        self._shares: dict[str, Any] = tables()["records"]
        self._batch = batch
        self._counts: dict[int, int] = {}

    def _chance(self, what: str) -> bool:
        return self._random.random() < float(self._shares[what])

    def records(self, person: Person) -> Iterator[Record]:
        near = [self._random.randrange(self._shares["institutions"]) for _ in range(_NEAR)]
        count = 2 if person.newborn else _record_counts().draw(self._random)
        for at in range(count):
            yield self._record(person, self._random.choice(near), unnamed=person.newborn and at == 0)

    def _record(self, person: Person, institution: int, *, unnamed: bool) -> Record:
        count = self._counts[institution] = self._counts.get(institution, 0) + 1
        mother_missing = "mother_missing_child" if person.age < 15 else "mother_missing"
        return Record(
            institution=f"H{institution + 1:03d}",
            number=f"P{self._batch:04d}{count:05d}",
            name=f"{person.mother}之{'子' if person.sex == 'M' else '女'}" if unnamed else self._name(person),
            sex=self._sex(person.sex),
            birth_date=self._date(person.birth_date),
            phone=self._phone(person),
            address=self._address(person),
            mother_name="" if not unnamed and self._chance(mother_missing) else person.mother,
            birth_order=person.birth_order if unnamed or person.newborn else None,
            certificate="" if unnamed else self._certificate(person),
            person=person.number,
        )

    def _name(self, person: Person) -> str:
        family, given = person.family, person.given
        if person.former_given and self._random.random() < 0.5:
            given = person.former_given
        if self._chance("name_homophone"):
            given = self._exchanged(given, homophones)
        if self._chance("name_other_character"):
            others = given_characters(person.sex, int(person.birth_date[:3]) * 10).things
            given = self._exchanged(given, lambda one: tuple(other for other in others if other != one))
        if self._chance("name_swapped"):
            family, given = given, family
        return self._written(family, given)

    def _exchanged(self, given: str, others: Any) -> str:
        at = self._random.randrange(len(given))
        choice = others(given[at])
        return given[:at] + self._random.choice(choice) + given[at + 1 :] if choice else given

    def _written(self, family: str, given: str) -> str:
        random = self._random.random()
        hanzi = family + given if random < 0.5 else f"{family}^{given}"
        if self._chance("name_pinyin"):
            return _pinyin(family, given, random)
        if self._chance("name_both"):
            return f"{_pinyin(family, given, 0.0)}={family}^{given}"
        if self._chance("name_garbled"):
            raw = hanzi.encode("gb18030")
            return raw.decode("latin-1") if random < 0.5 else hanzi.encode().decode("gb18030", "replace")
        return "?" * (2 * len(hanzi)) if self._chance("name_lost") else hanzi

    def _sex(self, sex: str) -> str:
        if self._chance("sex_missing"):
            return ""
        return ("F" if sex == "M" else "M") if self._chance("sex_wrong") else sex

    def _date(self, born: str) -> str:
        if self._chance("birth_date_missing"):
            return ""
        if self._chance("birth_date_swapped") and born[6:] <= "12":
            return born[:4] + born[6:] + born[4:6]
        if self._chance("birth_date_digit_wrong"):
            at = self._random.choice((3, 5, 7))
            changed = born[:at] + self._random.choice("123456789") + born[at + 1 :]
            return changed if changed[4:6] <= "12" and "00" < changed[6:] <= "28" else born
        return born

    def _phone(self, person: Person) -> str:
        if self._chance("phone_missing"):
            return ""
        phone = person.phone
        if person.former_phone and self._random.random() < 0.5:
            phone = person.former_phone
        if person.relative_phone and self._chance("phone_of_relative"):
            phone = person.relative_phone
        return self._digit_wrong(phone, 3) if phone and self._chance("phone_digit_wrong") else phone

    def _address(self, person: Person) -> str:
        if self._chance("address_missing"):
            return ""
        address = person.address
        if person.former_address and self._random.random() < 0.5:
            address = person.former_address
        if self._chance("address_short"):
            address = address.removeprefix("山西省")
            address = address.split("区")[-1] if self._random.random() < 0.5 else address
        return address

    def _certificate(self, person: Person) -> str:
        if self._chance("certificate_missing"):
            return ""
        if person.relative_certificate and self._chance("certificate_of_relative"):
            return person.relative_certificate
        certificate = person.certificate
        return self._digit_wrong(certificate, 0) if self._chance("certificate_digit_wrong") else certificate

    def _digit_wrong(self, digits: str, first: int) -> str:
        at = self._random.randrange(first, min(len(digits), 17))
        other = str((int(digits[at]) + self._random.randint(1, 9)) % 10)
        return digits[:at] + other + digits[at + 1 :]


def _pinyin(family: str, given: str, random: float) -> str:
    """As systems write it: WANG XIAODONG, Wang^Xiaodong, Xiaodong Wang, wangxiaodong."""
    first, second = _sound(family), _sound(given)
    if random < 0.4:
        return f"{first.title()}^{second.title()}"
    if random < 0.7:
        return f"{first} {second}".upper()
    return f"{second.title()} {first.title()}" if random < 0.9 else first + second


def _sound(hanzi: str) -> str:
    readings = pinyin.surname_readings(hanzi) if hanzi in family_names().things else map(pinyin.readings, hanzi)
    return "".join(next(iter(each), "") for each in readings)


@cache
def _record_counts() -> Weighted[int]:
    shares = tables()["records"]["per_person"]
    return Weighted(range(1, len(shares) + 1), shares)
