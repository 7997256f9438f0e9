"""What is done with systems' clients: the operator registers them, they get access tokens, tokens are recognised."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from huitong.access.fetching import check_url
from huitong.access.systems import assertions, records
from huitong.access.systems.keys import Keys, read_keys
from huitong.access.systems.model import Client, Granted, Token, TokenRefused
from huitong.access.work import Work
from huitong.base.clock import Clock
from huitong.base.errors import BadRequest, NotAllowed, NotFound
from huitong.base.lru import Lru
from huitong.base.setting_kinds import Network, is_within
from huitong.base.tls import NO_CERTIFICATE, Certificate
from huitong.store import ledger
from huitong.store.store import Store
from huitong.wire.smart import granted, read_scope, read_scopes, written

__all__ = ["PREFIX", "Systems", "add_client", "change_keys", "list_clients", "set_active"]

#: Access tokens begin with it, so that they are told from institutions' own tokens and found by scanners of secrets.
PREFIX = "huitong_at_"
#: SMART 2.2, "Backend Services": an access token lives for five minutes at most.
TOKEN_S = 300
#: A token that was looked up is believed for so long: what is ended by the operator ends everywhere within it.
_BELIEVED_S = 5.0
_SECRET_BYTES = 32
#: Of a token, with its secret in base64url.
_CHARACTERS = len(PREFIX) + (_SECRET_BYTES * 8 + 5) // 6
_CLIENT_ID = re.compile(r"[A-Za-z0-9._:/-]{1,255}")


class Systems:
    """Gives and recognises access tokens; one for each process, and all processes of a store take each other's."""

    def __init__(self, store: Store, clock: Clock, takes_part: Callable[[str], bool], keys: Keys | None = None) -> None:
        """`takes_part` says whether the directory has an institution of this code."""
        self._store, self._clock, self._takes_part = store, clock, takes_part
        self._keys = keys or Keys(clock)
        self._known: Lru[str, tuple[Granted, float]] = Lru(10_000)

    def give_token(
        self, assertion: str, scope: str, audience: str, host: str, certificate: Certificate = NO_CERTIFICATE
    ) -> Token:
        """A new token for whoever made the assertion. Raises TokenRefused. Blocks, and may wait for a client's server.

        `audience` is our token endpoint, which the assertion must name. Where a `certificate` was shown, the token is
        good with it alone (RFC 8705 3): who copies the token cannot use it.
        """
        now = self._clock()
        good = assertions.check(assertion, audience=audience, now=now, client_of=self._client, key_of=self._keys.find)
        client = good.client
        if client.networks and not is_within(host, client.networks):
            raise TokenRefused("invalid_client", f"{client.client_id}: not from {host}")
        if not self._takes_part(client.institution):
            raise TokenRefused("invalid_client", f"{client.client_id}: {client.institution} takes no part")
        scopes = granted(read_scopes(scope), client.scopes)
        text = PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        with self._store.database.write() as tx:
            records.forget(tx, now)
            taken = records.take_assertion(tx, client.pk, good.jti, good.until)
            if taken and scopes:
                records.add_token(tx, text, client.pk, scopes, now + timedelta(seconds=TOKEN_S), certificate.sha256)
        if not taken:
            raise TokenRefused("invalid_client", f"{client.client_id}: the assertion was shown before")
        if not scopes:
            raise TokenRefused("invalid_scope", f"{client.client_id}: none of the scopes is registered")
        return Token(text, scopes, TOKEN_S)

    def by_token(self, text: str, host: str, certificate: Certificate = NO_CERTIFICATE) -> Granted | None:
        """What the token stands for.

        None when it is not known, its time is over, or it is shown from elsewhere or without its certificate.
        """
        now = self._clock()
        found = self._look(text, now.timestamp())
        if found is None or not found.client.active or now >= found.until:
            return None
        if found.client.networks and not is_within(host, found.client.networks):
            return None
        if found.certificate and found.certificate != certificate.sha256:
            return None
        return found

    def _look(self, text: str, at_s: float) -> Granted | None:
        """From memory, or from the database. That there is none is not remembered: anybody can think of texts."""
        if len(text) != _CHARACTERS:
            return None
        known = self._known.get(text)
        if known is not None and at_s < known[1]:
            return known[0]
        with self._store.database.read() as tx:
            found = records.token(tx, text)
        if found is not None:
            self._known.put(text, (found, at_s + _BELIEVED_S))
        return found

    def _client(self, client_id: str) -> Client | None:
        with self._store.database.read() as tx:
            return records.client(tx, client_id)


