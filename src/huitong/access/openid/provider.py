"""The provider over HTTP: what it says of itself (Discovery 1.0), its keys, its token and UserInfo endpoints."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from huitong.access.fetching import Fetched, body, check_url, fetch, opened
from huitong.access.openid.keys import KeySet, read_keys
from huitong.access.openid.model import Reason, SignInFailed
from huitong.base.clock import Clock
from huitong.base.errors import BadRequest, SettingsError
from huitong.base.settings import Settings
from huitong.wire.smart import ASSERTION_TYPE

#: An assertion of ours is good for so long.
_ASSERTION_S = 60
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Provider:
    """The one of the settings; any thread."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Raises SettingsError for a key or authorities that cannot be used."""
        self._settings, self._clock = settings, clock
        self._tls = _tls(settings.oidc_authorities)
        self._key = _private_key(settings.oidc_client_key)
        at = settings.oidc_issuer.rstrip("/")
        self._address = f"{at}/.well-known/openid-configuration"
        self._documents = Fetched(clock, self._read, lambda url: fetch(url, self._tls))
        self._keys = Fetched(clock, read_keys, lambda url: fetch(url, self._tls))

    def document(self) -> Mapping[str, Any]:
        """What the provider says of itself; raises SignInFailed. May wait for it."""
        found = self._documents.get(self._address)
        if found is None:
            raise SignInFailed(Reason.DOWN, "the provider's description cannot be had")
        return found

    def key(self, kid: str | None, algorithm: str) -> Any:
        """Its public key; asked for anew where it is not known, as keys change. None where there is none."""
        url = str(self.document()["jwks_uri"])
        for again in (False, True):
            keys: KeySet | None = self._keys.get(url, again=again)
            if keys is not None and (found := keys.find(kid, algorithm)) is not None:
                return found
        if keys is None:
            raise SignInFailed(Reason.DOWN, "the provider's keys cannot be had")
        return None

    def tokens(self, code: str, verifier: str, redirect_uri: str) -> Mapping[str, Any]:
        """What is given for the code (Core 3.1.3); raises SignInFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        more, headers = self._proof()
        request = urllib.request.Request(  # noqa: S310 - `opened` looks at the address
            str(self.document()["token_endpoint"]),
            urlencode(form | more).encode(),
            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers},
        )
        return self._json(request)

    def user_info(self, access_token: str) -> Mapping[str, Any]:
        """Claims that are not in the ID token (Core 5.3); nothing where the provider has no such endpoint."""
        url = self.document().get("userinfo_endpoint")
        if not url:
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        return self._json(urllib.request.Request(str(url), headers=headers))  # noqa: S310 - as above

    def _proof(self) -> tuple[dict[str, str], dict[str, str]]:
        """Form fields and headers by which the provider knows us (Core 9)."""
        client_id, secret = self._settings.oidc_client_id, self._settings.oidc_client_secret
        if self._key is not None:
            assertion = _assertion(self._key, client_id, self._settings.oidc_issuer, self._clock)
            return {"client_id": client_id, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}, {}
        methods = self.document().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" not in methods and "client_secret_post" in methods:
            return {"client_id": client_id, "client_secret": secret}, {}
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"  # RFC 6749 2.3.1
        return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}

    def _json(self, request: urllib.request.Request) -> Mapping[str, Any]:
        try:
            with opened(request, self._tls) as answer:
                said = orjson.loads(body(answer))
        except urllib.error.HTTPError as e:
            refused = 400 <= e.code < 500
            raise SignInFailed(Reason.UNPROVED if refused else Reason.DOWN, f"{e.code}: {_error(e)}") from e
        except (OSError, ValueError, BadRequest) as e:
            raise SignInFailed(Reason.DOWN, f"{type(e).__name__}: {e}"[:200]) from e
        if not isinstance(said, dict):
            raise SignInFailed(Reason.DOWN, "the answer is no object")
        return said

    def _read(self, data: bytes) -> Mapping[str, Any]:
        """Raises ValueError, BadRequest."""
        said = orjson.loads(data)
        if not isinstance(said, dict) or said.get("issuer") != self._settings.oidc_issuer:
            raise ValueError("it is not that of `oidc_issuer`")  # Discovery 1.0, 4.3
        for name in _NEEDED:
            check_url(str(said.get(name, "")))
        return said


def _error(answer: urllib.error.HTTPError) -> str:
    """The code of RFC 6749 5.2: a word, which can be logged."""
    try:
        said = orjson.loads(answer.read(4096))
    except (OSError, ValueError):
        return ""
    return str(said.get("error", ""))[:40] if isinstance(said, dict) else ""


def _assertion(key: Any, client_id: str, issuer: str, clock: Clock) -> str:
    """RFC 7523 3, its audience the issuer alone, so that no other server can use it."""
    now = clock()
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": issuer,
        "jti": uuid4().hex,
        "iat": now,
        "exp": now + timedelta(seconds=_ASSERTION_S),
    }
    return jwt.encode(claims, key, "RS256" if isinstance(key, RSAPrivateKey) else "ES256")


def _private_key(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        key = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as e:
        raise SettingsError(f"oidc_client_key: {type(e).__name__}") from e
    is_ec = isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    if not is_ec and not isinstance(key, RSAPrivateKey):
        raise SettingsError("oidc_client_key: neither RSA nor EC P-256")
    return key


def _tls(authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except OSError as e:
        raise SettingsError(f"oidc_authorities: {e}") from e
