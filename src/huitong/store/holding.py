"""A store that is about to be elsewhere takes nothing more: the database itself refuses, whoever asks it.

Triggers do it, so that one transaction draws the line for every process: what was committed before it is copied, what
comes after it is refused as StoreUnavailable, and its sender tries again.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table

from huitong.store import marks

#: Marks: while nothing more is taken, whose move that is; where the store has gone, as JSON.
HELD, MOVED = "move.held", "move.moved"
#: In the source: what its move is called. In a target that is not whole yet: the move that it is of.
MOVE, ARRIVING = "move.id", "move.arriving"
#: What all of these begin with; they are about one database and are not copied.
OURS = "move."
_SAID = "the store is moving"


def held(tx: Connection) -> bool:
    return marks.read(tx, HELD) is not None


def hold(tx: Connection, tables: Iterable[Table], move: str) -> None:
    """From the end of this transaction on no row of these tables is added, changed or removed."""
    for sql in _HOLD[tx.dialect.name]:
        tx.exec_driver_sql(sql)
    for table in tables:
        for event in _EVENTS:
            for sql in _TRIGGER[tx.dialect.name]:
                tx.exec_driver_sql(sql.format(table=table.name, event=event, said=_SAID))
    marks.write(tx, HELD, move)


def release(tx: Connection, tables: Iterable[Table]) -> None:
    for table in tables:
        for event in _EVENTS:
            tx.exec_driver_sql(_DROP[tx.dialect.name].format(table=table.name, event=event))
    marks.write(tx, HELD, None)


_EVENTS = ("INSERT", "UPDATE", "DELETE")
_DROP = {
    "sqlite": "DROP TRIGGER IF EXISTS held_{table}_{event}",
    "postgresql": "DROP TRIGGER IF EXISTS held_{event} ON {table}",
}
#: Object not in prerequisite state: one of the server's faults, as `postgres` reads them.
_HOLD = {
    "sqlite": (),
    "postgresql": (
        f"CREATE OR REPLACE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SAID}' USING ERRCODE = '55000'; END $$",
    ),
}
_TRIGGER = {
    "sqlite": (
        "CREATE TRIGGER IF NOT EXISTS held_{table}_{event} BEFORE {event} ON {table} "
        "BEGIN SELECT RAISE(ABORT, '{said}'); END",
    ),
    "postgresql": (
        _DROP["postgresql"],
        "CREATE TRIGGER held_{event} BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION held()",
    ),
}
