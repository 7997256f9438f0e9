"""Who looked: one line for each decision about a record, durable before the record is given, never altered or removed.

It stands beside the ledger and drives nothing. Each line's hash covers the line before, so that a line that was
altered, removed or put in shows (`check`). Lines are kept for as long as the store is: supplying personal data to
others is to be recorded for three years at least (Network Data Security Management Regulations, article 12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import Connection, text

from huitong.access.chaining import COLUMNS as _COLUMNS
from huitong.access.chaining import FIRST as _FIRST
from huitong.access.chaining import Chain, canonical, linked
from huitong.access.deciding import Action, Decision
from huitong.access.model import Asker
from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.lru import Lru
from huitong.store.database import Kind as DatabaseKind
from huitong.store.database import Session, among, listed
from huitong.store.joint import Joint
from huitong.store.store import Store
from huitong.store.tables import sorted_json

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
    #: Over the line before and this one, hexadecimal.
    hash: str = ""


def record(work: Work, looked: Looked) -> None:
    """Durable when this returns; lines of many at once are one transaction, and one sync.

    Raises StoreFull, StoreUnavailable; RuntimeError within a transaction of writes: `record_in` and `record_on` are
    for these.
    """
    work.store.once("access.recording", lambda: Joint(work.store.database, _append)).add(_line(work, looked))


def record_in(session: Session, work: Work, looked: Looked) -> None:
    """The same within a transaction: the line is there exactly if the transaction is."""
    _append(session, [_line(work, looked)])


def record_on(write: Connection, work: Work, looked: Looked) -> None:
    """As `record_in`, within the transaction `write`."""
    if write.dialect.name == "postgresql":
        write.execute(text(_LOCK))
    write.execute(text(_APPEND), _chained([_line(work, looked)], write.execute(text(_LAST)).first()))


def _append(session: Session, lines: Sequence[_Line]) -> None:
    if session.kind == "postgresql":
        session.run(_LOCK, {})
    last = session.rows(_LAST, {})
    session.run_many(_APPEND, _chained(lines, last[0] if last else None))


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
_LAST = "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1"
#: Values of `_COLUMNS` and `_BESIDE`, and what of them is hashed.
_Line = tuple[dict[str, Any], bytes]
#: Repeats what `asker` says, so that an index can have it; not hashed, but held against it by `check`.
_BESIDE = ("account", "asker_institution")
_APPEND = f"""
    INSERT INTO audit (seq, hash, {", ".join((*_COLUMNS, *_BESIDE))})
    VALUES (:seq, :hash, {", ".join(f":{name}" for name in (*_COLUMNS, *_BESIDE))})
"""


def _line(work: Work, looked: Looked) -> _Line:
    """In the asker's own time, and their own mistake where it cannot be written."""
    asker = work.asker
    who = {
        "kind": asker.kind.value, "name": asker.name, "display": asker.display, "institution": asker.institution,
        "roles": sorted(asker.roles), "person": asker.person, "session": asker.session, "door": work.door,
        "host": work.host,
    }  # fmt: skip
    said = {
        "action": looked.action, "rule": looked.rule, "purpose": looked.purpose, "person": looked.person,
        "kind": looked.kind, "object": looked.id, "institution": looked.institution,
    }  # fmt: skip
    # What is asked for is a stranger's text: PostgreSQL keeps no NUL, and what it kept would not be what was hashed.
    line = {
        "at_ms": milliseconds(work.now()), "asker": sorted_json(who), "allowed": int(looked.allowed),
        "detail": sorted_json(looked.detail), **{name: words.replace("\0", "\ufffd") for name, words in said.items()},
    }  # fmt: skip
    return {**line, "account": asker.name, "asker_institution": asker.institution or ""}, canonical(line)


def _chained(lines: Sequence[_Line], last: Any) -> list[dict[str, Any]]:
    """Rows behind the number and hash `last`, None before the first."""
    seq, before = (last[0], bytes(last[1])) if last else (0, _FIRST)
    rows = []
    for number, (line, hashed) in enumerate(lines, seq + 1):
        before = linked(before, hashed)
        rows.append({**line, "seq": number, "hash": before})
    return rows


# --- reading ---

_READ = f"SELECT seq, {', '.join((*_COLUMNS, *_BESIDE))}, hash FROM audit"


