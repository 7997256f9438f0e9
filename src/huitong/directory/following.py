"""Keeps the directory of a process as the database and the operator's file have it, without a restart.

A look a second, for one row and the time of one file; nothing is asked for a request. A file that cannot be used is
logged, and what was known stays.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from sqlalchemy import Connection, select

from huitong.base import log as logs
from huitong.base.errors import HuitongError
from huitong.base.rounds import Rounds
from huitong.directory.model import Caller, Institution
from huitong.directory.operator_file import read_institutions
from huitong.directory.recognising import Directory
from huitong.directory.records import MARK
from huitong.directory.tables import ENDPOINT, INSTITUTION
from huitong.store import marks
from huitong.store.store import Store

log = logs.logger(__name__)
LOOK_S = 1.0


class Follower:
    """Looks for changes in a thread of its own."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store, self._directory, self._settings = store, directory, store.settings
        self._seen: tuple[str | None, object] | None = None
        self._failing = ""
        self._rounds = Rounds("directory", LOOK_S, self._round, "reading the directory")

    def start(self) -> None:
        """What there is now is known when this returns. Raises SettingsError for a file that cannot be used."""
        self.refresh()
        self._rounds.start()

    def close(self) -> None:
        self._rounds.stop()

    def refresh(self) -> bool:
        """Whether there was something new."""
        file = self._file_state()
        with self._store.database.read() as tx:
            seen = marks.read(tx, MARK), file
            if seen == self._seen:
                return False
            institutions = read_institutions(self._settings.institutions, demo=self._settings.demo)
            self._directory.become(_joined(institutions, _of_database(tx)), _callers(tx))
        self._seen = seen
        return True

    def _file_state(self) -> object:
        if self._settings.institutions is None:
            return None
        try:
            found = self._settings.institutions.stat()
        except OSError as e:
            return str(e)
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _round(self) -> None:
        try:
            if self.refresh():
                log.info("directory changed", institutions=len(self._directory.all()))
            self._failing = ""
        except HuitongError as e:
            if str(e) != self._failing:
                log.warning("directory stays as it was", error=str(e))
            self._failing = str(e)


def follow(store: Store, directory: Directory) -> None:
    """Until the store is closed. Raises SettingsError."""

    def started() -> Follower:
        follower = Follower(store, directory)
        follower.start()
        return follower

    store.once("directory.following", started, lambda follower: follower.close())


def _of_database(tx: Connection) -> list[Institution]:
    i = INSTITUTION.c
    columns = (i.code, i.name, i.name_en, i.level, i.region, i.county_group, i.credit_code)
    rows = tx.execute(select(*columns).where(i.active == "1").order_by(i.code))
    none: frozenset[str] = frozenset()
    return [
        Institution(
            r.code, r.name, r.name_en or r.name, none, (), none, r.level, r.region, r.county_group, r.credit_code
        )
        for r in rows
    ]


def _joined(of_operator: list[Institution], of_database: list[Institution]) -> list[Institution]:
    """Of an institution in both: named and described by the database, known also by what the operator says."""
    described = {each.code: each for each in of_database}
    joined = [
        replace(
            said,
            ae_titles=each.ae_titles,
            networks=each.networks,
            token_sha256=each.token_sha256,
            certificate_sha256=each.certificate_sha256,
            certificate_names=each.certificate_names,
        )
        if (said := described.pop(each.code, None))
        else each
        for each in of_operator
    ]
    return [*joined, *described.values()]


def _callers(tx: Connection) -> list[Caller]:
    e = ENDPOINT.c
    reachable = (e.networks != "") | (e.certificate_sha256 != "") | (e.certificate_name != "")
    shown = (e.ae_title, e.token_sha256, e.hl7_application, e.hl7_facility, e.certificate_sha256, e.certificate_name)
    columns = (e.institution, e.networks, *shown)
    return [
        Caller(
            r.institution,
            tuple(map(ip_network, r.networks.split())),
            frozenset([r.ae_title] if r.ae_title else []),
            frozenset(r.token_sha256.split()),
            r.hl7_application,
            r.hl7_facility,
            frozenset(r.certificate_sha256.split()),
            frozenset([r.certificate_name] if r.certificate_name else []),
        )
        for r in tx.execute(select(*columns).where(e.active == "1", reachable).order_by(e.pk))
    ]
