"""Bringing files in: several at a time, so that they are made durable in groups, and a tally of what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from huitong.access.work import Work
from huitong.base.errors import HuitongError, OurFault, SenderFault
from huitong.cli.walk import Member, Refused
from huitong.cli.zips import ZipRefused
from huitong.imaging.actions import keep_instance, new_intake
from huitong.imaging.model import Kept, Outcome

#: Objects under way together: enough to fill a commit group while others are read.
AT_A_TIME = 64
CHUNK_BYTES = 1 << 20
#: Names shown for each reason of refusal.
NAMES_SHOWN = 3


@dataclass(slots=True)
class Tally:
    """What became of everything that was found."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    size_bytes: Counter[Outcome] = field(default_factory=Counter)
    #: Reason -> names.
    refused: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    studies: set[str] = field(default_factory=set)
    #: Set when the archive itself failed, and nothing further was tried.
    stopped_by: OurFault | None = None

    @property
    def refused_count(self) -> int:
        return sum(len(names) for names in self.refused.values())

    def note(self, member: Member, kept: Kept) -> None:
        self.outcomes[kept.outcome] += 1
        self.size_bytes[kept.outcome] += member.size_bytes
        self.studies.add(kept.study_uid)

    def refuse(self, name: str, reason: str) -> None:
        self.refused[reason].append(name)


async def import_members(
    work: Work, found: Iterator[Member | Refused], tally: Tally, done: Callable[[int], None]
) -> None:
    """Keep every member; `done` is told the size of each when its fate is known. Fills `tally`, also when cancelled."""

    async def worker() -> None:
        for item in found:  # one iterator for all workers: each item goes to the first that is free
            if tally.stopped_by is not None:
                return
            if isinstance(item, Refused):
                tally.refuse(item.name, item.reason)
                continue
            await _import_one(work, item, tally)
            done(item.size_bytes)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_A_TIME):
            group.create_task(worker())


async def _import_one(work: Work, member: Member, tally: Tally) -> None:
    intake = new_intake(work)
    try:
        await asyncio.to_thread(_read, member, intake.write)
    except BaseException as error:
        intake.abandon()
        if not _noted(member, error, tally):
            raise
        return
    try:
        tally.note(member, await keep_instance(work, intake))
    except HuitongError as error:
        if not _noted(member, error, tally):
            raise


def _read(member: Member, write: Callable[[bytes], None]) -> None:
    with member.open() as file:
        while chunk := file.read(CHUNK_BYTES):
            write(chunk)


def _noted(member: Member, error: BaseException, tally: Tally) -> bool:
    """Whether the error is the member's fate, or the archive's, and so part of the tally."""
    match error:
        case ZipRefused():
            tally.refuse(member.name, str(error))
        case OSError():
            tally.refuse(member.name, f"cannot be read: {error.strerror}")
        case SenderFault():
            tally.refuse(member.name, str(error))
        case OurFault():
            tally.stopped_by = tally.stopped_by or error
        case _:
            return False
    return True
