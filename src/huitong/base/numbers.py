"""Keys of the database as they stand in addresses and forms."""

from __future__ import annotations

#: A key is below 2^63; all that has so many digits is.
KEY_DIGITS = 18


def key_of(text: str) -> int | None:
    """The key; None for what is no number, or has more digits than any key."""
    return int(text) if text.isdecimal() and len(text) <= KEY_DIGITS else None
