"""What `verify` and `reindex` show: a progress bar, what was counted, what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from huitong.cli.options import console


class Report(Protocol):
    """What `app.verify` and `app.reindex` give back."""

    @property
    def clean(self) -> bool: ...
    #: What was counted -> how many, in the order to show.
    @property
    def counts(self) -> Mapping[str, int]: ...
    #: What is wrong, a line each.
    @property
    def problems(self) -> Sequence[str]: ...


R = TypeVar("R", bound=Report)


def with_progress(words: str, run: Callable[[Callable[[int, int], None]], R]) -> R:
    """The report of `run`, which tells how many bytes are done, and of how many, as it goes."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True)) as progress:
        bar = progress.add_task(words, total=None)
        return run(lambda done, total: progress.update(bar, completed=done, total=total))


def show_report(report: Report, out: Console) -> None:
    """Counts as a table, then every problem on its line, so that they can be cut and passed on."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for what, count in report.counts.items():
        table.add_row(what, f"{count:,}")
    out.print(table)
    for problem in report.problems:
        out.print(problem, soft_wrap=True)
    out.print("all is as it should be" if report.clean else f"problems: {len(report.problems):,}")
