"""Shares as the rest of the system sees them; without secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from huitong.access.model import Asker, Kind
from huitong.base.errors import NotSignedIn
from huitong.catalog.sharing import SHARING

#: Tokens of shares begin so; where others would take them for an institution's, they are known.
PREFIX = "hts_"


class State(StrEnum):
    """Of a link; only `OPEN` opens anything."""

    OPEN = "open"
    EXPIRED = "expired"
    REVOKED = "revoked"
    #: Too many wrong passcodes.
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Share:
    """A link to one study."""

    pk: int
    public_id: str
    #: Exchange ids: whose study it is, and who shared it.
    person: str
    sharer: str
    institution: str
    study_uid: str
    label: str
    has_passcode: bool
    wrong_passcodes: int
    made_at: datetime
    until: datetime
    revoked_at: datetime | None
    openings: int
    opened_at: datetime | None

    def state(self, at: datetime) -> State:
        if self.revoked_at is not None:
            return State.REVOKED
        if at >= self.until:
            return State.EXPIRED
        return State.DEAD if self.wrong_passcodes >= SHARING.passcode_tries else State.OPEN

    def asker(self, session: str) -> Asker:
        """Whoever holds it, in the session of this public id."""
        return Asker(
            Kind.SHARE,
            self.public_id,
            self.label,
            person=self.person,
            session=session,
            study=(self.institution, self.study_uid),
            sharer=self.sharer,
        )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to be shared, and how."""

    #: One of `SharingRules.durations`.
    lasting: timedelta
    has_passcode: bool
    label: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """What is shared, of whom, and what a program is told of it."""

    institution: str
    study_uid: str
    #: Exchange id.
    person: str
    #: A FHIR resource as JSON, made for the token and the end that are given.
    file: Callable[[str, datetime], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Made:
    """A share that has just been made, with what is shown once and is nowhere else."""

    share: Share
    #: `shlink:/…`
    link: str = field(repr=False)
    passcode: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A browser in which a share was opened, and the secret for its cookie."""

    share: Share
    until: datetime
    secret: str = field(repr=False)


class WrongPasscode(NotSignedIn):
    """The passcode is not right."""

    def __init__(self, remaining: int) -> None:
        super().__init__()
        #: Tries that are left in the life of the link.
        self.remaining = remaining
