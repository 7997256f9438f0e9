"""Escape sequences of text (HL7 v2.5 2.7)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from huitong.wire.dicom.charset import Decode
from huitong.wire.hl7.message import Delimiters

#: Lines or spaces that one sequence may ask for.
_MOST = 99
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPACING = re.compile(r"\.(br|sp|sk)\+?(\d{0,9})")
#: Highlighting, indentation, alignment: nothing that a value means.
_LOOKS = re.compile(r"[HN]|\.(in|ti|fi|nf|ce)[+-]?\d*")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


def unescaped(text: str, delimiters: Delimiters, decode: Decode) -> str:
    """The text that is meant. What is no sequence of the standard stays as it stands, as a path with backslashes.

    `decode` is for octets given in hexadecimal, which are of the message's character set.
    """
    escape = delimiters.escape
    if not escape or escape not in text:
        return text
    return _sequence(escape).sub(lambda found: _meant(found, delimiters, decode), text)


@lru_cache(maxsize=64)
def _sequence(escape: str) -> re.Pattern[str]:
    one = re.escape(escape)
    return re.compile(f"{one}([^{one}]*){one}")


def _meant(found: re.Match[str], delimiters: Delimiters, decode: Decode) -> str:
    body: str = found[1]
    if body in _letters(delimiters):
        return _letters(delimiters)[body]
    if match := _HEX.fullmatch(body):
        return decode(bytes.fromhex(match[1]))
    if match := _SPACING.fullmatch(body):
        count = min(int(match[2] or 1), _MOST)
        return (" " if match[1] == "sk" else "\n") * count
    return "" if _LOOKS.fullmatch(body) else str(found[0])


@lru_cache(maxsize=64)
def _letters(delimiters: Delimiters) -> dict[str, str]:
    letters = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation,
    }
    return {letter: character for letter, character in letters.items() if character}


@lru_cache(maxsize=64)
def escaper(delimiters: Delimiters) -> Callable[[str], str]:
    """What writes a text so that it can stand between delimiters."""
    escape = delimiters.escape
    table = {ord(character): f"{escape}{letter}{escape}" for letter, character in _letters(delimiters).items()}
    table |= {code: f"{escape}X{code:02X}{escape}" for code in (*range(0x20), 0x7F)}
    return lambda text: text.translate(table)
