"""Keys and assertions of a system, made by hand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


@dataclass(frozen=True)
class Key:
    kid: str
    algorithm: str
    private: Any

    @property
    def public(self) -> dict[str, Any]:
        to_jwk = RSAAlgorithm.to_jwk if self.algorithm.startswith("RS") else ECAlgorithm.to_jwk
        said: dict[str, Any] = json.loads(to_jwk(self.private.public_key()))
        return {**said, "kid": self.kid, "use": "sig"}


@cache
def rsa_key(kid: str = "rsa-1", bits: int = 2048) -> Key:
    return Key(kid, "RS384", rsa.generate_private_key(65537, bits))


@cache
def ec_key(kid: str = "ec-1") -> Key:
    return Key(kid, "ES384", ec.generate_private_key(ec.SECP384R1()))


def jwks(*keys: Key) -> str:
    return json.dumps({"keys": [each.public for each in keys]})


def assertion(
    key: Key, client_id: str, audience: str, *, now: float | None = None, headers: Any = None, **claims: Any
) -> str:
    """Good for four minutes, unless claims say otherwise; None leaves one out."""
    at = time.time() if now is None else now
    said = {
        "iss": client_id, "sub": client_id, "aud": audience, "exp": int(at) + 240, "jti": uuid4().hex, **claims,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key.private, key.algorithm, {"kid": key.kid, **(headers or {})})
