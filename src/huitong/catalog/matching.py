"""The two thresholds of matching people, with the date, region and source of `matching.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Matching:
    """From `join_probability` on records are joined, from `ask_probability` on a human is asked."""

    date: date
    #: GB/T 2260.
    region: str
    source: str
    #: Persons among whom one is looked for.
    population: int
    join_probability: float
    ask_probability: float

    def __post_init__(self) -> None:
        if not 0 < self.ask_probability < self.join_probability < 1 or self.population < 1:
            raise ValueError("0 < ask_probability < join_probability < 1, and a population of people")


MATCHING = Matching(**tomllib.loads(files("huitong.catalog").joinpath("matching.toml").read_text("utf-8")))
join_probability, ask_probability = MATCHING.join_probability, MATCHING.ask_probability
