"""A system's client, and what it was granted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from huitong.base.errors import CallerFault
from huitong.base.setting_kinds import Network
from huitong.wire.smart import Scope


class TokenRefused(CallerFault):
    """No access token is given.

    `error` is the code of RFC 6749 5.2. The caller is told no more; `detail` is for our log.
    """

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(detail)
        self.error = error


@dataclass(frozen=True, slots=True)
class Client:
    """A system of an institution, known by its public keys."""

    pk: int
    client_id: str
    institution: str
    name: str
    #: JWK Set; empty where `jwks_url` says where it is.
    jwks: str
    jwks_url: str
    scopes: tuple[Scope, ...]
    #: From where it may ask; empty for everywhere.
    networks: tuple[Network, ...]
    active: bool
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, as its owner is told it once."""

    text: str
    scopes: tuple[Scope, ...]
    lasts_s: int


@dataclass(frozen=True, slots=True)
class Granted:
    """What an access token stands for."""

    client: Client
    scopes: tuple[Scope, ...]
    until: datetime
    #: Names the token in the audit, and is of no use to whoever reads it.
    public_id: str
    #: Fingerprint of the certificate with which alone it is good; empty where it is good without one.
    certificate: str
