"""Accounts and sessions as the rest of the system sees them; without secrets."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from huitong.access.model import Asker, Kind, Role


class Stage(StrEnum):
    """How far a sign-in has got; only `FULL` opens anything."""

    #: The password was right, a code of the authenticator is awaited.
    CODE = "code"
    #: The password was right, and a role demands an authenticator that has still to be enrolled.
    ENROL = "enrol"
    #: All was right, but somebody else knows the password: another has still to be chosen.
    PASSWORD = "password"  # noqa: S105 - a stage
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who can sign in."""

    pk: int
    name: str
    display: str
    kind: Kind
    #: Code; None for residents and the commission.
    institution: str | None
    roles: frozenset[Role]
    #: Exchange id; empty for staff.
    person: str
    has_totp: bool
    active: bool
    #: Whether somebody else has made the password.
    password_known: bool

    def asker(self, session: str) -> Asker:
        """Them, in the session of this public id."""
        return Asker(self.kind, self.name, self.display, self.institution, self.roles, self.person, session)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which somebody is signed in, or about to be."""

    public_id: str
    account: Account
    stage: Stage
    host: str
    began_at: datetime
    used_at: datetime
    #: What is being enrolled (base32); empty else.
    enrolling: str = field(default="", repr=False)
    #: Browser and system: "Chrome, Windows"; empty where it did not say.
    device: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that has just begun, and the secret for its cookie: it is nowhere else."""

    session: Session
    secret: str = field(repr=False)


def folded_name(name: str) -> str:
    """The name by which an account is found, however it was typed."""
    return unicodedata.normalize("NFKC", name).strip().casefold()[:64]


#: What of User-Agent names a browser and a system; the first that is there counts, as most name the ones before them.
_BROWSERS = {
    "MicroMessenger": "WeChat", "Edg": "Edge", "QQBrowser": "QQ", "OPR": "Opera", "Firefox": "Firefox",
    "Chrome": "Chrome", "Safari": "Safari",
}  # fmt: skip
_SYSTEMS = {
    "Windows": "Windows", "HarmonyOS": "HarmonyOS", "Android": "Android", "iPhone": "iPhone", "iPad": "iPad",
    "Mac OS X": "macOS", "Linux": "Linux",
}  # fmt: skip


def device_of(user_agent: str) -> str:
    """Such as `Chrome, Windows`, as far as the header says; nothing of it is trusted."""
    known = (next((name for mark, name in each.items() if mark in user_agent), "") for each in (_BROWSERS, _SYSTEMS))
    return ", ".join(filter(None, known))
