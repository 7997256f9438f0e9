"""Notes about the store as a whole, which its processes leave one another: where recovery got to, what is under way."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from huitong.store.tables import MARK


def read(tx: Connection, name: str) -> str | None:
    found: str | None = tx.execute(select(MARK.c.value).where(MARK.c.name == name)).scalar()
    return found


def write(tx: Connection, name: str, value: str | None) -> None:
    """None takes the mark away."""
    tx.execute(delete(MARK).where(MARK.c.name == name))
    if value is not None:
        tx.execute(insert(MARK).values(name=name, value=value))