class Whose(StrEnum):
    """Which lines about a person."""

    #: Of all but the person and the guardians.
    OTHERS = "others"
    #: Of these, what was refused.
    REFUSED = "refused"
    #: Of the person and the guardians.
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: those of which all that is given here is so."""

    #: Exchange ids of one person, those before joins among them.
    persons: tuple[str, ...] = ()
    whose: Whose | None = None
    #: Name of the account, client, AE title or link that asked.
    account: str = ""
    #: Code of the institution on whose behalf they asked.
    institution: str = ""
    action: str = ""
    allowed: bool | None = None
    #: UID or id of what was looked at.
    object: str = ""
    #: From this moment, until before that one.
    since: datetime | None = None
    until: datetime | None = None


def lines(store: Store, *, person: str = "", limit: int = 1000) -> list[Line]:
    """The newest lines, of a person where an exchange id is given, newest first."""
    return search(store, Wanted(persons=(person,) if person else ()), limit=limit)


def search(store: Store, wanted: Wanted, *, before: int | None = None, limit: int = 100) -> list[Line]:
    """The newest of the lines, newest first; with numbers smaller than `before` where it is given, to go on."""
    with store.database.reading() as session:
        first, behind = _range(session, wanted)
        behind = behind if before is None else min(behind, before)
        conditions, values = _conditions(session.kind, wanted)
        sql = f"{_READ} WHERE {' AND '.join([*conditions, _BETWEEN])} ORDER BY seq DESC LIMIT :limit"
        rows = session.rows(sql, {**values, "first": first, "behind": behind, "limit": limit})
        return [_read(row) for row in rows]


def line(store: Store, number: int) -> Line | None:
    """The line of this number, None where there is none."""
    with store.database.reading() as session:
        found = session.rows(f"{_READ} WHERE seq = :seq", {"seq": number})
    return _read(found[0]) if found else None


_BETWEEN = "seq >= :first AND seq < :behind"
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
#: A line is committed later than its time says, and clocks of several machines differ; so much at most.
_ASKEW_MS = 3_600_000
_SINCE = "SELECT seq FROM audit WHERE at_ms >= :at_ms ORDER BY at_ms, seq LIMIT 1"


def _range(session: Session, wanted: Wanted) -> tuple[int, int]:
    """Numbers between which all lines of these moments are, so that only these are walked."""
    first, behind = _LOWEST, _HIGHEST
    if wanted.since:
        found = session.rows(_SINCE, {"at_ms": milliseconds(wanted.since) - _ASKEW_MS})
        first = found[0][0] if found else _HIGHEST
    if wanted.until:
        found = session.rows(_SINCE, {"at_ms": milliseconds(wanted.until) + _ASKEW_MS})
        behind = found[0][0] if found else _HIGHEST
    return first, behind


#: What somebody's account did with itself is no look at anybody's record.
_OWN, _LOOK = "(allowed = 1 AND rule IN ('self', 'guardian'))", "kind <> 'account'"
_WHOSE = {
    Whose.OTHERS: f"{_LOOK} AND NOT {_OWN}",
    Whose.REFUSED: f"{_LOOK} AND allowed + 0 = 0",
    Whose.OWN: f"{_LOOK} AND {_OWN}",
}


def _conditions(kind: DatabaseKind, wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    """What is given, as SQL. Of equal values the one of which there are fewest lines is looked up by its index.

    SQLite keeps no count of values; a `+` keeps it from the index of a column, PostgreSQL counts by itself.
    """
    equal = {
        "object": wanted.object, "account": wanted.account, "asker_institution": wanted.institution,
        "action": wanted.action,
    }  # fmt: skip
    values: dict[str, Any] = {name: value for name, value in equal.items() if value}
    conditions: list[str] = []
    if wanted.persons:
        values["persons"] = listed(kind, wanted.persons)
    for name in values:
        if name == "persons":
            continue
        shunned = "+" if kind == "sqlite" and (wanted.persons or conditions) else ""
        conditions.append(f"{shunned}{name} = :{name}")
    if wanted.persons:
        conditions.append(among(kind, "person", ":persons"))
    if wanted.allowed is not None:
        conditions.append(f"{'+' if kind == 'sqlite' and values else ''}allowed = {int(wanted.allowed)}")
    if wanted.whose:
        conditions.append(_WHOSE[wanted.whose])
    for name, moment, sign in (("since", wanted.since, ">="), ("until", wanted.until, "<")):
        if moment:
            values[name] = milliseconds(moment)
            conditions.append(f"at_ms + 0 {sign} :{name}")  # the numbers are narrowed already
    return conditions, values


def _read(row: Any) -> Line:
    looked = Looked(
        row["action"], bool(row["allowed"]), row["rule"], row["purpose"], row["person"], row["kind"], row["object"],
        row["institution"], orjson.loads(row["detail"]),
    )  # fmt: skip
    return Line(row["seq"], row["at_ms"], orjson.loads(row["asker"]), looked, bytes(row["hash"]).hex())


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
    chain = Chain()
    for row in every(store):
        sound = chain.number
        if not chain.follows(row["seq"], row, bytes(row["hash"])) or not is_found(row):
            return Checked(sound, sound + 1, chain.head.hex())
    return Checked(chain.number, None, chain.head.hex())


def is_found(row: Any) -> bool:
    """Whether a search finds the line by who asked."""
    try:
        said = orjson.loads(row["asker"])
        return (row["account"], row["asker_institution"]) == (said["name"], said["institution"] or "")
    except (ValueError, KeyError, TypeError):  # written anew, with its hash, by a hand
        return False


def holds(store: Store, number: int, head: str) -> bool:
    """Whether line `number` still has the hash `head` that was kept of it."""
    with store.database.reading() as session:
        found = session.rows("SELECT hash FROM audit WHERE seq = :seq", {"seq": number})
    return bool(found) and bytes(found[0][0]).hex() == head


def every(store: Store, *, first: int | None = None, last: int | None = None) -> Iterator[Any]:
    """Lines by number, as they are kept, from `first` to `last`.

    Without them from the smallest number that a hand could put in: a line before the first is none of ours.
    """
    start, end = _LOWEST if first is None else first, _HIGHEST if last is None else last
    while True:
        between = {"start": start, "end": end}
        with store.database.reading() as session:
            rows = list(session.rows(_EVERY, between))
        yield from rows
        if not rows or rows[-1]["seq"] == end:
            return
        start = rows[-1]["seq"] + 1


_EVERY = f"{_READ} WHERE seq BETWEEN :start AND :end ORDER BY seq LIMIT 1000"
