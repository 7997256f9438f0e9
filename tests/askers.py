"""Askers of all kinds, and the key that each would be given, for tests of what they may see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.archives import TestArchive

from huitong.access.actions import Access
from huitong.access.model import Asker, Kind, Role
from huitong.access.work import Work
from huitong.base.clock import now


def staff(*roles: Role, institution: str | None = "YUNCHENG", name: str = "") -> Asker:
    """A member of the staff with these roles."""
    name = name or "-".join(roles) or "nobody"
    return Asker(Kind.STAFF, name, name.title(), institution, frozenset(roles), session=f"s-{name}")


def doctor(institution: str = "YUNCHENG", name: str = "") -> Asker:
    return staff(Role.DOCTOR, institution=institution, name=name or f"doctor-{institution}")


def system(institution: str = "YUNCHENG") -> Asker:
    return Asker(Kind.SYSTEM, institution, institution, institution)


def resident(exchange_id: str) -> Asker:
    return Asker(Kind.PERSON, exchange_id, person=exchange_id, session=f"s-{exchange_id}")


def link(institution: str, study_uid: str, person: str) -> Asker:
    """Whoever holds a link to one study, which was this person's when it was made."""
    return Asker(Kind.SHARE, "link", person=person, session="s-link", study=(institution, study_uid))


def work_of(archive: TestArchive, asker: Asker, clock: Callable[[], datetime] = now) -> Work:
    """The key that the asker would be given."""
    return Work(archive.store, asker, "http", "127.0.0.1", clock(), asker.kind is Kind.SYSTEM, clock)


class KnowingAccess(Access):
    """Gives everybody the key of one asker, whatever they show: for tests that ask through a door."""

    asker: Asker | None = None

    def _given(self) -> Work | None:
        if self.asker is None:
            return None
        sends = self.asker.kind is Kind.SYSTEM
        return Work(self._store, self.asker, "http", "127.0.0.1", self._clock(), sends, self._clock)

    def reader(self, *shown: Any, **more: Any) -> Work:
        return self._given() or super().reader(*shown, **more)

    def system(self, *shown: Any, **more: Any) -> Work:
        return self._given() or super().system(*shown, **more)

    def registrar(self, *shown: Any, **more: Any) -> Work:
        found = self._given()
        return (
            replace(found, may_decide=found.asker.has(Role.REGISTRAR)) if found else super().registrar(*shown, **more)
        )
