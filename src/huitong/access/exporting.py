"""Lines of the audit with their hashes and heads as a file of JSON Lines, which is verified without the store.

The first record says of which log and from which line on, and what was before: the hash of the line before and the tree
(`merkle.Frontier`). Lines follow with the columns that are hashed, as they are kept, and each head behind its last
line. The last record says how far it goes: a file without it broke off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from huitong.access import auditing
from huitong.access.chaining import COLUMNS
from huitong.access.checking import Beginning
from huitong.access.heads import Head, Heads
from huitong.base.clock import Clock, iso, milliseconds
from huitong.base.errors import BadRequest
from huitong.store.files import disk_faults, rename
from huitong.store.store import Store

VERSION = 1


@dataclass(frozen=True, slots=True)
class Part:
    """Which lines, by number, both among them."""

    first: int
    last: int
    #: Whether it goes on to the end of the log.
    whole: bool


def part_of(
    store: Store,
    first: int | None = None,
    last: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Part:
    """From and to these numbers, or from this moment until before that one, with all lines between.

    Raises BadRequest where there is no such line.
    """
    with store.database.reading() as session:
        newest = session.rows(_LAST, {})[0][0] or 0
        if since is not None:
            first = session.rows(_SINCE, {"at_ms": milliseconds(since)})[0][0] or newest + 1
        end = last
        if until is not None:
            end = session.rows(_UNTIL, {"at_ms": milliseconds(until)})[0][0] or 0
    found = Part(first or 1, newest if end is None else min(end, newest), whole=end is None)
    if not 1 <= found.first <= found.last:
        raise BadRequest("there is no such line in the record of who looked")
    return found


def export(store: Store, heads: Heads, part: Part, clock: Clock, file: Path) -> None:
    """The file is there, whole, for the owner's eyes alone. Raises AuditDamaged, StoreFull, StoreUnavailable."""
    beginning = heads.beginning(part.first - 1)
    new = file.with_name(f".{file.name}.part")
    with disk_faults():
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb", buffering=1 << 20) as out:
            _write(out, _first(heads, part, beginning, clock))
            for record in _records(store, heads, part):
                _write(out, record)
            _write(out, {"end": part.last, "whole": part.whole})
            out.flush()
            os.fsync(out.fileno())
        rename(new, file)


def _write(out: BinaryIO, record: dict[str, Any]) -> None:
    out.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))


def _first(heads: Heads, part: Part, beginning: Beginning, clock: Clock) -> dict[str, Any]:
    return {
        "audit": VERSION, "origin": heads.origin, "key": str(heads.signer.key) if heads.signer else None,
        "exported": iso(clock()), "first": part.first, "before": beginning.head.hex(),
        "tree": [each.hex() for each in beginning.tree],
    }  # fmt: skip


def _records(store: Store, heads: Heads, part: Part) -> Iterator[dict[str, Any]]:
    made = heads.each(part.first)
    head = next(made, None)
    for row in auditing.every(store, first=part.first, last=part.last):
        yield {"line": row["seq"], **{name: row[name] for name in COLUMNS}, "hash": bytes(row["hash"]).hex()}
        if head is not None and head.size <= row["seq"]:
            yield _said(head)
            head = next(made, None)


def _said(head: Head) -> dict[str, Any]:
    return {"head": head.size, "at_ms": head.at_ms, "note": head.note}


_LAST = "SELECT max(seq) FROM audit"
_SINCE = "SELECT min(seq) FROM audit WHERE at_ms >= :at_ms"
_UNTIL = "SELECT max(seq) FROM audit WHERE at_ms < :at_ms"
