"""`population.toml`, ready to be drawn from."""

from __future__ import annotations

import tomllib
from bisect import bisect
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any, Generic, TypeVar

from huitong.wire import pinyin

T = TypeVar("T")
#: Weights of the characters of given names fall with their rank to this power.
_ZIPF = 0.6


class Weighted(Generic[T]):
    """Things to draw from, each with its weight."""

    def __init__(self, things: Sequence[T], weights: Sequence[float]) -> None:
        self.things = things
        self._sums = list(accumulate(weights))
        self.shares = [weight / self._sums[-1] for weight in weights]

    def draw(self, random: Random) -> T:
        return self.things[min(bisect(self._sums, random.random() * self._sums[-1]), len(self.things) - 1)]


@cache
def tables() -> Mapping[str, Any]:
    return tomllib.loads(files("huitong.cli.simulate").joinpath("population.toml").read_text("utf-8"))


@cache
def family_names() -> Weighted[str]:
    words = tables()["names"]["family"].split()
    return Weighted(words[::2], [float(percent) for percent in words[1::2]])


@cache
def given_characters(sex: str, year: int) -> Weighted[str]:
    """Of those born in the decade of `year`, the nearest that is known."""
    decade = _decade(tables()["names"][sex], year)
    characters = tables()["names"][sex][decade].split()
    return Weighted(characters, [rank**-_ZIPF for rank in range(1, len(characters) + 1)])


@cache
def one_character(year: int) -> float:
    """The share of given names of one character."""
    shares = tables()["names"]["one_character"]
    return float(shares[_decade(shares, year)])


def _decade(there: Mapping[str, Any], year: int) -> str:
    return max((decade for decade in there if int(decade) <= year), key=int, default=min(there, key=int))


@cache
def homophones(hanzi: str) -> tuple[str, ...]:
    """Other characters of given names that are typed with the same letters."""
    return tuple(other for other in _by_sound().get(_sound(hanzi), ()) if other != hanzi)


@cache
def _by_sound() -> Mapping[str, tuple[str, ...]]:
    sounds: dict[str, dict[str, None]] = {}
    for sex in ("M", "F"):
        for characters in tables()["names"][sex].values():
            for one in characters.split():
                sounds.setdefault(_sound(one), {})[one] = None
    return {sound: tuple(those) for sound, those in sounds.items()}


def _sound(hanzi: str) -> str:
    return next(iter(pinyin.readings(hanzi)), "")


@cache
def counties() -> Weighted[tuple[str, str]]:
    """(code of GB/T 2260, name)."""
    rows = tables()["homes"]["counties"]
    return Weighted([(code, name) for code, name, _ in rows], [weight for _, _, weight in rows])


@cache
def words(name: str) -> tuple[str, ...]:
    """A list of [homes]."""
    return tuple(tables()["homes"][name].split())
