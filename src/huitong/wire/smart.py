"""SMART App Launch 2.2: scopes of systems, and what `.well-known/smart-configuration` says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

#: How a client proves itself (RFC 7523 2.2), and the algorithms of SMART's asymmetric profile: nothing symmetric.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("RS384", "ES384")
#: `system/Patient.rs`; the letters in this order (SMART 2.2, "Scopes for requesting FHIR resources").
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?|read|write|\*)")
#: Scopes of SMART 1.
_OLD = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be done with one type of resource, or with all."""

    #: A FHIR type, or "*".
    resource: str
    #: Of c, r, u, d, s: create, read, update, delete, search.
    letters: frozenset[str]

    def __str__(self) -> str:
        return f"system/{self.resource}.{''.join(each for each in 'cruds' if each in self.letters)}"


def read_scope(text: str) -> Scope | None:
    """None for what is not understood: scopes of users and of launches, and those with a query."""
    found = _SCOPE.fullmatch(text)
    if found is None or not found[2]:
        return None
    return Scope(found[1], frozenset(_OLD.get(found[2], found[2])))


def read_scopes(text: str) -> tuple[Scope, ...]:
    """Those of a list separated by spaces that are understood (RFC 6749 3.3)."""
    return tuple(found for each in text.split() if (found := read_scope(each)) is not None)


def granted(asked: Iterable[Scope], registered: Iterable[Scope]) -> tuple[Scope, ...]:
    """What is both asked for and registered, which may be less than was asked for."""
    both: dict[Scope, None] = {}
    allowed = tuple(registered)
    for want in asked:
        for may in allowed:
            if "*" in (want.resource, may.resource) or want.resource == may.resource:
                letters = want.letters & may.letters
                name = may.resource if want.resource == "*" else want.resource
                if letters:
                    both[Scope(name, letters)] = None
    return tuple(both)


def allows(scopes: Iterable[Scope], resource: str, letter: str) -> bool:
    return any(each.resource in ("*", resource) and letter in each.letters for each in scopes)


def written(scopes: Iterable[Scope]) -> str:
    return " ".join(map(str, scopes))


def configuration(token_url: str, scopes: Sequence[str], *, with_certificates: bool) -> dict[str, Any]:
    """The document by which a client finds the token endpoint (SMART 2.2, "Conformance").

    `with_certificates`: tokens of clients that show a certificate are bound to it (RFC 8705 3.3).
    """
    return {
        "token_endpoint": token_url,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "scopes_supported": list(scopes),
        "tls_client_certificate_bound_access_tokens": with_certificates,
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
