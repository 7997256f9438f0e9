"""Rows and packs from one home to another: each page is compared, what differs is written and read again.

Nothing is remembered of what was done: what is there and the same is left alone, so that a copy that was broken off
goes on, and one that is whole is found to be so, by the same code.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, delete, desc, select, tuple_

from huitong.base.errors import StoreDamaged
from huitong.store.blobs import Walked
from huitong.store.database import Database, Session
from huitong.store.files import disk_faults
from huitong.store.objects import Objects
from huitong.store.packs import Packs

_PAGE_ROWS = 2000
_STEP_BYTES = 4 << 20
Key = tuple[Any, ...]
Rows = dict[Key, tuple[Any, ...]]
#: Within the transaction that adds a row: what else belongs to it.
Added = Callable[[Session, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Page:
    """What was done with some rows of a table."""

    looked_at: int
    written: int
    #: Keys that only the target has.
    extra: list[Key]


def carry(
    source: Connection, target: Database, session: Session, table: Table, *, after: Key = (), added: Added | None = None
) -> Iterator[Page]:
    """The target's rows behind the key `after` become those of the source; `session` is of the target.

    Rows that the source has no more are named, not removed: others may still refer to them.
    """
    columns, put = [column.name for column in table.columns], _put(table)
    while True:
        mine = _rows(source, table, after, (), _PAGE_ROWS)
        upto = list(mine)[-1] if len(mine) == _PAGE_ROWS else ()
        theirs = _read(target, table, after, upto)
        changed = {key: row for key, row in mine.items() if theirs.get(key) != row}
        if changed:
            with session.write():
                named = {key: dict(zip(columns, row, strict=True)) for key, row in changed.items()}
                session.run_many(put, list(named.values()))
                for key in named.keys() - theirs.keys() if added is not None else ():
                    added(session, named[key])  # type: ignore[misc]  # there is one, or there were no keys
            there = _read(target, table, after, upto)
            if any(there.get(key) != row for key, row in changed.items()):
                raise StoreDamaged(f"rows of {table.name} differ from what was written to {target.name}")
        yield Page(len(mine), len(changed), [key for key in theirs if key not in mine])
        if not upto:
            return
        after = upto


def last_key(database: Database, table: Table) -> Key:
    """The highest there is; empty where there is none."""
    keys = table.primary_key.columns
    with database.read() as tx:
        found = tx.execute(select(*keys).order_by(*map(desc, keys)).limit(1)).first()
    return tuple(found) if found else ()


def remove(tx: Connection, table: Table, keys: list[Key]) -> None:
    for at in range(0, len(keys), 500):
        tx.execute(delete(table).where(tuple_(*table.primary_key.columns).in_(keys[at : at + 500])))


def go_on_counting(session: Session, table: Table) -> None:
    """New rows of the target get keys behind those that were brought."""
    (key,) = table.primary_key.columns.keys()
    name = table.name
    sql = f"SELECT setval(pg_get_serial_sequence('{name}', '{key}'), max({key})) FROM {name} HAVING count(*) > 0"  # noqa: S608 - names are ours
    session.rows(sql, {})


def _read(database: Database, table: Table, after: Key, upto: Key) -> Rows:
    with database.read() as tx:
        return _rows(tx, table, after, upto, None)


def _rows(tx: Connection, table: Table, after: Key, upto: Key, limit: int | None) -> Rows:
    keys, names = list(table.primary_key.columns), [column.name for column in table.columns]
    wanted = select(table).order_by(*keys).limit(limit)
    if after:
        wanted = wanted.where(tuple_(*keys) > after)
    if upto:
        wanted = wanted.where(tuple_(*keys) <= upto)
    places = [names.index(key.name) for key in keys]
    rows = (tuple(map(_plain, row)) for row in tx.execute(wanted))
    return {tuple(row[at] for at in places): row for row in rows}


def _plain(value: Any) -> Any:
    """PostgreSQL's text holds no NUL (`postgres`)."""
    return value.replace("\0", "") if isinstance(value, str) else value


def _put(table: Table) -> str:
    names, keys = [column.name for column in table.columns], table.primary_key.columns.keys()
    values, rest = ", ".join(f":{name}" for name in names), [name for name in names if name not in keys]
    change = f"UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in rest)}" if rest else "NOTHING"
    return (
        f"INSERT INTO {table.name}({', '.join(names)}) VALUES ({values}) ON CONFLICT ({', '.join(keys)})"  # noqa: S608 - names are ours
        f" DO {change}"
    )


def copy_pack(source: Packs, target: Objects, name: str, size: int) -> None:
    """The first `size` bytes of the pack are the object of the same name."""
    path = source.folder / name
    with disk_faults(), source.claim(name) as nobody_writes:
        if nobody_writes and path.stat().st_size == size:
            target.adopt(name, path, size)
            return
        with tempfile.NamedTemporaryFile(dir=target.cache, prefix="move-") as part:
            for at in range(0, size, _STEP_BYTES):
                part.write(source.open(name).read(at, min(_STEP_BYTES, size - at)))
            part.flush()
            target.adopt(name, Path(part.name), size)


def compare_pack(source: Packs, target: Objects, name: str, size: int) -> Iterator[tuple[Walked, Walked]]:
    """The records of both as they are met, side by side. Raises StoreDamaged where they are not the same."""
    for ours, theirs in zip_longest(source.walk(name, stop=size), target.walk(name)):
        if ours is None or theirs is None or ours != theirs:
            raise StoreDamaged(f"{name} differs at the target")
        yield ours, theirs
