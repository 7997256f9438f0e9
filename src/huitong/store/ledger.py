"""The ledger: what happened, one line a fact, appended in the transaction of the change itself, never altered.

Each line's hash covers the line before, so that a removed or altered line shows (`check`). Facts are per study, result,
decision or case step, never per image. Higher rooms follow it with a cursor; nothing else is told to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, desc, select, text

from huitong.base.clock import milliseconds
from huitong.store.database import Session
from huitong.store.tables import LEDGER, sorted_json

_FIRST = bytes(32)


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the ledger."""

    seq: int
    at_ms: int
    kind: str
    institution: str
    subject: str
    body: dict[str, Any]


def append(write: Connection, *, at: datetime, kind: str, institution: str, subject: str, body: dict[str, Any]) -> None:
    """Add a fact within the transaction `write`; it is there exactly if the transaction is."""
    if write.dialect.name == "postgresql":
        write.execute(_ONE_AT_A_TIME)
    before = write.execute(select(LEDGER.c.hash).order_by(desc(LEDGER.c.seq)).limit(1)).scalar()
    write.execute(LEDGER.insert().values(_line(before, at, kind, institution, subject, body)))


def append_by(
    session: Session, *, at: datetime, kind: str, institution: str, subject: str, body: dict[str, Any]
) -> None:
    """The same within a transaction of the session."""
    if session.kind == "postgresql":
        session.rows(_LOCK, {})
    before = session.rows("SELECT hash FROM ledger ORDER BY seq DESC LIMIT 1", {})
    session.run(_APPEND, _line(before[0][0] if before else None, at, kind, institution, subject, body))


_APPEND = """
    INSERT INTO ledger (at_ms, kind, institution, subject, body, hash)
    VALUES (:at_ms, :kind, :institution, :subject, :body, :hash)
"""


def _line(
    before: bytes | None, at: datetime, kind: str, institution: str, subject: str, body: dict[str, Any]
) -> dict[str, Any]:
    text = sorted_json(body)
    at_ms = milliseconds(at)
    line = {"at_ms": at_ms, "kind": kind, "institution": institution, "subject": subject, "body": text}
    return {**line, "hash": _hash(before or _FIRST, line)}


#: Held until the transaction ends, so that lines are committed in the order of their numbers: a follower that reads
#: behind its cursor would otherwise pass over a line whose transaction commits late. SQLite's writers are alone anyway.
_LOCK = "SELECT pg_advisory_xact_lock(4875696)"
_ONE_AT_A_TIME = text(_LOCK)


def _hash(before: bytes, line: dict[str, Any]) -> bytes:
    said = orjson.dumps([line["at_ms"], line["kind"], line["institution"], line["subject"], line["body"]])
    return hashlib.sha256(before + said).digest()


def follow(read: Connection, after_seq: int, limit: int = 1000) -> list[Fact]:
    """Facts behind the cursor `after_seq`, oldest first."""
    rows = read.execute(select(LEDGER).where(LEDGER.c.seq > after_seq).order_by(LEDGER.c.seq).limit(limit))
    return [Fact(r.seq, r.at_ms, r.kind, r.institution, r.subject, orjson.loads(r.body)) for r in rows]


def latest(session: Session, kind: str, institution: str, subject: str) -> Fact | None:
    """The last fact of this kind about this subject."""
    rows = session.rows(_LATEST, {"kind": kind, "institution": institution, "subject": subject})
    return next((Fact(r[0], r[1], r[2], r[3], r[4], orjson.loads(r[5])) for r in rows), None)


_LATEST = """
    SELECT seq, at_ms, kind, institution, subject, body FROM ledger
    WHERE kind = :kind AND institution = :institution AND subject = :subject ORDER BY seq DESC LIMIT 1
"""


def check(read: Connection) -> Iterator[int]:
    """The sequence numbers at which the chain breaks; none when no line was altered or removed."""
    before = _FIRST
    lines = select(LEDGER).order_by(LEDGER.c.seq)
    for r in read.execute(lines, execution_options={"yield_per": 1000}).mappings():
        if _hash(before, dict(r)) != r["hash"]:
            yield r["seq"]
        before = r["hash"]
