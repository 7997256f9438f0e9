"""What is known of somebody who signs in at a provider, and why a sign-in comes to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from huitong.base.errors import CallerFault


class Reason(StrEnum):
    """What the reader is told; what exactly it was is in our log."""

    #: The provider does not answer, or answers what no provider does.
    DOWN = "down"
    #: It was left off at the provider, by the reader or by the provider.
    CANCELLED = "cancelled"
    #: It did not begin in this browser, or too long ago.
    STALE = "stale"
    #: What the provider said is not to be believed.
    UNPROVED = "unproved"
    #: The provider knows them, and nobody has said which account they are here.
    NOBODY = "nobody"


class SignInFailed(CallerFault):
    """Nobody was signed in by the provider."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        #: Where they wanted to go, as far as that is known.
        self.target = "/"


@dataclass(frozen=True, slots=True)
class Provided:
    """Somebody as a provider has proved who they are."""

    issuer: str
    sub: str
    #: Of the provider's session; empty where it has said none.
    sid: str
    id_token: str = field(repr=False)
    #: Of ID token and UserInfo.
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """Whose sessions a provider has ended; one of the two may be empty."""

    sub: str
    sid: str
