"""What is done with the directory. Actions take the key that access granted first (`model.Granted`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from huitong.base.errors import NotFound
from huitong.directory import lookups
from huitong.directory.following import follow
from huitong.directory.loading import load
from huitong.directory.model import Granted, LoadReport
from huitong.directory.operator_file import read_institutions
from huitong.directory.recognising import Directory

__all__ = [
    "Directory",
    "InstitutionPage",
    "certified",
    "find_institutions",
    "follow",
    "institution_page",
    "load",
    "load_report",
    "load_reports",
    "read_directory",
]

_STAFF = 500


def read_directory(file: Path | None, *, demo: bool) -> Directory:
    """The directory as the operator has it; raises SettingsError naming what is wrong in the file."""
    return Directory(read_institutions(file, demo=demo))


@dataclass(frozen=True, slots=True)
class InstitutionPage:
    """All that is known of an institution; rows are of `tables`."""

    institution: Row[Any]
    parent: Row[Any] | None
    departments: list[Row[Any]]
    endpoints: list[Row[Any]]
    #: Roles with `name` and `department_name`; at most 500.
    staff: list[Row[Any]]
    certificates: list[Row[Any]]


def find_institutions(
    work: Granted, text: str = "", region: str = "", level: str = "", *, after: str = "", limit: int = 50
) -> tuple[int, list[Row[Any]]]:
    """How many institutions fit, and those behind the code `after`.

    `text` is part of a name in hanzi, pinyin or initials, or of a code; `region` a GB/T 2260 code or the beginning of
    one; `level` a code of `codes.LEVELS`.
    """
    with work.store.database.read() as tx:
        return lookups.institutions(tx, text, region, level, after=after, limit=limit)


def institution_page(work: Granted, code: str) -> InstitutionPage:
    """Raises NotFound."""
    with work.store.database.read() as tx:
        found = lookups.institution(tx, code)
        if found is None:
            raise NotFound(f"institution {code}")
        return InstitutionPage(
            found,
            lookups.institution(tx, found.parent) if found.parent else None,
            lookups.departments(tx, code),
            lookups.endpoints(tx, code),
            lookups.staff(tx, code, _STAFF),
            lookups.certificates(tx, [code]),
        )


def certified(work: Granted, institution: str, item: str, day: str) -> list[str]:
    """The levels of `codes.SCOPES` at which the institution is certified for the item on this day (YYYYMMDD)."""
    with work.store.database.read() as tx:
        rows = lookups.certificates(tx, [institution], item)
    return [r.level for r in rows if r.result == "passed" and r.valid_from <= day <= r.valid_until]


def load_reports(work: Granted, limit: int = 100) -> list[LoadReport]:
    """Newest first, without their refusals."""
    with work.store.database.read() as tx:
        return lookups.loads(tx, limit)


def load_report(work: Granted, pk: int) -> LoadReport:
    """With every refused line. Raises NotFound."""
    with work.store.database.read() as tx:
        found = lookups.load(tx, pk)
    if found is None:
        raise NotFound(f"load report {pk}")
    return found
