"""What access grants to a request, and the only key with which an action reaches records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from huitong.access.model import Asker
from huitong.base.clock import Clock
from huitong.store.store import Store


@dataclass(frozen=True, slots=True)
class Work:
    """Who asks, through which door, from where, when; and the store in which the work is done.

    Made by `access.actions.Access` and nowhere else.
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

    def now(self) -> datetime:
        """The time of this moment; `at` is when the work began, which for an association may be hours ago."""
        return self.clock()
