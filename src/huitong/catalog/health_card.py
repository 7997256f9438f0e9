"""Steps of care and kinds of terminals at which health cards are used, with date and source of `health_card.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

#: Chinese, English.
Names = tuple[str, str]


@dataclass(frozen=True, slots=True)
class HealthCard:
    """Codes and their names, in the order in which they are offered."""

    date: date
    #: GB/T 2260; empty where it is not one region's.
    region: str
    source: str
    #: 诊疗环节代码.
    steps: dict[str, Names]
    #: 终端类型.
    terminal_types: dict[str, Names]


def _read() -> HealthCard:
    said = tomllib.loads(files("huitong.catalog").joinpath("health_card.toml").read_text("utf-8"))
    return HealthCard(
        said["date"], said["region"], said["source"], _names(said["steps"]), _names(said["terminal_types"])
    )


def _names(table: dict[str, list[str]]) -> dict[str, Names]:
    return {code: (chinese, english) for code, (chinese, english) in table.items()}


HEALTH_CARD = _read()
STEPS, TERMINAL_TYPES = HEALTH_CARD.steps, HEALTH_CARD.terminal_types
#: A staffed window; a step that has no code of its own.
WINDOW, OTHER_STEP = "01", "000000"
