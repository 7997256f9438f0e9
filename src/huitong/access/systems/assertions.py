"""Client assertions (RFC 7523 3; SMART 2.2, "Client Authentication: Asymmetric"): what must be true of one.

PyJWT checks the signature, with a key that we chose by the registered client and with the one algorithm that goes with
it; the claims about time are held against our own clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt

from huitong.access.systems.keys import PublicKey
from huitong.access.systems.model import Client, TokenRefused
from huitong.wire.smart import ALGORITHMS

#: An assertion is good for five minutes at most; clocks may differ by so much.
MOST_S, SKEW_S = 300.0, 30.0
_MOST_CHARACTERS = 16 * 1024


@dataclass(frozen=True, slots=True)
class Assertion:
    """One whose signature and claims are good; whether it was shown before is for the records to say."""

    client: Client
    jti: str
    #: Until when it could be shown again.
    until: datetime


def check(
    text: str,
    *,
    audience: str,
    now: datetime,
    client_of: Callable[[str], Client | None],
    key_of: Callable[[Client, str, str], PublicKey | None],
) -> Assertion:
    """Raises TokenRefused."""
    header, unproved = _unproved(text)
    algorithm, kid = header.get("alg"), header.get("kid")
    # `none` and everything symmetric end here, before any key is looked for.
    if algorithm not in ALGORITHMS:
        raise _refused(f"signed with {str(algorithm)[:20]!r}")
    if not isinstance(kid, str) or not kid:
        raise _refused("no kid")
    issuer = str(unproved.get("iss", ""))
    client = client_of(issuer) if issuer.isascii() and issuer.isprintable() else None
    if client is None or not client.active:
        raise _refused("not a known client")
    if header.get("jku") not in (None, client.jwks_url):
        raise _refused(f"{client.client_id}: jku is not the registered address")
    key = key_of(client, kid, algorithm)
    if key is None:
        raise _refused(f"{client.client_id}: unknown kid")
    claims = _proved(text, key, algorithm, client, audience)
    return Assertion(client, str(claims["jti"]), _until(claims, client, now))


def _unproved(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims as they are said: only to find the key that proves them."""
    if len(text) > _MOST_CHARACTERS:
        raise _refused("too long")
    try:
        header = jwt.get_unverified_header(text)
        claims = jwt.decode(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as e:
        raise _refused(f"not a JWT: {type(e).__name__}") from e
    return header, claims


def _proved(text: str, key: PublicKey, algorithm: str, client: Client, audience: str) -> dict[str, Any]:
    times = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False)  # by our own clock, below
    options: Any = {"require": ["iss", "sub", "aud", "exp", "jti"], **times}
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=client.client_id,
            subject=client.client_id,
            options=options,
        )
    except (jwt.PyJWTError, ValueError) as e:
        raise _refused(f"{client.client_id}: {type(e).__name__}") from e
    jti = claims["jti"]
    if not isinstance(jti, str) or not 1 <= len(jti) <= 255:
        raise _refused(f"{client.client_id}: jti is no text of 1 to 255 characters")
    return claims


def _until(claims: dict[str, Any], client: Client, now: datetime) -> datetime:
    skew, at_s = SKEW_S, now.timestamp()
    for name in ("exp", "nbf", "iat"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise _refused(f"{client.client_id}: {name} is no number")
    if not at_s - skew < claims["exp"]:
        raise _refused(f"{client.client_id}: expired")
    if claims["exp"] > at_s + MOST_S + skew:
        raise _refused(f"{client.client_id}: good for longer than {MOST_S:.0f} s")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > at_s + skew:
        raise _refused(f"{client.client_id}: not good yet")
    return datetime.fromtimestamp(claims["exp"], now.tzinfo) + timedelta(seconds=skew)


def _refused(detail: str) -> TokenRefused:
    return TokenRefused("invalid_client", detail)
