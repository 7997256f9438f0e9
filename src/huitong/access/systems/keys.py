"""Public keys of clients: JWK Sets (RFC 7517) as registered, or fetched from where a client keeps its own."""

from __future__ import annotations

import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from huitong.access.systems.model import Client
from huitong.base.clock import Clock
from huitong.base.errors import BadRequest
from huitong.base.log import logger

log = logger(__name__)

_MOST_BYTES = 64 * 1024
_MOST_KEYS = 20
_FETCH_S = 5.0
#: How long a fetched set is kept where its server says nothing, and at most.
_KEPT_S, _KEPT_MOST_S = 300.0, 3600.0
#: A key that is not in the set may have been added since: then it is fetched anew, but not more often than this.
_AGAIN_S = 10.0
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


def check_url(url: str) -> str:
    """The address of a JWK Set, which is fetched over TLS, or from this machine. Raises BadRequest."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return url
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return url
    raise BadRequest("a JWK Set is fetched from an https:// address")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class _Fetched:
    keys: KeySet | None
    at: datetime
    until: datetime


Fetch = Callable[[str], tuple[bytes, str]]


class Keys:
    """Keys by client; fetched sets are kept for as long as their server allows."""

    def __init__(self, clock: Clock, fetch: Fetch | None = None) -> None:
        self._clock, self._fetch = clock, fetch or fetch_set
        self._fetched: dict[str, _Fetched] = {}
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}

    def find(self, client: Client, kid: str, algorithm: str) -> PublicKey | None:
        """May wait for the client's server."""
        if not client.jwks_url:
            return read_keys(client.jwks).keys.get((kid, algorithm))
        known = self._of(client.jwks_url, again=False)
        found = known.keys.get((kid, algorithm)) if known else None
        if found is None:
            known = self._of(client.jwks_url, again=True)
            found = known.keys.get((kid, algorithm)) if known else None
        return found

    def _of(self, url: str, *, again: bool) -> KeySet | None:
        with self._lock:
            lock = self._fetching.setdefault(url, threading.Lock())
        with lock:
            known, now = self._fetched.get(url), self._clock()
            if known is not None and (now < known.until if not again else now < known.at + timedelta(seconds=_AGAIN_S)):
                return known.keys
            try:
                data, cache_control = self._fetch(url)
                keys: KeySet | None = read_keys(data)
                kept_s = _kept_s(cache_control)
            except (OSError, ValueError, BadRequest) as e:
                # What was fetched before is no longer to be trusted once it is out of date.
                log.warning("keys of a client could not be fetched", url=url, error=f"{type(e).__name__}: {e}"[:200])
                keys = known.keys if known is not None and now < known.until else None
                kept_s = _AGAIN_S
            self._fetched[url] = _Fetched(keys, now, now + timedelta(seconds=kept_s))
            return keys


def _kept_s(cache_control: str) -> float:
    """SMART 2.2, "Client Authentication: Asymmetric": no longer than the client's Cache-Control allows."""
    if re.search(r"no-(store|cache)", cache_control):
        return 0.0
    found = re.search(r"max-age=(\d{1,9})", cache_control)
    return min(float(found[1]), _KEPT_MOST_S) if found else _KEPT_S


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A set is where it was registered; another address has not been looked at by anybody."""

    def redirect_request(self, *_: Any) -> None:
        return None


def fetch_set(url: str) -> tuple[bytes, str]:
    """Body and Cache-Control. Raises OSError."""
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(check_url(url), timeout=_FETCH_S) as answer:
        data: bytes = answer.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise OSError(f"more than {_MOST_BYTES} bytes")
        return data, str(answer.headers.get("Cache-Control", "")).lower()
