"""What an import shows: a progress bar on standard error, a summary on standard output."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeRemainingColumn as Remaining
from rich.progress import TransferSpeedColumn as Speed
from rich.table import Table

from huitong.base.settings import Settings
from huitong.cli.importing import NAMES_SHOWN, Tally, import_members
from huitong.cli.options import console
from huitong.cli.walk import Member, Refused, walk
from huitong.imaging.model import Outcome

_WORDS = {
    Outcome.KEPT: "kept",
    Outcome.ALREADY: "already there",
    Outcome.VARIANT: "kept beside other bytes of the same UID",
}


def import_with_progress(settings: Settings, paths: Iterable[Path], institution: str) -> tuple[Tally, bool]:
    """What became of everything found, and whether the operator broke it off. Raises HuitongError."""
    tally = Tally()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), Remaining())
    with Progress(*columns, console=console(stderr=True)) as progress:
        try:
            asyncio.run(_import(settings, institution, paths, tally, progress))
        except KeyboardInterrupt:
            return tally, True
    return tally, False


async def _import(
    settings: Settings, institution: str, paths: Iterable[Path], tally: Tally, progress: Progress
) -> None:
    from huitong import app

    async with app.open_archive(settings) as archive:
        work = archive.access.local(institution)
        bar = progress.add_task("looking", total=None)
        found = await asyncio.to_thread(_look, paths, lambda count: progress.update(bar, description=f"found {count}"))
        total = sum(item.size_bytes for item in found if isinstance(item, Member))
        progress.update(bar, description="importing", total=total)
        await import_members(work, iter(found), tally, lambda size: progress.advance(bar, size))


def _look(paths: Iterable[Path], tell: Callable[[int], None]) -> list[Member | Refused]:
    found: list[Member | Refused] = []
    for item in walk(paths):
        found.append(item)
        tell(len(found))
    return found


def summary(tally: Tally, out: Console) -> None:
    """A line for each outcome, then each reason of refusal with the first names."""
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("objects", justify="right")
    table.add_column("size", justify="right")
    for outcome, words in _WORDS.items():
        if tally.outcomes[outcome] or outcome is Outcome.KEPT:
            table.add_row(words, f"{tally.outcomes[outcome]:,}", decimal(tally.size_bytes[outcome]))
    if tally.refused_count:
        table.add_row("refused", f"{tally.refused_count:,}", "")
    out.print(table)
    out.print(f"studies touched: {len(tally.studies):,}")
    for reason, names in sorted(tally.refused.items(), key=lambda item: -len(item[1])):
        out.print(f"\nrefused, {len(names):,}: {reason}", soft_wrap=True)
        for name in names[:NAMES_SHOWN]:
            out.print(f"  {name}", soft_wrap=True)
        if len(names) > NAMES_SHOWN:
            out.print(f"  and {len(names) - NAMES_SHOWN:,} more")
