"""The SQL of providers' accounts and sessions; each function works within the transaction it is given."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, insert, select, update

from huitong.access.accounts.tables import ACCOUNT
from huitong.access.openid.model import Provided
from huitong.access.openid.tables import PROVIDER_ACCOUNT, PROVIDER_SESSION

_A, _S = PROVIDER_ACCOUNT.c, PROVIDER_SESSION.c


def bound(tx: Connection, issuer: str, sub: str) -> tuple[str, bool] | None:
    """Name of the account, and whether it follows the provider."""
    joined = PROVIDER_ACCOUNT.join(ACCOUNT, ACCOUNT.c.pk == _A.account_pk)
    found = select(ACCOUNT.c.name, _A.follows).select_from(joined).where(_A.issuer == issuer, _A.sub == sub)
    row = tx.execute(found).first()
    return None if row is None else (row.name, bool(row.follows))


def is_bound(tx: Connection, issuer: str, account_pk: int) -> bool:
    """Whether the account is somebody's at this provider."""
    found = select(_A.sub).where(_A.issuer == issuer, _A.account_pk == account_pk)
    return tx.execute(found).first() is not None


def bind(tx: Connection, issuer: str, sub: str, account_pk: int, at_ms: int, *, follows: bool) -> None:
    values = {"issuer": issuer, "sub": sub, "account_pk": account_pk, "follows": int(follows), "at_ms": at_ms}
    tx.execute(insert(PROVIDER_ACCOUNT).values(**values))


def unbind(tx: Connection, issuer: str, account_pk: int) -> bool:
    """Whether it was bound."""
    mine = and_(_A.issuer == issuer, _A.account_pk == account_pk)
    return tx.execute(delete(PROVIDER_ACCOUNT).where(mine)).rowcount > 0


def add_session(tx: Connection, public_id: str, provided: Provided, at_ms: int) -> None:
    values = {"issuer": provided.issuer, "sub": provided.sub, "sid": provided.sid, "id_token": provided.id_token}
    tx.execute(insert(PROVIDER_SESSION).values(public_id=public_id, began_at_ms=at_ms, **values))


def carry_on(tx: Connection, public_id: str, new_public_id: str) -> None:
    """The session goes on under another id; nothing happens where it did not begin at a provider."""
    tx.execute(update(PROVIDER_SESSION).where(_S.public_id == public_id).values(public_id=new_public_id))


def hint(tx: Connection, issuer: str, public_id: str) -> str | None:
    """ID token of the session; None for one that did not begin at this provider."""
    found = select(_S.id_token).where(_S.public_id == public_id, _S.issuer == issuer)
    return tx.execute(found).scalar()


def is_session(tx: Connection, public_id: str) -> bool:
    """Whether the session began at a provider."""
    return tx.execute(select(_S.public_id).where(_S.public_id == public_id)).first() is not None


def sessions(tx: Connection, issuer: str, sub: str, sid: str) -> list[str]:
    """Public ids of all sessions of `sid` or, where it is empty, of `sub`; with both, of both."""
    named = [_S.issuer == issuer, *([_S.sub == sub] if sub else []), *([_S.sid == sid] if sid else [])]
    return list(tx.execute(select(_S.public_id).where(*named)).scalars())


def end_sessions(tx: Connection, public_ids: list[str]) -> None:
    tx.execute(delete(PROVIDER_SESSION).where(_S.public_id.in_(public_ids)))


def forget_before(tx: Connection, began_ms: int) -> None:
    tx.execute(delete(PROVIDER_SESSION).where(_S.began_at_ms < began_ms))
