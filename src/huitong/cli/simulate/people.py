"""People in households: names of their decade, numbers with right check digits, twins, namesakes, newborns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from random import Random
from typing import Any

from huitong.cli.simulate.tables import (
    Weighted,
    counties,
    family_names,
    given_characters,
    one_character,
    tables,
    words,
)

#: People that are drawn together; batches do not know of each other.
BATCH = 10_000
#: Sequence numbers of GB 11643 that a batch gives first, so that batches seldom give the same.
_NUMBERS = 5
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
#: Beginnings of mobile numbers.
_MOBILE = tuple(map(str, (*range(130, 140), *range(150, 160), *range(176, 190), 166, 199)))


@dataclass(frozen=True, slots=True)
class Person:
    """The truth. `former_*` is what it was before a change, or empty. Dates are YYYYMMDD."""

    number: int
    household: int
    family: str
    given: str
    sex: str
    birth_date: str
    certificate: str
    phone: str
    address: str
    mother: str
    #: Of one birth: 1, 2; None where it is a single birth.
    birth_order: int | None = None
    twin_of: int | None = None
    namesake_of: int | None = None
    #: Not yet named or numbered at its first record.
    newborn: bool = False
    former_given: str = ""
    former_phone: str = ""
    former_address: str = ""
    #: Number and phone of who speaks for the household: parent or spouse.
    relative_certificate: str = ""
    relative_phone: str = ""

    @property
    def name(self) -> str:
        return self.family + self.given

    @property
    def age(self) -> int:
        until: date = tables()["people"]["until"]
        return (int(until.strftime("%Y%m%d")) - int(self.birth_date)) // 10_000


def people(count: int, seed: int = 1, first: int = 0) -> Iterator[Person]:
    """Those numbered from `first`, which begins a batch, to `count`; a thousand are the first of any more."""
    for begin in range(first, count, BATCH):
        for person in _Batch(seed, begin).drawn():
            if person.number >= count:
                return
            yield person


class _Batch:
    def __init__(self, seed: int, first: int) -> None:
        self._first, self._number = first, first
        self._random = Random(f"people {seed} {first}")  # noqa: S311 - made people, the same in every run
        self._shares: dict[str, Any] = tables()["people"]
        self._given_out: dict[tuple[str, str, str], int] = {}
        self._household = first

    def drawn(self) -> Iterator[Person]:
        drawn: list[Person] = []
        while len(drawn) < BATCH:
            drawn += self._one_household()
            if self._chance("namesakes", 2.5):  # households are drawn, people are meant
                drawn.append(self._namesake(self._random.choice(drawn)))
        # What was drawn beyond the batch would have the numbers of the next.
        return iter(drawn[:BATCH])

    def _chance(self, what: str, times: float = 1.0) -> bool:
        return self._random.random() < float(self._shares[what]) * times

    def _next(self) -> int:
        self._number += 1
        return self._number - 1

    # --- households ---

    def _one_household(self) -> list[Person]:
        random = self._random
        self._household += 1
        county, home = self._home()
        head_age = random.randint(20, self._shares["oldest_years"])
        head = self._person(random.choice("MF"), self._day(head_age), county, home)
        members = [head]
        if self._chance("married"):
            born = self._day(max(20, head_age + random.randint(-5, 3)))
            spouse = self._person("F" if head.sex == "M" else "M", born, county, home)
            members[0] = replace(head, relative_certificate=spouse.certificate, relative_phone=spouse.phone)
            members.append(replace(spouse, relative_certificate=head.certificate, relative_phone=head.phone))
            members += self._children(members, county, home)
        if self._chance("twins"):
            members.append(self._grown_twin(members[0], county, home))
        return members

    def _children(self, parents: list[Person], county: str, home: str) -> list[Person]:
        father, mother = sorted(parents, key=lambda one: one.sex, reverse=True)
        children: list[Person] = []
        if not 22 <= mother.age <= 55:
            return children
        newborn = self._chance("newborns", 5)  # of people; one in five or so is drawn as a child
        for _ in range(1 if newborn else _child_counts().draw(self._random)):
            age = 0 if newborn else mother.age - self._random.randint(20, 40)
            if not 0 <= age <= 25:
                continue
            born = self._recently() if newborn else self._day(age)
            child = self._child(father, mother, born, county, home, newborn)
            children.append(child)
            if self._chance("twins"):
                children[-1] = replace(child, birth_order=1)
                children.append(self._twin(children[-1], self._child(father, mother, born, county, home, newborn)))
        return children

    def _child(self, father: Person, mother: Person, born: str, county: str, home: str, newborn: bool) -> Person:
        child = self._person(self._random.choice("MF"), born, county, home, father.family, mother.name)
        phone = mother.phone if child.age < self._shares["phone_of_parent_below_age"] else child.phone
        return replace(
            child, phone=phone, newborn=newborn, birth_order=1 if newborn else None,
            relative_certificate=mother.certificate, relative_phone=mother.phone,
        )  # fmt: skip

    def _grown_twin(self, one: Person, county: str, home: str) -> Person:
        if not self._chance("twins_together"):
            county, home = self._home()
        sex = self._random.choice("MF")
        return self._twin(one, self._person(sex, one.birth_date, county, home, one.family, one.mother))

    def _twin(self, one: Person, other: Person) -> Person:
        """Often with a character of the given name in common."""
        given = other.given
        if len(one.given) == 2 and len(given) == 2 and self._random.random() < 0.5:
            given = one.given[0] + given[1]
        if given == one.given:
            given = one.given[:1] + ("明" if one.given[1:] != "明" else "亮")
        return replace(other, given=given, birth_order=2, twin_of=one.number)

    def _namesake(self, one: Person) -> Person:
        county, home = self._home()
        if self._chance("namesakes_near"):
            county, home = self._home(one.certificate[:6])
        other = self._person(one.sex, one.birth_date, county, home, one.family)
        return replace(other, given=one.given, namesake_of=one.number)

    # --- one person ---

    def _person(self, sex: str, born: str, county: str, home: str, family: str = "", mother: str = "") -> Person:
        random, year = self._random, int(born[:4])
        moved, changed, called = self._chance("moved"), self._chance("phone_changed"), self._chance("name_changed")
        return Person(
            number=self._next(),
            household=self._household,
            family=family or family_names().draw(random),
            given=self._given(sex, year),
            sex=sex,
            birth_date=born,
            certificate=self._certificate(county, born, sex),
            phone="" if self._chance("without_phone") else self._phone(),
            address=home,
            mother=mother or family_names().draw(random) + self._given("F", year - 27),
            former_given=self._given(sex, year) if called else "",
            former_phone=self._phone() if changed else "",
            former_address=self._home()[1] if moved else "",
        )

    def _given(self, sex: str, year: int) -> str:
        decade = year // 10 * 10
        characters = given_characters(sex, decade)
        first = characters.draw(self._random)
        return first if self._random.random() < one_character(decade) else first + characters.draw(self._random)

    def _phone(self) -> str:
        return f"{self._random.choice(_MOBILE)}{self._random.randrange(10**8):08d}"

    def _certificate(self, county: str, born: str, sex: str) -> str:
        given_out = self._given_out.get((county, born, sex), 0)
        self._given_out[county, born, sex] = given_out + 1
        number = (self._first // BATCH * _NUMBERS + given_out) % 500
        digits = f"{county}{born}{2 * number + (sex == 'M'):03d}"
        return digits + check_character(digits)

    def _home(self, county: str = "") -> tuple[str, str]:
        """Code of the county and the address."""
        random, homes = self._random, tables()["homes"]
        code, name = counties().draw(random)
        if county:
            code, name = next(row for row in counties().things if row[0] == county)
        if random.random() < homes["in_villages"]:
            parts = (words("villages"), words("village_families"), ("家", ""), words("village_stems"))
            village = "".join(map(random.choice, parts))
            return code, f"山西省{name}{village}村{random.randint(1, 400)}号"
        street = random.choice(words("streets"))
        building = f"{random.randint(1, 300)}号{random.randint(1, 30)}号楼{random.randint(1, 5)}单元"
        return code, f"山西省{name}{street}路{building}{random.randint(1, 30)}{random.randint(1, 4):02d}"

    def _day(self, age: int) -> str:
        """A birthday of somebody who is so many years old."""
        until: date = tables()["people"]["until"]
        return (until - timedelta(days=int(age * 365.25) + self._random.randrange(365))).strftime("%Y%m%d")

    def _recently(self) -> str:
        until: date = tables()["people"]["until"]
        return (until - timedelta(days=self._random.randrange(90))).strftime("%Y%m%d")


def check_character(digits: str) -> str:
    """Of the 17 digits before it (GB 11643-1999)."""
    total = sum(weight * int(digit) for weight, digit in zip(_ID_WEIGHTS, digits, strict=True))
    return "10X98765432"[total % 11]


@cache
def _child_counts() -> Weighted[int]:
    shares = tables()["people"]["children"]
    return Weighted(range(len(shares)), shares)
