"""ID tokens (OpenID Connect Core 1.0, 3.1.3.7) and logout tokens (Back-Channel Logout 1.0, 2.6): what must be true.

PyJWT checks the signature, with a key that we chose and the one algorithm that goes with it; times are held against our
own clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt

from huitong.access.openid.keys import ALGORITHMS
from huitong.access.openid.model import Ended, Reason, SignInFailed

#: Clocks may differ by so much.
SKEW_S = 30.0
#: A token that we have just asked for was made just now; one that ends sessions is good for no longer either.
_FRESH_S = 300.0
_MOST_CHARACTERS = 32 * 1024
_LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
#: (kid, algorithm) -> a public key, or None.
KeyOf = Callable[[str | None, str], Any]


@dataclass(frozen=True, slots=True)
class Expected:
    """Who must have made a token, for whom, and when it is looked at."""

    issuer: str
    client_id: str
    now: datetime


def id_claims(text: str, expected: Expected, nonce: str, key_of: KeyOf) -> dict[str, Any]:
    """Raises SignInFailed."""
    claims = _proved(text, expected, key_of, ("iss", "sub", "aud", "exp", "iat", "nonce"))
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", None if several else expected.client_id) != expected.client_id:
        raise _refused("made for another party")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise _refused("another nonce")
    if not isinstance(claims["sub"], str) or not 1 <= len(claims["sub"]) <= 255:
        raise _refused("sub is no text of 1 to 255 characters")
    return claims


def logout_claims(text: str, expected: Expected, key_of: KeyOf) -> Ended:
    """Raises SignInFailed."""
    claims = _proved(text, expected, key_of, ("iss", "aud", "iat", "jti", "events"))
    events = claims["events"]
    if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT), dict):
        raise _refused("no logout token")
    if "nonce" in claims:  # so that no ID token is taken for one
        raise _refused("a logout token has no nonce")
    sub, sid = (str(claims.get(name, "")) for name in ("sub", "sid"))
    if not (sub or sid):
        raise _refused("neither sub nor sid")
    return Ended(sub, sid)


def _proved(text: str, expected: Expected, key_of: KeyOf, needed: tuple[str, ...]) -> dict[str, Any]:
    header = _header(text)
    algorithm, kid = header.get("alg"), header.get("kid")
    # `none` and everything symmetric end here, before any key is looked for.
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise _refused(f"signed with {str(algorithm)[:20]!r}")
    key = key_of(kid if isinstance(kid, str) else None, algorithm)
    if key is None:
        raise _refused("unknown key")
    times = dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False)  # by our own clock, below
    options: Any = {"require": list(needed), **times}
    try:
        claims: dict[str, Any] = jwt.decode(
            text, key, algorithms=[algorithm], audience=expected.client_id, issuer=expected.issuer, options=options
        )
    except (jwt.PyJWTError, ValueError) as e:
        raise _refused(type(e).__name__) from e
    _check_times(claims, expected.now.timestamp())
    return claims


def _header(text: str) -> dict[str, Any]:
    if len(text) > _MOST_CHARACTERS:
        raise _refused("too long")
    try:
        return jwt.get_unverified_header(text)
    except (jwt.PyJWTError, ValueError, RecursionError) as e:
        raise _refused(f"not a JWT: {type(e).__name__}") from e


def _check_times(claims: dict[str, Any], at_s: float) -> None:
    for name in ("exp", "nbf", "iat"):
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise _refused(f"{name} is no number")
    if not at_s - SKEW_S < claims.get("exp", at_s):
        raise _refused("expired")
    if max(claims.get("nbf", 0), claims["iat"]) > at_s + SKEW_S:
        raise _refused("not good yet")
    if claims["iat"] < at_s - _FRESH_S - SKEW_S:
        raise _refused("made too long ago")


def _refused(detail: str) -> SignInFailed:
    return SignInFailed(Reason.UNPROVED, detail)
