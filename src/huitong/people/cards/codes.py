"""The text in a card's QR code: `card id:1` to be printed (static), `card id:0:validity` for a minute (dynamic).

Pure. What a text says of itself; whether it is good is for `rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DYNAMIC, STATIC = "0", "1"
#: Scanners may type it in lower case, or as a Chinese input method has it: with full-width colons.
_CODE = re.compile(r"((?:[0-9A-F]{32}){1,4}):(?:(1)|(0):([0-9A-F]{32}))")
_MOST_CHARS = 256


@dataclass(frozen=True, slots=True)
class Code:
    """What was scanned."""

    card_id: str
    #: Empty in a static code.
    validity: str = ""

    @property
    def dynamic(self) -> bool:
        return bool(self.validity)

    def __str__(self) -> str:
        return f"{self.card_id}:{DYNAMIC}:{self.validity}" if self.validity else f"{self.card_id}:{STATIC}"


def read(text: str) -> Code | None:
    """What the text says; None where it is none of a health card."""
    if len(text) > _MOST_CHARS:
        return None
    found = _CODE.fullmatch(text.strip().replace("：", ":").upper())
    return Code(found[1], found[4] or "") if found else None
