"""What levels of agreement weigh: a model as Splink writes it, after Fellegi and Sunter (JASA 64, 1969).

A model is the JSON of `Linker.misc.save_model_to_json`. Of it are used `probability_two_random_records_match` and, of
each comparison, `output_column_name`, the `label_for_charts` of its levels with their `m_probability` and
`u_probability`, and which function of `levels` their `sql_condition` calls. Ours beside it, which Splink passes over:
`term_frequencies` (shares of family names and of given-name characters) and `relatives` (how often the levels are
reached by two of one household, or by twins). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log2
from typing import Any

from huitong.people.forms import Name
from huitong.wire import pinyin

_CALL = re.compile(r'(?P<kind>\w+)\("?(?P<column>\w+)_l"?, "?\w+_r"?\)')
#: What a frequency is at least: below it the table knows too little.
_RAREST_NAME = 2e-7


@dataclass(frozen=True, slots=True)
class Level:
    """`m`: share of pairs of one person that reach the level; `u`: of pairs of two strangers."""

    m: float
    u: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """`kind` names a function of `levels`."""

    field: str
    kind: str
    column: str
    levels: Mapping[str, Level]


@dataclass(frozen=True, slots=True)
class Relatives:
    """Another explanation of what agrees: `for_each` such persons live beside each person."""

    name: str
    for_each: float
    #: field -> level -> share of pairs that reach it; what is not there is as among strangers.
    levels: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Model:
    prior: float
    comparisons: tuple[Comparison, ...]
    relatives: tuple[Relatives, ...] = ()
    term_frequencies: Mapping[str, Mapping[str, float]] | None = None

    @cached_property
    def names(self) -> NameFrequencies | None:
        return NameFrequencies(self.term_frequencies) if self.term_frequencies else None

    @cached_property
    def _bits(self) -> Mapping[tuple[str, str], float]:
        """By field and label."""
        return {
            (one.field, label): log2(level.m / level.u)
            for one in self.comparisons
            for label, level in one.levels.items()
        }

    @cached_property
    def most_bits(self) -> Mapping[str, float]:
        """By field what its best level weighs; what cannot be compared weighs nothing."""
        return {one.field: max(0.0, *(self._bits[one.field, at] for at in one.levels)) for one in self.comparisons}

    @cached_property
    def _bits_of_relatives(self) -> tuple[tuple[float, Mapping[tuple[str, str], float]], ...]:
        """For each kind of relatives how many there are, and by field and label how much likelier they make it."""
        return tuple((log2(each.for_each), self._rival_bits(each)) for each in self.relatives)

    @cached_property
    def by_field(self) -> Mapping[str, Comparison]:
        return {one.field: one for one in self.comparisons}

    def bits(self, reached: Mapping[str, str]) -> dict[str, float]:
        """For each field that could be compared what its level weighs, in bits."""
        return {name: self._bits[name, label] for name, label in reached.items() if label}

    def weight(self, field: str, level: str) -> float:
        """What the level weighs, in bits; nothing where the field could not be compared."""
        return self._bits[field, level] if level else 0.0

    def bits_of_relatives(self, reached: Mapping[str, str]) -> tuple[float, ...]:
        """For each kind of relatives how much likelier than one person it makes these levels, in bits."""
        labels = [pair for pair in reached.items() if pair[1]]
        return tuple(number + sum(bits[pair] for pair in labels) for number, bits in self._bits_of_relatives)

    def _rival_bits(self, relatives: Relatives) -> dict[tuple[str, str], float]:
        return {
            (one.field, label): log2(relatives.levels.get(one.field, {}).get(label, level.u) / level.m)
            for one in self.comparisons
            for label, level in one.levels.items()
        }


def read_model(written: Mapping[str, Any]) -> Model:
    """Of the JSON that was described above; raises KeyError or ValueError where it is none."""
    relatives = [Relatives(one["name"], one["for_each"], one["levels"]) for one in written.get("relatives", ())]
    return Model(
        prior=written["probability_two_random_records_match"],
        comparisons=tuple(map(_comparison, written["comparisons"])),
        relatives=tuple(relatives),
        term_frequencies=written.get("term_frequencies"),
    )


def _comparison(written: Mapping[str, Any]) -> Comparison:
    levels = written["comparison_levels"]
    call = _CALL.search(levels[0]["sql_condition"])
    if call is None:
        raise ValueError(f"comparison {written['output_column_name']!r} calls no function of ours")
    weighed = {
        one["label_for_charts"]: Level(one["m_probability"], one["u_probability"])
        for one in levels
        if not one.get("is_null_level")
    }
    return Comparison(written["output_column_name"], call["kind"], call["column"], weighed)


class NameFrequencies:
    """How common a name is, by the shares of its family name and of the characters of its given name.

    Characters are taken as independent: so a rare combination of common characters is judged as common, which errs
    towards asking.
    """

    def __init__(self, tables: Mapping[str, Mapping[str, float]]) -> None:
        self._family, self._given = tables["family"], tables["given"]
        self._rest_family, self._rest_given = min(self._family.values()), min(self._given.values())
        self._one_character = tables["length"]["1"]
        self._family_sounds = _by_sound(self._family, surname=True)
        self._given_sounds = _by_sound(self._given, surname=False)

    def of_hanzi(self, name: Name) -> float:
        """The share of people that are called so."""
        family = self._family.get(name.family, self._rest_family)
        given = [self._given.get(one, self._rest_given) for one in name.given]
        return self._share(family, given)

    def of_sound(self, name: Name) -> float:
        """The share of people whose name sounds so, in its likeliest reading."""
        return max((self._of_way(family, given) for family, given in name.ways), default=_RAREST_NAME)

    def _of_way(self, family: tuple[str, ...], given: tuple[str, ...]) -> float:
        share = self._family_sounds.get(" ".join(family), self._rest_family)
        return self._share(share, [self._given_sounds.get(one, self._rest_given) for one in given])

    def _share(self, family: float, given: list[float]) -> float:
        share = family * (self._one_character if len(given) == 1 else 1 - self._one_character)
        for one in given:
            share *= one
        return max(share, _RAREST_NAME)


def _by_sound(shares: Mapping[str, float], *, surname: bool) -> dict[str, float]:
    sounds: dict[str, float] = {}
    for hanzi, share in shares.items():
        ways: Iterable[tuple[str, ...]] = (
            pinyin.surname_readings(hanzi) if surname else [pinyin.readings(one) for one in hanzi]
        )
        sound = " ".join(pinyin.without_umlaut(one[0]) for one in ways if one)
        sounds[sound] = sounds.get(sound, 0.0) + share
    return sounds
