"""How likely two registrations are one person: levels of agreement, their weights, and what weights must not decide.

The weights are trained (docs/decisions/0010-matching.md). Beside strangers two more explanations are weighed: that it
is two of one household, or twins. And whatever the weights say, some evidence never reaches the probability from which
records are joined (`GUARDS`). Certificates that decide by themselves are the business of the rules. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from math import log2

from huitong.catalog.matching import MATCHING
from huitong.people import keys as blocking
from huitong.people import levels
from huitong.people.forms import (
    Address,
    Name,
    house_numbers,
    mother_in,
    read_address,
    read_date,
    read_name,
    read_phone,
)
from huitong.people.identifiers import other_for_life
from huitong.people.model import Agreement, Demographics
from huitong.people.weights import Model, NameFrequencies, read_model

MODEL_FILE = "model_population.json"
#: How far below the probability of joining guarded evidence stays.
_GUARD_BITS = 1.0
#: The same numbers, added in another order.
_ROUNDING_BITS = 1e-6


@dataclass(frozen=True, slots=True)
class Score:
    """`weight_bits` is the sum of the agreements' and the base-2 logarithm of the odds that it is one person."""

    weight_bits: float
    probability: float
    agreements: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Demographics as they are compared."""

    names: tuple[Name, ...]
    sex: str
    birth_date: str
    phones: tuple[str, ...]
    address: Address | None
    mother: tuple[Name, ...]
    birth_order: int | None
    certificates: tuple[tuple[str, str], ...]


@lru_cache(maxsize=8192)
def read(known: Demographics) -> Read:
    """What is said; what is unreadable or a placeholder says nothing. The mother's certificates are for the rules."""
    mothers = (known.mother_name, *map(mother_in, known.names))
    return Read(
        names=tuple(dict.fromkeys(_names(known.names))),
        sex=known.sex,
        birth_date=read_date(known.birth_date),
        phones=tuple(dict.fromkeys(phone for one in known.phones if (phone := read_phone(one)))),
        address=read_address(known.address),
        mother=tuple(dict.fromkeys(_names(one for one in mothers if one))),
        birth_order=known.birth_order,
        certificates=known.certificates,
    )


def _names(forms: Iterable[str]) -> list[Name]:
    return [name for form in forms for name in read_name(form)]


def keys_of(known: Demographics) -> tuple[str, ...]:
    """The keys under which a record is kept and looked up, most selective kinds first; see `keys`."""
    one = read(known)
    return blocking.keys(one.certificates, one.phones, one.names, one.birth_date, one.mother, one.address)


def score(a: Demographics, b: Demographics) -> Score:
    """How likely the two are of one person. `score(a, b)` and `score(b, a)` are equal."""
    first, second, model = read(a), read(b), the_model()
    reached = reached_levels(model, first, second)
    bits = model.bits(reached)
    if model.names is not None and reached["name"] in _SHARED_NAME:
        bits["name"] = log2(model.by_field["name"].levels[reached["name"]].m / _share(model.names, first, second))
    agreements = [Agreement("prior", "", _PRIOR_BITS)]
    agreements += (Agreement(field, reached[field], weight) for field, weight in bits.items())
    weight = sum(one.weight_bits for one in agreements)
    odds = [-weight, *model.bits_of_relatives(reached)]
    agreements.append(Agreement("relatives", "", -_log2_sum(odds) - weight))
    weight = sum(one.weight_bits for one in agreements)
    guard = guarded(Seen(reached, _other_hanzi(first, second), other_for_life(first.certificates, second.certificates)))
    if guard and weight > _MOST_BITS:
        agreements.append(Agreement("guard", guard, _MOST_BITS - weight))
        weight = _MOST_BITS
    return Score(weight, _probability(weight), tuple(agreements))


class Screen:
    """Who surely scores too little beside somebody, told by as little of them as that takes.

    Of ten million people some dozens share a name and most of a birth date with anybody of a common name. Nearly all
    are told apart by date, telephone, house number and certificate, before their names and addresses are read.
    Relatives and guards only make a score less, and have no part here.
    """

    def __init__(self, known: Demographics, enough: float) -> None:
        """`enough`: bits."""
        self._mine, self._model, self._enough = read(known), the_model(), enough
        self._certificates = frozenset(known.certificates)
        self._most = {**self._model.most_bits, "name": _most_of_name(self._model, self._mine)}
        if not self._mine.mother:
            self._most["mother"] = 0.0
        self._start = _PRIOR_BITS + sum(self._most.values()) + _ROUNDING_BITS

    def rules_out(self, other: Demographics) -> bool:
        """Whether `score(known, other)` is below `enough` for certain, and no certificate is shared."""
        if not self._certificates.isdisjoint(other.certificates):
            return False
        bits, weight = self._start, self._model.weight
        for field, level in self._levels(other):
            bits += weight(field, level) - self._most[field]
            if bits < self._enough:
                return True
        mine = self._mine.address
        if mine is None or house_numbers(other.address) != mine.digits:  # at most similar, or not to be compared
            bits += max(0.0, weight("address", "similar")) - self._most["address"]
        return bits < self._enough

    def _levels(self, other: Demographics) -> Iterator[tuple[str, str]]:
        mine = self._mine
        yield "birth_date", levels.birth_date(mine.birth_date, read_date(other.birth_date))
        yield "sex", levels.sex(mine.sex, other.sex)
        yield "birth_order", levels.birth_order(mine.birth_order, other.birth_order)
        yield "phone", levels.phones(mine.phones, [phone for one in other.phones if (phone := read_phone(one))])
        yield "certificate", levels.certificates(mine.certificates, other.certificates)


