"""An institution, as far as it must be recognised and named."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class Institution:
    """A hospital, clinic, centre or office that takes part."""

    #: Short, stable, ASCII; the name by which records are filed.
    code: str
    name: str
    name_en: str
    #: AE titles by which it calls.
    ae_titles: frozenset[str]
    #: Addresses from which those AE titles may call.
    networks: tuple[IPv4Network | IPv6Network, ...]
    #: SHA-256 of each of its tokens, lower-case hex; the token itself is kept nowhere.
    token_sha256: frozenset[str]