def add_client(
    work: Work,
    client_id: str,
    *,
    scope: str,
    jwks: str = "",
    jwks_url: str = "",
    name: str = "",
    networks: str = "",
) -> None:
    """Register a system of the institution on whose behalf `work` is. Raises BadRequest, NotAllowed."""
    if work.institution is None:
        raise NotAllowed("a client is an institution's")
    if not _CLIENT_ID.fullmatch(client_id):
        raise BadRequest("a client id is 1 to 255 of A-Z a-z 0-9 . _ : / -")
    if unknown := [each for each in scope.split() if read_scope(each) is None]:
        raise BadRequest(f"{unknown[0]!r} is no scope such as system/Patient.rs")
    if not scope.split():
        raise BadRequest("a client needs a scope such as system/Patient.rs")
    values = {
        "client_id": client_id,
        "institution": work.institution,
        "name": name,
        "scopes": written(read_scopes(scope)),
        "networks": " ".join(map(str, _networks(networks))),
        **_keys(jwks, jwks_url),
    }
    with work.store.database.write() as tx:
        if records.client(tx, client_id) is not None:
            raise BadRequest(f"there is a client {client_id}")
        records.add(tx, values, work.at)
        _tell(work, tx, "access.client_added", work.institution, client_id, {"scopes": values["scopes"]})


def change_keys(work: Work, client_id: str, *, jwks: str = "", jwks_url: str = "") -> None:
    """Other keys from now on; tokens that were given stay good for their five minutes. Raises NotFound, BadRequest."""
    values = _keys(jwks, jwks_url)
    with work.store.database.write() as tx:
        client = _known(records.client(tx, client_id), client_id)
        records.change(tx, client.pk, **values)
        _tell(work, tx, "access.client_keys_changed", client.institution, client_id, {})


def set_active(work: Work, client_id: str, *, active: bool) -> None:
    """A client that is not gets no token, and those that it has end within seconds. Raises NotFound."""
    with work.store.database.write() as tx:
        client = _known(records.client(tx, client_id), client_id)
        records.change(tx, client.pk, active=int(active))
        if not active:
            records.end_tokens(tx, client.pk)
        kind = "access.client_enabled" if active else "access.client_disabled"
        _tell(work, tx, kind, client.institution, client_id, {})


def list_clients(work: Work) -> list[Client]:
    """By their ids."""
    with work.store.database.read() as tx:
        return records.clients(tx)


def _tell(work: Work, tx: Any, kind: str, institution: str, client_id: str, body: dict[str, Any]) -> None:
    ledger.append(tx, at=work.at, kind=kind, institution=institution, subject=client_id, body=body)


def _known(client: Client | None, client_id: str) -> Client:
    if client is None:
        raise NotFound(f"client {client_id}")
    return client


def _keys(jwks: str, jwks_url: str) -> dict[str, str]:
    """Exactly one of the two, and usable."""
    if bool(jwks) == bool(jwks_url):
        raise BadRequest("a client has either a JWK Set or the address of one")
    if jwks:
        read_keys(jwks)
    else:
        check_url(jwks_url)
    return {"jwks": jwks, "jwks_url": jwks_url}


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(each) for each in text.replace(",", " ").split())
    except ValueError as e:
        raise BadRequest(str(e)) from e
