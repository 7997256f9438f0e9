"""What access grants to a request, and the only key with which an action reaches records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from huitong.access.model import Asker, Kind
from huitong.base.clock import Clock
from huitong.store.store import Store


@dataclass(frozen=True, slots=True)
class Work:
    """Who asks, through which door, from where, when; and the store in which the work is done.

    Made by `access.actions.Access`, for the audit of a sign-in by `access.accounts`, and of what a provider says by
    `access.openid`, and nowhere else.
    """

    store: Store
    asker: Asker
    #: "dimse", "http", "mllp" or "local".
    door: str
    #: Address of the caller, empty for local work.
    host: str
    at: datetime
    may_send: bool
    clock: Clock
    #: May say which records are one person.
    may_decide: bool = False

    @property
    def institution(self) -> str | None:
        """Code of the institution that asks; None for those who are of none."""
        return self.asker.institution

    @property
    def who(self) -> str:
        """Whoever does it, as it is kept beside what was done: an account, an institution whose system it was, the
        exchange id of a resident, an address, or "operator".
        """
        asker = self.asker
        system = (asker.institution or "") if asker.kind is Kind.SYSTEM else ""
        return system or asker.name or asker.person or self.host or asker.kind.value

    def now(self) -> datetime:
        """The time of this moment; `at` is when the work began, which for an association may be hours ago."""
        return self.clock()
