"""Institutions as they must be recognised and named, and what came of a file that was loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from huitong.store.store import Store

Network = IPv4Network | IPv6Network
Networks = tuple[Network, ...]


class Granted(Protocol):
    """The key with which an action reaches records, as far as this room needs it: in truth an `access` Work."""

    @property
    def store(self) -> Store: ...

    @property
    def at(self) -> datetime: ...


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
    networks: Networks
    #: SHA-256 of each of its tokens, lower-case hex; the token itself is kept nowhere.
    token_sha256: frozenset[str]
    #: A code of `codes.LEVELS`; empty where nobody said.
    level: str = ""
    #: GB/T 2260, six digits.
    region: str = ""
    #: 医共体 or 医联体 to which it belongs.
    county_group: str = ""
    #: GB 32100.
    credit_code: str = ""
    #: Fingerprints (SHA-256, lower-case hex) of certificates that it shows over TLS; with any, it must show one.
    certificate_sha256: frozenset[str] = frozenset()
    #: The same by name (`base.tls.certificate_name`), so that a renewed one goes on.
    certificate_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Caller:
    """By what, and from where, an institution may call; what is empty is not shown there."""

    institution: str
    networks: Networks
    ae_titles: frozenset[str] = frozenset()
    token_sha256: frozenset[str] = frozenset()
    #: MSH-3 and MSH-4 of HL7 v2; either may be empty, which fits any.
    hl7_application: str = ""
    hl7_facility: str = ""
    #: With any, one of them must be shown over TLS; then `networks` may be empty, for everywhere.
    certificate_sha256: frozenset[str] = frozenset()
    certificate_names: frozenset[str] = frozenset()

    @property
    def certificates(self) -> frozenset[str]:
        """Fingerprints and names."""
        return self.certificate_sha256 | self.certificate_names


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that was not taken, or a cell of it."""

    #: Line of the file, from 1 with its heading; of a bundle the number of the entry, from 1.
    line: int
    #: Heading of the column, or what else was wrong.
    field: str
    value: str
    reason_zh: str
    reason_en: str


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of a file."""

    #: 0 where nothing was kept (`--dry-run`).
    pk: int
    at_ms: int
    file: str
    sha256: str
    #: A name of `kinds.KINDS`, or "bundle".
    kind: str
    added: int
    changed: int
    unchanged: int
    #: Lines, of which one may have several refusals.
    refused: int
    #: Headings that mean nothing here.
    ignored: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def changes_nothing(self) -> bool:
        return not self.added and not self.changed
