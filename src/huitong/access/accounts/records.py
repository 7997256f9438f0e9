"""The SQL of accounts, sessions and failures; each function works within the transaction it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from huitong.access.accounts.model import Account, Session, Stage
from huitong.access.accounts.tables import ACCOUNT, SESSION, SIGN_IN_FAILURE
from huitong.access.model import Kind, Role
from huitong.base.clock import moment


def _account(r: Row[Any]) -> Account:
    return Account(
        r.pk,
        r.name,
        r.display,
        Kind(r.kind),
        r.institution or None,
        frozenset(map(Role, r.roles.split())),
        r.person,
        bool(r.totp_secret),
        bool(r.active),
        bool(r.password_known),
    )


def accounts(tx: Connection, text: str = "", after: str = "", limit: int | None = None) -> list[Account]:
    """By name, behind the name `after`; with this text in the name or in what pages show."""
    a = ACCOUNT.c
    wanted = select(ACCOUNT).where(a.name > after).order_by(a.name).limit(limit)
    if text:
        found = (a.name, a.display, a.person, a.institution)
        wanted = wanted.where(or_(*(func.lower(each).contains(text, autoescape=True) for each in found)))
    return [_account(r) for r in tx.execute(wanted)]


def account(tx: Connection, name: str) -> Account | None:
    row = tx.execute(select(ACCOUNT).where(ACCOUNT.c.name == name)).first()
    return None if row is None else _account(row)


def secrets_of(tx: Connection, name: str) -> tuple[str, str]:
    """(hash of the password, TOTP secret); empty where there is none."""
    row = tx.execute(select(ACCOUNT.c.password_hash, ACCOUNT.c.totp_secret).where(ACCOUNT.c.name == name)).first()
    return ("", "") if row is None else (row[0], row[1])


def add_account(tx: Connection, **values: Any) -> None:
    tx.execute(insert(ACCOUNT).values(**values))


def change_account(tx: Connection, name: str, **values: Any) -> None:
    tx.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(**values))


def take_step(tx: Connection, name: str, step: int) -> bool:
    """Whether the code of this step was not taken before, nor a later one; it is now."""
    newer = update(ACCOUNT).where(ACCOUNT.c.name == name, ACCOUNT.c.totp_step < step).values(totp_step=step)
    return tx.execute(newer).rowcount == 1


def add_session(tx: Connection, **values: Any) -> None:
    tx.execute(insert(SESSION).values(**values))


def session(tx: Connection, secret_sha256: bytes) -> Session | None:
    """The session of this secret, its account as it is now."""
    found = _sessions(tx, SESSION.c.secret_sha256 == secret_sha256)
    return found[0] if found else None


def sessions_of(tx: Connection, name: str) -> list[Session]:
    """Newest first."""
    return _sessions(tx, ACCOUNT.c.name == name)


def names_of(tx: Connection, public_ids: Iterable[str]) -> list[str]:
    """Of the accounts whose sessions these are."""
    named = select(ACCOUNT.c.name).join(SESSION, SESSION.c.account_pk == ACCOUNT.c.pk)
    return list(tx.execute(named.where(SESSION.c.public_id.in_(list(public_ids))).distinct()).scalars())


def _sessions(tx: Connection, condition: Any) -> list[Session]:
    s = SESSION.c
    own = (s.public_id, s.stage, s.host, s.began_at_ms, s.used_at_ms, s.totp_secret.label("enrolling"), s.device)
    rows = select(ACCOUNT, *own).join(SESSION, s.account_pk == ACCOUNT.c.pk).where(condition).order_by(s.pk.desc())
    return [
        Session(
            r.public_id,
            _account(r),
            Stage(r.stage),
            r.host,
            moment(r.began_at_ms),
            moment(r.used_at_ms),
            r.enrolling,
            r.device,
        )
        for r in tx.execute(rows)
    ]


def use_session(tx: Connection, public_id: str, at_ms: int) -> None:
    tx.execute(update(SESSION).where(SESSION.c.public_id == public_id).values(used_at_ms=at_ms))


def enrol(tx: Connection, public_id: str, totp_secret: str) -> None:
    """The session has an authenticator that awaits its first code; empty for none."""
    tx.execute(update(SESSION).where(SESSION.c.public_id == public_id).values(totp_secret=totp_secret))


def end_sessions(tx: Connection, public_ids: Iterable[str]) -> None:
    tx.execute(delete(SESSION).where(SESSION.c.public_id.in_(list(public_ids))))


def forget_before(tx: Connection, sessions_ms: int, failures_ms: int) -> None:
    """Sessions that began and failures that happened before, which say nothing any more."""
    tx.execute(delete(SESSION).where(SESSION.c.began_at_ms < sessions_ms))
    tx.execute(delete(SIGN_IN_FAILURE).where(SIGN_IN_FAILURE.c.last_at_ms < failures_ms))


def account_subject(name: str) -> str:
    """What the failures of an account are counted under, and what is locked while it changes."""
    return f"account:{name}"


def address_subject(host: str) -> str:
    """What the failures of an address are counted under."""
    return f"address:{host}"


def failures(tx: Connection, subject: str, since_ms: int) -> tuple[int, int]:
    """How many, and since or until when they count; none where that is before `since_ms`."""
    f = SIGN_IN_FAILURE.c
    counted = select(f.failures, f.last_at_ms).where(f.subject == subject, f.last_at_ms >= since_ms)
    row = tx.execute(counted).first()
    return (0, 0) if row is None else (row.failures, row.last_at_ms)


def forgive(tx: Connection, subject: str) -> None:
    """One of the failures was none; the others stay."""
    f = SIGN_IN_FAILURE.c
    tx.execute(update(SIGN_IN_FAILURE).where(f.subject == subject, f.failures > 0).values(failures=f.failures - 1))


def set_failures(tx: Connection, subject: str, count: int, at_ms: int) -> None:
    """0 forgets them."""
    tx.execute(delete(SIGN_IN_FAILURE).where(SIGN_IN_FAILURE.c.subject == subject))
    if count:
        tx.execute(insert(SIGN_IN_FAILURE).values(subject=subject, failures=count, last_at_ms=at_ms))


def touch_failures(tx: Connection, subject: str) -> None:
    """Writes what is there once more."""
    f = SIGN_IN_FAILURE.c
    tx.execute(update(SIGN_IN_FAILURE).where(f.subject == subject).values(failures=f.failures))
