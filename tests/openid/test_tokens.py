"""What must be true of ID tokens and logout tokens: each claim right, wrong and missing."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from tests.access.signing import Key, ec_key, rsa_key

from huitong.access.openid.keys import KeySet, read_keys
from huitong.access.openid.model import Ended, Reason, SignInFailed
from huitong.access.openid.tokens import Expected, id_claims, logout_claims

ISSUER, CLIENT, NONCE = "https://id.example/realms/health", "huitong", "n" * 43
NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
EXPECTED = Expected(ISSUER, CLIENT, NOW)
KEYS = KeySet(({**rsa_key("one").public, "alg": "RS256"}, ec_key("two").public))
EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}
LEFT_OUT = object()


def token(key: Key | None = None, algorithm: str = "RS256", headers: Any = None, **claims: Any) -> str:
    said = {"iss": ISSUER, "sub": "248", "aud": CLIENT, "exp": AT + 300, "iat": AT, "nonce": NONCE, **claims}
    said = {name: value for name, value in said.items() if value is not LEFT_OUT}
    used = key or rsa_key("one")
    return jwt.encode(said, used.private, algorithm, {"kid": used.kid, **(headers or {})})


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": [CLIENT]},
        {"aud": [CLIENT, "other"], "azp": CLIENT},
        {"azp": CLIENT},
        {"exp": AT - 29},
        {"iat": AT + 29, "nbf": AT + 29},
    ],
)
def test_a_good_token_is_believed(claims: dict[str, Any]) -> None:
    assert id_claims(token(**claims), EXPECTED, NONCE, KEYS.find)["sub"] == "248"


@pytest.mark.parametrize(
    "claims",
    [
        *({name: LEFT_OUT} for name in ("iss", "sub", "aud", "exp", "iat", "nonce")),
        {"iss": ISSUER + "/"},
        {"aud": "other"},
        {"aud": [CLIENT, "other"]},  # several, and none says for whom it was made
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"azp": "other"},
        {"exp": AT - 31},
        {"exp": "never"},
        {"exp": True},
        {"iat": AT + 31},
        {"iat": AT - 400},
        {"nbf": AT + 31},
        {"nonce": "m" * 43},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 248},
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInFailed) as failed:
        id_claims(token(**claims), EXPECTED, NONCE, KEYS.find)
    assert failed.value.reason is Reason.UNPROVED


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _hs256(secret: bytes) -> str:
    text = f"{_part({'alg': 'HS256', 'kid': 'one'})}.{token().split('.')[1]}"
    signed = base64.urlsafe_b64encode(hmac.digest(secret, text.encode(), "sha256")).rstrip(b"=").decode()
    return f"{text}.{signed}"


@pytest.mark.parametrize(
    "text",
    [
        f"{_part({'alg': 'none'})}.{token().split('.')[1]}.",
        f"{_part({'alg': 'NONE'})}.{token().split('.')[1]}.",
        _hs256(b"the client's secret"),
        _hs256(json.dumps(rsa_key("one").public).encode()),  # the public key as a secret
        token(rsa_key("stranger"), headers={"kid": "one"}),
        token(rsa_key("stranger")),
        token(algorithm="RS384"),  # the key is for RS256
        token().rpartition(".")[0] + ".",
        token()[:-4] + "AAAA",
        "",
        "a.b.c",
        "x" * 40_000,
    ],
)
def test_a_signature_that_is_not_the_providers_is_refused(text: str) -> None:
    with pytest.raises(SignInFailed):
        id_claims(text, EXPECTED, NONCE, KEYS.find)


def test_a_key_in_the_token_itself_is_not_looked_at() -> None:
    stranger = rsa_key("stranger")
    with pytest.raises(SignInFailed):
        id_claims(token(stranger, headers={"jwk": stranger.public, "kid": "one"}), EXPECTED, NONCE, KEYS.find)


def test_a_key_is_found_by_its_id_or_where_it_is_the_only_one_that_fits() -> None:
    assert KEYS.find("two", "ES384") is not None
    assert KEYS.find(None, "ES384") is not None
    assert KEYS.find("two", "RS256") is None
    assert KEYS.find("one", "RS384") is None
    both = KeySet((rsa_key("one").public, rsa_key("other").public))
    assert both.find("one", "PS256") is not None
    assert both.find(None, "PS256") is None


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"keys": 1}', b"\xff"])
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_keys(data)


def test_short_keys_are_of_no_use() -> None:
    assert KeySet((rsa_key("short", 1024).public,)).find("short", "RS256") is None


def logout(**claims: Any) -> str:
    return token(**{"nonce": LEFT_OUT, "exp": AT + 60, "jti": "1", "events": EVENT, "sid": "s", **claims})


def test_a_logout_token_says_whose_sessions_ended() -> None:
    assert logout_claims(logout(), EXPECTED, KEYS.find) == Ended("248", "s")
    assert logout_claims(logout(sub=LEFT_OUT), EXPECTED, KEYS.find) == Ended("", "s")
    assert logout_claims(logout(sid=LEFT_OUT, exp=LEFT_OUT), EXPECTED, KEYS.find) == Ended("248", "")


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": NONCE},  # an ID token
        {"events": LEFT_OUT},
        {"events": {}},
        {"events": {"http://schemas.openid.net/event/backchannel-logout": "yes"}},
        {"events": "http://schemas.openid.net/event/backchannel-logout"},
        {"jti": LEFT_OUT},
        {"sub": LEFT_OUT, "sid": LEFT_OUT},
        {"iss": "https://elsewhere.example"},
        {"aud": "other"},
        {"iat": AT - 400},
        {"exp": AT - 31},
    ],
)
def test_what_is_no_logout_token_ends_nothing(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInFailed):
        logout_claims(logout(**claims), EXPECTED, KEYS.find)
