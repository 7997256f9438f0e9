"""Who looked: one line for each decision about a record, durable before the record is given, never altered or removed.

It stands beside the ledger and drives nothing. Each line's hash covers the line before, so that a line that was
altered, removed or put in shows (`check`). Lines are kept for as long as the store is: supplying personal data to
others is to be recorded for three years at least (Network Data Security Management Regulations, article 12).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from huitong.access.deciding import Action, Decision
from huitong.access.model import Asker
from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.lru import Lru
from huitong.store.database import KINDS, Session, among, listed
from huitong.store.store import Store
from huitong.store.tables import sorted_json

_FIRST = bytes(32)
#: Past so many `once` forgets what it remembered longest ago: a line more is written, none less.
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Looked:
    """What was done or refused, by which rule, of whose record."""

    action: str
    allowed: bool
    rule: str
    #: Purpose of use (HL7 v3 PurposeOfUse).
    purpose: str = ""
    #: Exchange id; empty where no person is known.
    person: str = ""
    kind: str = ""
    id: str = ""
    institution: str = ""
    detail: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, action: Action, decision: Decision, **whose: Any) -> Looked:
        """What was decided; `whose` are the fields that no decision has."""
        return cls(action.value, decision.allowed, decision.rule, decision.purpose, **whose)


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands: who, through which door and from where, when, and what."""

    seq: int
    at_ms: int
    #: `kind`, `name`, `display`, `institution`, `roles`, `session`, `door` and `host` of the asker.
    asker: dict[str, Any]
    looked: Looked


def record(work: Work, looked: Looked) -> None:
    """Durable when this returns. Raises StoreFull, StoreUnavailable."""
    with work.store.database.writing() as session:
        record_in(session, work, looked)


def record_in(session: Session, work: Work, looked: Looked) -> None:
    """The same within a transaction: the line is there exactly if the transaction is."""
    if session.kind == "postgresql":
        session.rows(_LOCK, {})
    last = session.rows("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", {})
    seq, before = (last[0][0], bytes(last[0][1])) if last else (0, _FIRST)
    line = _line(work, looked)
    session.run(_APPEND, {**line, "seq": seq + 1, "hash": _hash(before, line)})


def once(work: Work, looked: Looked) -> None:
    """As `record`, for the first time that this asker in this session gets this answer on this day."""
    known: Lru[tuple[Asker, int, Looked], bool] = work.store.once("access.audited", lambda: Lru(_MOST))
    key = (work.asker, work.at.toordinal(), looked)
    if known.get(key) is None:
        record(work, looked)
        known.put(key, True)


#: Held until the transaction ends, so that lines have numbers without gaps and are committed in their order. SQLite's
#: writers are alone anyway.
_LOCK = "SELECT pg_advisory_xact_lock(4875697)"
_COLUMNS = (
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
_APPEND = f"""
    INSERT INTO audit (seq, {", ".join(_COLUMNS)}, hash)
    VALUES (:seq, {", ".join(f":{name}" for name in _COLUMNS)}, :hash)
"""


def _line(work: Work, looked: Looked) -> dict[str, Any]:
    asker = work.asker
    who = {
        "kind": asker.kind.value, "name": asker.name, "display": asker.display, "institution": asker.institution,
        "roles": sorted(asker.roles), "person": asker.person, "session": asker.session, "door": work.door,
        "host": work.host,
    }  # fmt: skip
    return {
        "at_ms": milliseconds(work.now()), "asker": sorted_json(who), "action": looked.action,
        "allowed": int(looked.allowed), "rule": looked.rule, "purpose": looked.purpose, "person": looked.person,
        "kind": looked.kind, "object": looked.id, "institution": looked.institution,
        "detail": sorted_json(looked.detail),
    }  # fmt: skip


def _hash(before: bytes, line: dict[str, Any]) -> bytes:
    return hashlib.sha256(before + orjson.dumps([line[name] for name in _COLUMNS])).digest()


# --- reading ---

_READ = f"SELECT seq, {', '.join(_COLUMNS)}, hash FROM audit"


def lines(store: Store, *, person: str = "", limit: int = 1000) -> list[Line]:
    """The newest lines, of a person where an exchange id is given, newest first."""
    where = "WHERE person = :person" if person else ""
    values = {"person": person, "limit": limit} if person else {"limit": limit}
    with store.database.reading() as session:
        return [_read(row) for row in session.rows(f"{_READ} {where} ORDER BY seq DESC LIMIT :limit", values)]


class Whose(StrEnum):
    """Which lines about a person."""

    #: Of all but the person and the guardians.
    OTHERS = "others"
    #: Of these, what was refused.
    REFUSED = "refused"
    #: Of the person and the guardians.
    OWN = "own"


_OWN = "(allowed = 1 AND rule IN ('self', 'guardian'))"
_WHOSE = {Whose.OTHERS: f"NOT {_OWN}", Whose.REFUSED: "allowed = 0", Whose.OWN: _OWN}
_ABOUT = {
    (kind, whose): f"""
        {_READ} WHERE {among(kind, "person", ":persons")} AND seq < :before AND {of_them}
        ORDER BY seq DESC LIMIT :limit
    """
    for kind in KINDS
    for whose, of_them in _WHOSE.items()
}


def about(store: Store, persons: Iterable[str], whose: Whose, *, before: int, limit: int) -> list[Line]:
    """Lines about the person to whom all these exchange ids lead, with smaller numbers than `before`, newest first."""
    with store.database.reading() as session:
        values = {"persons": listed(session.kind, sorted(persons)), "before": before, "limit": limit}
        return [_read(row) for row in session.rows(_ABOUT[session.kind, whose], values)]


def _read(row: Any) -> Line:
    looked = Looked(
        row["action"], bool(row["allowed"]), row["rule"], row["purpose"], row["person"], row["kind"], row["object"],
        row["institution"], orjson.loads(row["detail"]),
    )  # fmt: skip
    return Line(row["seq"], row["at_ms"], orjson.loads(row["asker"]), looked)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a reading of the whole log found."""

    lines: int
    #: Number of the first line that is not as it was written, or is missing or not where it was; None when all is well.
    first_fault: int | None
    #: Of the last line, hexadecimal: kept elsewhere, it shows a removed end.
    head: str


def check(store: Store) -> Checked:
    """Read all lines, oldest first, and hold each against the one before.

    A log whose end was cut off is whole by itself: its head is to be compared with one that was kept elsewhere.
    """
    before, count, expected, last = _FIRST, 0, 1, _FIRST
    for row in _every(store):
        line = {name: row[name] for name in _COLUMNS}
        if row["seq"] != expected or _hash(before, line) != bytes(row["hash"]):
            return Checked(count, expected, last.hex())
        before = last = bytes(row["hash"])
        count, expected = count + 1, expected + 1
    return Checked(count, None, last.hex())


def holds(store: Store, number: int, head: str) -> bool:
    """Whether line `number` still has the hash `head` that was kept of it."""
    with store.database.reading() as session:
        found = session.rows("SELECT hash FROM audit WHERE seq = :seq", {"seq": number})
    return bool(found) and bytes(found[0][0]).hex() == head


#: The smallest number that a hand could put in: a line before the first is none of ours, and `lines` would show it.
_LOWEST = -(2**63)


def _every(store: Store) -> Iterator[Any]:
    start = _LOWEST
    while True:
        with store.database.reading() as session:
            rows = list(session.rows(f"{_READ} WHERE seq >= :start ORDER BY seq LIMIT 1000", {"start": start}))
        yield from rows
        if not rows:
            return
        start = rows[-1]["seq"] + 1
