"""A data folder opened for work: with its institutions known and, unless alone, crashes cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huitong.access import auditing
from huitong.access.actions import Access
from huitong.access.auditing import Looked
from huitong.access.checking import Findings, KeptHead
from huitong.access.deciding import Action
from huitong.access.exporting import Part, export, part_of
from huitong.access.head_key import signer_of
from huitong.access.heads import Head
from huitong.access.verifying import verify_store
from huitong.base.clock import now
from huitong.base.errors import SettingsError
from huitong.base.settings import Settings
from huitong.directory import actions as directory
from huitong.directory.actions import Directory, follow, read_directory
from huitong.directory.model import LoadReport
from huitong.imaging import actions as imaging
from huitong.store.store import Layout, Store
from huitong.wire.checkpoint import VerifierKey

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Archive:
    """An open store and the door to it."""

    store: Store
    access: Access


def open_now(settings: Settings) -> Archive:
    """Open for keeping and finding; what a crash left behind is indexed first."""
    known = read_directory(settings.institutions, demo=settings.demo)
    store = _admitted(settings)
    try:
        follow(store, known)
        imaging.recover(store)
    except BaseException:
        store.close()
        raise
    return Archive(store, Access(store, known))


def _admitted(settings: Settings) -> Store:
    """Raises SettingsError where the store is elsewhere by now, StoreUnavailable while it is still served as before."""
    store = Store(settings)
    try:
        if not imaging.admit(store):
            return store
    except BaseException:
        store.close()
        raise
    store.close()
    with closing(Store(settings, alone=True)) as store:
        imaging.begin_here(store)
    return Store(settings)


@asynccontextmanager
async def open_archive(settings: Settings) -> AsyncIterator[Archive]:
    """The archive for the commands of the operator; closed, everything accepted finished, at the end."""
    archive = open_now(settings)
    try:
        yield archive
    finally:
        archive.store.close()


def verify(settings: Settings, progress: Progress) -> imaging.VerifyReport:
    """Every stored byte against its digest, the index against the packs both ways; also while a server runs."""
    with closing(Store(_existing(settings))) as store:
        return imaging.verify(store, progress)


def reindex(settings: Settings, progress: Progress) -> imaging.Recovered:
    """The index made again from the packs alone. Raises StoreUnavailable while another process has the folder."""
    with closing(Store(_existing(settings), alone=True)) as store:
        return imaging.reindex(store, progress)


def move_store(
    settings: Settings, to_database: str, to_blobs: str, *, quick: bool, progress: Progress
) -> imaging.Moved:
    """The store where these URLs say, those that are empty as before; also while a server runs."""
    to = replace(settings, database=to_database or settings.database, blobs=to_blobs or settings.blobs)
    with closing(Store(_existing(settings))) as store:
        return imaging.move(store, to, quick=quick, progress=progress)


def load_directory(settings: Settings, file: str, data: bytes, kind: str | None, *, dry_run: bool) -> LoadReport:
    """What the file says is in the directory; also while servers run, which know it a second later."""
    with closing(_admitted(settings)) as store:
        return directory.load(Access(store, Directory([])).local(), file, data, kind, dry_run=dry_run)


def show_directory(settings: Settings) -> tuple[list[Any], list[LoadReport]]:
    """All institutions by code, and the last files that were loaded."""
    with closing(Store(_existing(settings))) as store:
        work = Access(store, Directory([])).local()
        rows: list[Any] = []
        while page := directory.find_institutions(work, after=rows[-1].code if rows else "", limit=1000)[1]:
            rows += page
        return rows, directory.load_reports(work, 10)


def check_audit(
    settings: Settings, number: int, head: str, kept: Sequence[KeptHead], keys: Sequence[VerifierKey]
) -> tuple[Findings, bool]:
    """The whole log of who looked, and whether line `number` still has the hash `head`: true where it is 0.

    Heads of it must be signed by `keys`, without them by our own, if there is one. Raises BadRequest.
    """
    with closing(Store(_existing(settings))) as store:
        heads = Access(store, Directory([])).heads
        ours = [heads.signer.key] if heads.signer and not keys else []
        found = verify_store(store, heads, kept, [*keys, *ours])
        return found, not number or auditing.holds(store, number, head)


def make_audit_head(settings: Settings) -> Head | None:
    """A head of all lines by now; also while servers run. Raises AuditDamaged."""
    with closing(Store(_existing(settings))) as store:
        return Access(store, Directory([])).heads.make()


def audit_key(settings: Settings) -> VerifierKey | None:
    """By which heads are verified; None where they are not signed. Raises SettingsError."""
    signer = signer_of(settings)
    return signer.key if signer else None


def export_audit(settings: Settings, file: Path, **which: Any) -> Part:
    """Lines of the log in a file; `which` as for `part_of`. That it was done is a line, too."""
    with closing(Store(_existing(settings))) as store:
        access = Access(store, Directory([]))
        part = part_of(store, **which)
        looked = Looked(Action.SEE_AUDIT, True, "operator", kind="audit export", id=f"{part.first}-{part.last}")
        auditing.record(access.local(), looked)
        part = part_of(store, **which)  # with that line, where it goes to the end
        export(store, access.heads, part, now, file)
        return part


def cancel_move(settings: Settings) -> None:
    """A store whose move was killed takes objects again."""
    with closing(Store(_existing(settings))) as store:
        imaging.cancel_move(store)


def _existing(settings: Settings) -> Settings:
    """Raises SettingsError where no archive is: a mistyped folder must not be made, and then be found in order."""
    layout = Layout(settings.data)
    there = layout.packs.is_dir() if not settings.blobs else settings.database or layout.database.exists()
    if not there:
        raise SettingsError(f"there is no archive in {settings.data}")
    return settings
