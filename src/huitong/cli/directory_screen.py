"""What `huitong directory` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from huitong.base.clock import moment
from huitong.directory.codes import LEVELS
from huitong.directory.model import LoadReport


def show_load(report: LoadReport, out: Console, *, dry_run: bool) -> None:
    """What became of a file, and why lines were refused, in Chinese and English."""
    out.print(f"{report.file}: {report.kind}")
    out.print(
        f"新增 added {report.added}, 更改 changed {report.changed}, 未变 unchanged {report.unchanged},"
        f" 拒绝 refused {report.refused}"
    )
    if report.changes_nothing:
        out.print("目录未改变 nothing in the directory changes")
    if dry_run:
        out.print("试运行，未保存 dry run, nothing is kept")
    if report.ignored:
        out.print(f"未识别的列 columns that mean nothing here: {', '.join(report.ignored)}")
    if report.refusals:
        table = _table("行 line", "列 column", "值 value", "原因 reason")
        for each in report.refusals:
            table.add_row(str(each.line), each.field, each.value, f"{each.reason_zh} / {each.reason_en}")
        out.print(table)


def show_institutions(rows: Sequence[Any], loads: Sequence[LoadReport], out: Console) -> None:
    table = _table("code", "name", "level", "region", "county group", "active")
    for row in rows:
        level = LEVELS[row.level].zh if row.level else ""
        table.add_row(row.code, row.name, level, row.region, row.county_group, "yes" if row.active == "1" else "no")
    out.print(table)
    if loads:
        files = _table("loaded (UTC)", "file", "kind", "added", "changed", "unchanged", "refused")
        for each in loads:
            at = moment(each.at_ms).strftime("%Y-%m-%d %H:%M")
            counts = map(str, (each.added, each.changed, each.unchanged, each.refused))
            files.add_row(at, each.file, each.kind, *counts)
        out.print(files)


def _table(*headings: str) -> Table:
    table = Table(header_style="bold", box=None, padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
