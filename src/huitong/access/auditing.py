"""Who looked: the seam to the audit, of the shape that the actions write to."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from huitong.access.work import Work

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Looked:
    """One line: what was done or refused, by which rule, of whose record."""

    action: str
    allowed: bool
    rule: str
    purpose: str = ""
    #: Exchange id; empty where no person is known.
    person: str = ""
    kind: str = ""
    id: str = ""
    institution: str = ""
    detail: dict[str, Any] = field(default_factory=dict, compare=False)


def lines(work: Work) -> deque[tuple[Any, Looked]]:
    """What was written, oldest first."""
    return work.store.once("access.audit", lambda: deque(maxlen=_MOST))


def record(work: Work, looked: Looked) -> None:
    """Written when this returns."""
    lines(work).append((work.asker, looked))


def record_in(_tx: Connection, work: Work, looked: Looked) -> None:
    """The same within a transaction."""
    record(work, looked)


def once(work: Work, looked: Looked) -> None:
    """The first time in (session, action, object, outcome) it is written; after that a look-up."""
    if (work.asker, looked) not in lines(work):
        record(work, looked)