def _most_of_name(model: Model, mine: Read) -> float:
    """What agreement of the name weighs at most: as much as it is rare."""
    names = model.names
    if names is None or not mine.names:
        return model.most_bits["name"] if mine.names else 0.0
    rarest = min(min(names.of_hanzi(one) if one.hanzi else 1.0, names.of_sound(one)) for one in mine.names)
    every = model.by_field["name"].levels
    likeliest = max(level.m for label, level in every.items() if label in _SHARED_NAME)
    return max(log2(likeliest / rarest), *(model.weight("name", at) for at in every if at not in _SHARED_NAME))


def reached_levels(model: Model, a: object, b: object) -> dict[str, str]:
    """field -> level for every comparison of the model; the attributes of `a` and `b` are its columns."""
    return {
        one.field: levels.KINDS[one.kind](getattr(a, one.column), getattr(b, one.column)) for one in model.comparisons
    }


# --- what weights must not decide ---

_SAME_NAME = ("same", "same, other order", "same sound and tone", "same sound")
_SHARED_NAME = _SAME_NAME
_CORROBORATING = {
    "phone": ("same",),
    "address": ("same", "same numbers"),
    "mother": ("same",),
    "certificate": ("same",),  # those of one county and birthday differ in four digits: a mistyped one proves nothing
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the guards look at: the levels, by field, and what these do not tell."""

    reached: Mapping[str, str]
    #: Both came in hanzi, and with other ones, however alike they sound.
    other_hanzi: bool = False
    #: Each has a right certificate of a kind of which one has only one for life, and not the same.
    other_for_life: bool = False

    @property
    def same_certificate(self) -> bool:
        return self.reached["certificate"] in _CORROBORATING["certificate"]


def _other_hanzi(a: Read, b: Read) -> bool:
    mine, theirs = ({one.hanzi for one in each.names if one.hanzi} for each in (a, b))
    same = (levels.is_turned(one, other) or one == other for one in mine for other in theirs)
    return bool(mine and theirs) and not any(same)


def _other_name(seen: Seen) -> bool:
    return bool(seen.reached["name"]) and seen.reached["name"] not in _SAME_NAME


def _sounds_alike(seen: Seen) -> bool:
    return seen.other_hanzi and not seen.same_certificate


def _nameless(seen: Seen) -> bool:
    return not seen.reached["name"] and seen.reached["birth_order"] != "same" and not seen.same_certificate


def _name_and_birth_date_alone(seen: Seen) -> bool:
    return not any(seen.reached[field] in those for field, those in _CORROBORATING.items())


def _other_birth_date(seen: Seen) -> bool:
    return seen.reached["birth_date"] in ("year", "different") and not seen.same_certificate


def _other_sex(seen: Seen) -> bool:
    return seen.reached["sex"] == "different" and not seen.same_certificate


#: Evidence that is at most a question for a human, the first that holds: twins and others of one household share all
#: but the given name, and that may sound alike (皓子 and 浩子); of 35 million many share name and birth date; a
#: newborn's twin shares all but the order of birth.
GUARDS: tuple[tuple[str, Callable[[Seen], bool]], ...] = (
    ("other name", _other_name),
    ("sounds alike, other characters", _sounds_alike),
    ("other certificate", lambda seen: seen.other_for_life),
    ("name not comparable", _nameless),
    ("name and birth date alone", _name_and_birth_date_alone),
    ("other birth date", _other_birth_date),
    ("other sex", _other_sex),
)


def guarded(seen: Seen) -> str:
    """The name of the guard that keeps this from being joined; empty if none does."""
    return next((name for name, holds in GUARDS if holds(seen)), "")


# --- numbers ---


@cache
def the_model() -> Model:
    """The trained model of the population."""
    return read_model(json.loads(files("huitong.people").joinpath(MODEL_FILE).read_text("utf-8")))


def _share(names: NameFrequencies, a: Read, b: Read) -> float:
    """How common the name is that both have: that in hanzi if they share it, else its sound."""
    common = {one.hanzi for one in a.names if one.hanzi} & {one.hanzi for one in b.names}
    if common:
        return max(names.of_hanzi(one) for one in (*a.names, *b.names) if one.hanzi in common)
    return max(names.of_sound(one) for one in (*a.names, *b.names))


def _log2_sum(bits: list[float]) -> float:
    """Of numbers given as their base-2 logarithms."""
    most = max(bits)
    return most + log2(sum(2.0 ** (one - most) for one in bits))


def _probability(bits: float) -> float:
    return 1.0 / (1.0 + 2.0**-bits) if bits > -1000 else 0.0


def bits_of(probability: float) -> float:
    return log2(probability / (1.0 - probability))


_PRIOR_BITS = bits_of(1.0 / MATCHING.population)
_MOST_BITS = bits_of(MATCHING.join_probability) - _GUARD_BITS
