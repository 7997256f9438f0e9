"""What of a line of the audit is hashed, and how each line's hash covers all before it. Pure.

The canonical bytes of a line are the JSON array of its columns in the order of `COLUMNS`, as UTF-8 without spaces
(RFC 8259; numbers are whole): what `orjson.dumps` writes. `asker` and `detail` are JSON themselves and stand in it as
the text that is kept. The number of the line is no part: its place in the chain says it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

#: Stands for the hash of the line before the first.
FIRST = bytes(32)
COLUMNS = (
    "at_ms",
    "asker",
    "action",
    "allowed",
    "rule",
    "purpose",
    "person",
    "kind",
    "object",
    "institution",
    "detail",
)


def canonical(line: Mapping[str, Any]) -> bytes:
    return orjson.dumps([line[name] for name in COLUMNS])


def linked(before: bytes, said: bytes) -> bytes:
    """The hash of a line: SHA-256 over that of the line before and its canonical bytes."""
    return hashlib.sha256(before + said).digest()


def chained(before: bytes, line: Mapping[str, Any]) -> bytes:
    return linked(before, canonical(line))


class Chain:
    """Lines held against one another, in the order of their numbers."""

    def __init__(self, number: int = 0, head: bytes = FIRST) -> None:
        #: Of the last line that followed, and its hash.
        self.number, self.head = number, head

    def follows(self, number: int, line: Mapping[str, Any], digest: bytes) -> bool:
        """Whether this is the next line, with this hash; if so the one after it is awaited."""
        if number != self.number + 1:
            return False
        try:
            if chained(self.head, line) != digest:
                return False
        except (KeyError, TypeError):  # a column is missing, or holds what none of ours does
            return False
        self.number, self.head = number, digest
        return True
