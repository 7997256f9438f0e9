"""The SQL of shares; each function works within the transaction it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Connection, Row, and_, delete, func, insert, or_, select, update

from huitong.access.sharing.model import Share
from huitong.access.sharing.tables import SHARE, SHARE_FILE, SHARE_SESSION
from huitong.base.clock import moment


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def add(write: Connection, **values: Any) -> Share:
    return _share(write.execute(insert(SHARE).values(**values).returning(SHARE)).one())


def by_manifest(read: Connection, secret: str) -> tuple[Share, str, str] | None:
    """By what programs show, with the hash of its passcode and its file."""
    return _whole(read, SHARE.c.manifest_sha256 == digest(secret))


def by_page(read: Connection, secret: str) -> tuple[Share, str, str] | None:
    """By what our own page shows."""
    return _whole(read, SHARE.c.page_sha256 == digest(secret))


def _whole(read: Connection, which: Any) -> tuple[Share, str, str] | None:
    row = read.execute(select(SHARE).where(which)).first()
    return None if row is None else (_share(row), row.passcode_hash, row.file)


def by_token(read: Connection, token: str) -> Share | None:
    row = read.execute(select(SHARE).where(SHARE.c.token_sha256 == digest(token))).first()
    return None if row is None else _share(row)


def by_public_id(read: Connection, public_id: str) -> Share | None:
    row = read.execute(select(SHARE).where(SHARE.c.public_id == public_id)).first()
    return None if row is None else _share(row)


def of(read: Connection, persons: Iterable[str], sharers: Iterable[str], limit: int) -> list[Share]:
    """Of these persons' studies or made by these, newest first."""
    which = or_(SHARE.c.person.in_(list(persons)), SHARE.c.sharer.in_(list(sharers)))
    return [_share(row) for row in read.execute(select(SHARE).where(which).order_by(SHARE.c.pk.desc()).limit(limit))]


def count_open(read: Connection, person: str, at_ms: int) -> int:
    """Links to studies of the person that have neither expired nor been revoked."""
    holds = and_(SHARE.c.person == person, SHARE.c.until_ms > at_ms, SHARE.c.revoked_at_ms.is_(None))
    return read.execute(select(func.count()).select_from(SHARE).where(holds)).scalar_one()


def revoke(write: Connection, pk: int, by: str, at_ms: int) -> bool:
    """Whether it held until now."""
    said = {"revoked_by": by, "revoked_at_ms": at_ms}
    changed = update(SHARE).where(SHARE.c.pk == pk, SHARE.c.revoked_at_ms.is_(None)).values(said)
    return bool(write.execute(changed).rowcount)


def count_wrong(write: Connection, pk: int, by: int) -> None:
    """So many more (or fewer) wrong passcodes."""
    write.execute(update(SHARE).where(SHARE.c.pk == pk).values(wrong_passcodes=SHARE.c.wrong_passcodes + by))


def count_opening(write: Connection, pk: int, at_ms: int) -> None:
    said = {"openings": SHARE.c.openings + 1, "opened_at_ms": at_ms}
    write.execute(update(SHARE).where(SHARE.c.pk == pk).values(said))


def add_session(write: Connection, secret: str, public_id: str, share_pk: int, until_ms: int) -> None:
    values = {"secret_sha256": digest(secret), "public_id": public_id, "share_pk": share_pk, "until_ms": until_ms}
    write.execute(insert(SHARE_SESSION).values(values))


def forget_sessions(write: Connection, before_ms: int) -> None:
    """Those that ended before."""
    write.execute(delete(SHARE_SESSION).where(SHARE_SESSION.c.until_ms <= before_ms))


def add_file(write: Connection, secret: str, share_pk: int, file: str, until_ms: int) -> None:
    values = {"secret_sha256": digest(secret), "share_pk": share_pk, "file": file, "until_ms": until_ms}
    write.execute(insert(SHARE_FILE).values(values))


def take_file(write: Connection, secret: str, at_ms: int) -> tuple[Share, str] | None:
    """It is there once, with the share that it is of."""
    where = (SHARE_FILE.c.secret_sha256 == digest(secret), SHARE_FILE.c.until_ms > at_ms)
    wanted = delete(SHARE_FILE).where(*where).returning(SHARE_FILE.c.file, SHARE_FILE.c.share_pk)
    row = write.execute(wanted).first()
    if row is None:
        return None
    return _share(write.execute(select(SHARE).where(SHARE.c.pk == row.share_pk)).one()), row.file


def forget_files(write: Connection, before_ms: int) -> None:
    write.execute(delete(SHARE_FILE).where(SHARE_FILE.c.until_ms <= before_ms))


def session(read: Connection, secret: str) -> tuple[Share, str, int] | None:
    """The share, the public id of the session, and when that ends."""
    wanted = select(SHARE, *_OF_SESSION).join(SHARE_SESSION, SHARE_SESSION.c.share_pk == SHARE.c.pk)
    row = read.execute(wanted.where(SHARE_SESSION.c.secret_sha256 == digest(secret))).first()
    return None if row is None else (_share(row), row.session_id, row.session_until_ms)


_OF_SESSION: tuple[Column[Any], ...] = (
    SHARE_SESSION.c.public_id.label("session_id"),  # type: ignore[assignment]
    SHARE_SESSION.c.until_ms.label("session_until_ms"),
)


def _share(r: Row[Any]) -> Share:
    return Share(
        r.pk,
        r.public_id,
        r.person,
        r.sharer,
        r.institution,
        r.study_uid,
        r.label,
        bool(r.passcode_hash),
        r.wrong_passcodes,
        moment(r.made_at_ms),
        moment(r.until_ms),
        None if r.revoked_at_ms is None else moment(r.revoked_at_ms),
        r.openings,
        None if r.opened_at_ms is None else moment(r.opened_at_ms),
    )
