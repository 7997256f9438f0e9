"""Windows for computed tomography by their usual names, with date and source of `windows.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Window:
    """What of the grey values is spread from black to white."""

    #: Chinese, English.
    names: tuple[str, str]
    #: In Hounsfield units.
    center: float
    width: float


_SAID = tomllib.loads(files("huitong.catalog").joinpath("windows.toml").read_text("utf-8"))
DATE: date = _SAID["date"]
REGION: str = _SAID["region"]
SOURCE: str = _SAID["source"]
#: In the order in which they are offered.
CT_WINDOWS = {code: Window((zh, en), center, width) for code, (zh, en, center, width) in _SAID["windows"].items()}
