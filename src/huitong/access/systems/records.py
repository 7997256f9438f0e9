"""The SQL of systems' clients."""

from __future__ import annotations

import hashlib
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text, update

from huitong.access.systems.model import Client, Granted
from huitong.access.systems.tables import ASSERTION, CLIENT, TOKEN
from huitong.base.clock import milliseconds, moment
from huitong.wire.smart import Scope, read_scopes, written


def clients(read: Connection) -> list[Client]:
    return [_client(row) for row in read.execute(select(CLIENT).order_by(CLIENT.c.client_id))]


def client(read: Connection, client_id: str) -> Client | None:
    row = read.execute(select(CLIENT).where(CLIENT.c.client_id == client_id)).first()
    return _client(row) if row is not None else None


def add(write: Connection, values: dict[str, Any], at: datetime) -> None:
    write.execute(insert(CLIENT).values(**values, active=1, added_at_ms=milliseconds(at)))


def change(write: Connection, pk: int, **values: Any) -> None:
    write.execute(update(CLIENT).where(CLIENT.c.pk == pk).values(**values))


def take_assertion(write: Connection, client_pk: int, jti: str, until: datetime) -> bool:
    """Whether it is ours: of two processes at once, the second waits for the first and gets False."""
    values = {"client_pk": client_pk, "jti_sha256": _digest(jti), "until_ms": milliseconds(until)}
    return write.execute(_TAKE, values).first() is not None


#: The same words on both databases; SQLAlchemy would want them in the dialect of each.
_TAKE = text(
    "INSERT INTO client_assertion (client_pk, jti_sha256, until_ms) VALUES (:client_pk, :jti_sha256, :until_ms)"
    " ON CONFLICT DO NOTHING RETURNING client_pk"
)


def add_token(
    write: Connection, token: str, client_pk: int, scopes: tuple[Scope, ...], until: datetime, certificate: str
) -> None:
    values = {
        "sha256": _digest(token),
        "client_pk": client_pk,
        "scopes": written(scopes),
        "until_ms": milliseconds(until),
        "certificate": certificate,
    }
    write.execute(insert(TOKEN).values(values))


def token(read: Connection, text: str) -> Granted | None:
    """What the token stands for, also when its time is over."""
    digest = _digest(text)
    columns = (*CLIENT.c, TOKEN.c.scopes.label("token_scopes"), TOKEN.c.until_ms, TOKEN.c.certificate)
    joined = TOKEN.join(CLIENT, CLIENT.c.pk == TOKEN.c.client_pk)
    row = read.execute(select(*columns).select_from(joined).where(TOKEN.c.sha256 == digest)).first()
    if row is None:
        return None
    public_id = f"token-{digest.hex()[:12]}"
    return Granted(_client(row), read_scopes(row.token_scopes), moment(row.until_ms), public_id, row.certificate)


def forget(write: Connection, before: datetime) -> None:
    """What nobody can show again."""
    for table in (ASSERTION, TOKEN):
        write.execute(delete(table).where(table.c.until_ms < milliseconds(before)))


def end_tokens(write: Connection, client_pk: int) -> None:
    write.execute(delete(TOKEN).where(TOKEN.c.client_pk == client_pk))


def _client(row: Row[Any]) -> Client:
    return Client(
        row.pk,
        row.client_id,
        row.institution,
        row.name,
        row.jwks,
        row.jwks_url,
        read_scopes(row.scopes),
        tuple(map(ip_network, row.networks.split())),
        bool(row.active),
        moment(row.added_at_ms),
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()  # JSON can hold halves of surrogate pairs
