"""Public keys of clients: JWK Sets (RFC 7517) as registered, or fetched from where a client keeps its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from huitong.access.fetching import Fetch, Fetched
from huitong.access.fetching import fetch as fetch_from
from huitong.access.systems.model import Client
from huitong.base.clock import Clock
from huitong.base.errors import BadRequest

_MOST_KEYS = 20
_LEAST_RSA_BITS = 2048
PublicKey = RSAPublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class KeySet:
    """The usable keys of a client, by (kid, algorithm)."""

    keys: dict[tuple[str, str], PublicKey]


def read_keys(data: bytes | str) -> KeySet:
    """Keys for RS384 (2048 bits or more) and ES384 (P-384) that have a `kid`. Raises BadRequest where there is none.

    Also raises it for a set with a private or symmetric key: whoever sent it to us has given it away.
    """
    try:
        said = orjson.loads(data)
        listed = said["keys"]
        rows = [each for each in listed if isinstance(each, dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError) as e:
        raise BadRequest('a JWK Set is an object with a list "keys"') from e
    if any("d" in each or each.get("kty") == "oct" for each in rows):
        raise BadRequest("the JWK Set holds a private or symmetric key; make new keys, and give the public ones")
    found = {
        (str(row["kid"]), name): key for row in rows[:_MOST_KEYS] if (usable := _usable(row)) for name, key in [usable]
    }
    if not found:
        raise BadRequest("the JWK Set has no key with a kid for RS384 (2048 bits or more) or ES384 (P-384)")
    return KeySet(found)


def _usable(row: dict[str, Any]) -> tuple[str, PublicKey] | None:
    algorithm = {"RSA": "RS384", "EC": "ES384"}.get(str(row.get("kty")))
    if algorithm is None or not isinstance(row.get("kid"), str) or not row["kid"]:
        return None
    if row.get("use", "sig") != "sig" or row.get("alg", algorithm) != algorithm:
        return None
    try:
        key = jwt.PyJWK({**row, "alg": algorithm}).key
    except (jwt.PyJWTError, ValueError):
        return None
    if isinstance(key, RSAPublicKey):
        return (algorithm, key) if key.key_size >= _LEAST_RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return (algorithm, key) if key.curve.name == "secp384r1" else None
    return None


class Keys:
    """Keys by client; fetched sets are kept for as long as their server allows."""

    def __init__(self, clock: Clock, fetch: Fetch = fetch_from) -> None:
        self._sets = Fetched(clock, read_keys, fetch)

    def find(self, client: Client, kid: str, algorithm: str) -> PublicKey | None:
        """May wait for the client's server."""
        if not client.jwks_url:
            return read_keys(client.jwks).keys.get((kid, algorithm))
        for again in (False, True):
            known = self._sets.get(client.jwks_url, again=again)
            if known and (found := known.keys.get((kid, algorithm))):
                return found
        return None
