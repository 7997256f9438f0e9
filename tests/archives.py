"""An archive in a temporary folder for tests that work on the rooms without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tests.homes import settings_of

from huitong.access.actions import Access
from huitong.access.model import Role
from huitong.access.work import Work
from huitong.base.settings import Settings
from huitong.directory.actions import read_directory
from huitong.imaging import actions
from huitong.imaging.model import Expected, Kept, StudyRow
from huitong.people import actions as people
from huitong.store.store import Store
from huitong.wire.query import Condition, Found, Level, Match, Query

#: This machine may see all, where a test does not say otherwise: most are not about who may.
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass
class TestArchive:
    """An open store, with a way to send and to search."""

    __test__ = False

    store: Store
    access: Access

    @property
    def reader(self) -> Work:
        return self.access.reader(None, "127.0.0.1")

    def sender(self, institution: str = "TAIYUAN") -> Work:
        return self.access.by_token(f"Bearer demo-{institution}", "127.0.0.1")

    async def keep(self, data: bytes, institution: str = "TAIYUAN", expected: Expected | None = None) -> Kept:
        work = self.sender(institution)
        intake = actions.new_intake(work)
        intake.write(data)
        return await actions.keep_instance(work, intake, expected)

    def keep_now(self, *objects: bytes, institution: str = "TAIYUAN") -> list[Kept | BaseException]:
        async def all_of_them() -> list[Kept | BaseException]:
            sending = (self.keep(each, institution) for each in objects)
            return await asyncio.gather(*sending, return_exceptions=True)

        return asyncio.run(all_of_them())

    def find(self, level: Level = Level.STUDY, *conditions: Condition, **more: Any) -> Found:
        return actions.find(self.reader, Query(level, conditions, **more))

    def names_found(self, pattern: str) -> list[str]:
        return [row.patient_name for row in self.rows(Condition("00100010", Match.WILDCARD, (pattern,)))]

    def rows(self, *conditions: Condition, **more: Any) -> list[StudyRow]:
        return actions.list_studies(self.reader, Query(Level.STUDY, conditions, **more))[0]

    def match(self) -> None:
        """As the server does by itself, soon after images of new patients came."""
        while people.Matcher(self.access.local).match_due():
            pass

    def settle(self) -> None:
        settler = actions.Settler(self.store)
        while settler.settle_due():
            pass


def settings_for(folder: Path, **more: Any) -> Settings:
    return Settings(
        data=folder,
        **{
            "demo": True,
            "settle_s": 0.0,
            "keep_free_bytes": 0,
            "totp_roles": "",
            "readers": LOOPBACK,
            "registrars": LOOPBACK,
            **settings_of(folder),
            **more,
        },
    )


@contextmanager
def archive_in(folder: Path, *, alone: bool = False, **more: Any) -> Iterator[TestArchive]:
    """Opened as `huitong serve` opens it, crashes cleaned up; closed at the end."""
    settings = settings_for(folder, **more)
    store = Store(settings, alone=alone)
    try:
        if not alone:
            actions.recover(store)
        yield TestArchive(store, Access(store, read_directory(None, demo=True)))
    finally:
        store.close()


PASSWORD = "correct horse battery"


def signed_in(archive: TestArchive, name: str, *roles: Role, institution: str | None = None, person: str = "") -> str:
    """The cookie (`SESSION_COOKIE`) of a new account that has signed in; `archive.access.by_session` makes it a Work.

    The settings of tests ask for no authenticator.
    """
    accounts = archive.access.accounts
    whose = {"institution": institution, "roles": frozenset(roles), "person": person}
    accounts.add(archive.access.local(), name, PASSWORD, **whose, known=False)
    return accounts.sign_in(name, PASSWORD, "127.0.0.1").secret
