"""Public keys of a provider, and the algorithms with which it may sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

#: Algorithm -> (kty, crv) of its keys (RFC 7518 3.1; RFC 8037). `none` and all that is symmetric is not among them.
ALGORITHMS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", "")),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
_MOST_KEYS = 50
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class KeySet:
    """The rows of a JWK Set (RFC 7517) as they stand."""

    rows: tuple[dict[str, Any], ...]

    def find(self, kid: str | None, algorithm: str) -> Any:
        """The key of this id for this algorithm; without an id the only one that fits. None where there is none."""
        kind = ALGORITHMS[algorithm]
        fitting = [
            row
            for row in self.rows
            if (row.get("kty"), row.get("crv", "")) == kind
            and row.get("use", "sig") == "sig"
            and row.get("alg", algorithm) == algorithm
            and (kid is None or row.get("kid") == kid)
        ]
        return _key(fitting[0], algorithm) if len(fitting) == 1 else None


def read_keys(data: bytes) -> KeySet:
    """Raises ValueError."""
    said = orjson.loads(data)
    rows = said.get("keys") if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise ValueError(  # noqa: TRY004 - as what is no JSON
            'a JWK Set is an object with a list "keys"'
        )
    return KeySet(tuple(row for row in rows[:_MOST_KEYS] if isinstance(row, dict)))


def _key(row: dict[str, Any], algorithm: str) -> Any:
    public = {name: value for name, value in row.items() if name not in ("d", "p", "q", "dp", "dq", "qi")}
    try:
        key = jwt.PyJWK({**public, "alg": algorithm}).key
    except (jwt.PyJWTError, ValueError):
        return None
    return None if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS else key
