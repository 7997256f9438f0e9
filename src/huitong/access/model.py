"""Who asks: what every decision and every line of the audit begins with."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What kind of asker it is; the policy's rules are by these and by `Role`."""

    #: The command line on this machine.
    OPERATOR = "operator"
    #: An institution's system: a PACS, LIS or HIS, by AE title, MSH-3 and MSH-4, or token.
    SYSTEM = "system"
    #: Somebody who works in an institution or for the commission, signed in.
    STAFF = "staff"
    #: A resident, signed in: sees what is their own.
    PERSON = "person"
    #: Whoever holds a link that a person has shared.
    SHARE = "share"
    #: Any caller from an address in the setting `readers`: nothing is decided about them.
    OPEN = "open"


#: Nothing is decided about these, and nothing written down: who has the command line has the disk, and a network in
#: the setting `readers` has decided for itself.
FREE = frozenset({Kind.OPEN, Kind.OPERATOR})


class Role(StrEnum):
    """What somebody of the staff may be; one account can have several."""

    #: Treats patients: sees own records, and others' with a treatment relationship.
    DOCTOR = "doctor"
    #: Registers patients and scans cards: sees who they are, no images.
    CLERK = "clerk"
    #: Says which patient numbers are one person.
    REGISTRAR = "registrar"
    #: Sees who looked, never the images.
    SUPERVISOR = "supervisor"
    #: Keeps accounts, directory and keys, never sees records.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Need:
    """What a request is about, as the scopes of access tokens say it (SMART 2.2)."""

    #: A FHIR type; all of DICOMweb is of ImagingStudy.
    resource: str
    #: One of c, r, u, d, s: create, read, update, delete, search.
    letter: str


@dataclass(frozen=True, slots=True)
class Asker:
    """One that asks, as access has made sure of; equal askers are the same one in the same session."""

    kind: Kind
    #: Name of the account, client, AE title or link: what the audit calls them. Empty for addresses.
    name: str = ""
    #: As pages and audit show it.
    display: str = ""
    #: Code of the institution on whose behalf they ask; None for residents and the commission.
    institution: str | None = None
    roles: frozenset[Role] = frozenset()
    #: Exchange id of the person who asks or who shared; empty for all others.
    person: str = ""
    #: Public id of the session, not the secret that the browser has; empty without one.
    session: str = ""
    #: Of a link (`Kind.SHARE`): institution and UID of the one study that it opens.
    study: tuple[str, str] = ("", "")
    #: Of a link: exchange id of who made it, the person or a guardian; empty where the operator did.
    sharer: str = ""

    def has(self, *roles: Role) -> bool:
        """Whether they have one of these roles."""
        return not self.roles.isdisjoint(roles)
