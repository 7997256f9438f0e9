"""A file into the directory: good lines are kept, every other is reported, all in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from sqlalchemy import Connection

from huitong.base.clock import milliseconds
from huitong.directory import records
from huitong.directory.bundles import read_bundle
from huitong.directory.codes import Refused
from huitong.directory.kinds import KINDS, Kind, parsed
from huitong.directory.model import Granted, LoadReport, Refusal
from huitong.directory.reading import Content, Line, read_csv
from huitong.store import ledger

Row = dict[str, str]
Key = tuple[str, ...]
FACT = "directory.loaded"
_SHOWN_CHARS = 80


def load(work: Granted, file: str, data: bytes, kind: str | None = None, *, dry_run: bool = False) -> LoadReport:
    """What the file says is in the directory, but for what is reported. Raises SenderFault for what is no such file.

    `file` is its name for the report. With `dry_run` all is tried and nothing kept.
    """
    content = read_bundle(data) if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{" else read_csv(data, kind)
    at_ms = milliseconds(work.at)
    report = LoadReport(0, at_ms, file, hashlib.sha256(data).hexdigest(), content.kind, 0, 0, 0, 0, content.ignored)
    database = work.store.database
    with suppress(_NothingKept), database.write() as tx:
        database.lock(tx, ["directory"])
        report = _Loading(tx, at_ms, content).run(report)
        _undo_if(dry_run)
        report = records.add_report(tx, report)
        if not report.changes_nothing:
            records.note_change(tx)
            body = {"kind": report.kind, "sha256": report.sha256, "added": report.added, "changed": report.changed}
            ledger.append(tx, at=work.at, kind=FACT, institution="", subject=str(report.pk), body=body)
    return report


class _NothingKept(Exception):
    """Undoes what was tried."""


def _undo_if(dry_run: bool) -> None:
    if dry_run:
        raise _NothingKept


@dataclass
class _Loading:
    """One file under way."""

    tx: Connection
    at_ms: int
    content: Content
    refused: set[int] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)

    def run(self, report: LoadReport) -> LoadReport:
        self.refusals += self.content.refusals
        self.refused |= {each.line for each in self.content.refusals}
        added = changed = unchanged = 0
        for kind in KINDS.values():
            lines = [line for line in self.content.lines if line.kind is kind]
            if lines:
                a, c, u = self._load_kind(kind, lines)
                added, changed, unchanged = added + a, changed + c, unchanged + u
        refusals = tuple(sorted(self.refusals, key=lambda each: each.line))
        return replace(
            report, added=added, changed=changed, unchanged=unchanged, refused=len(self.refused), refusals=refusals
        )

    def _load_kind(self, kind: Kind, lines: list[Line]) -> tuple[int, int, int]:
        there = records.rows_by_key(self.tx, kind)
        understood = [(line, row) for line in lines if (row := self._parse(line)) is not None]
        check = _CHECKS[kind.name](self.tx, there, understood) if kind.name in _CHECKS else None
        seen: dict[Key, tuple[int, Row]] = {}
        new: list[Row] = []
        changed = unchanged = 0
        for line, given in understood:
            key = tuple(given[name] for name in kind.key)
            before = there.get(key)
            row = {f.name: f.default for f in kind.fields} | (before.row if before else {}) | given
            if key in seen:
                first, said = seen[key]
                if said == row:
                    unchanged += 1
                else:
                    self._refuse(line, kind.key[-1], f"与第 {first} 行重复而内容不同", f"differs from line {first}")
                continue
            if (fault := _fault_of(kind, row)) or (check and (fault := check(row))):
                name, refused = fault
                self._refuse(line, name, refused.zh, refused.en)
                continue
            seen[key] = line.number, row
            if before is None:
                new.append(row)
            elif before.row == row:
                unchanged += 1
            else:
                records.change(self.tx, kind, before, row, self.at_ms)
                changed += 1
        records.add(self.tx, kind, new, self.at_ms)
        return len(new), changed, unchanged

    def _parse(self, line: Line) -> Row | None:
        """The values of a line; None when one is refused, after all of them were looked at."""
        row: Row = {}
        good = True
        for each in line.kind.fields:
            if each.name in line.cells or each.required:
                try:
                    row[each.name] = parsed(each, line.cells.get(each.name, ""))
                except Refused as why:
                    self._refuse(line, each.name, why.zh, why.en)
                    good = False
            elif each.name in line.kind.key:
                row[each.name] = each.default
        return row if good else None

    def _refuse(self, line: Line, name: str, zh: str, en: str) -> None:
        value = line.cells.get(name, "").strip()[:_SHOWN_CHARS]
        self.refused.add(line.number)
        self.refusals.append(Refusal(line.number, line.headings.get(name, name), value, zh, en))


_Fault = tuple[str, Refused] | None
Check = Callable[[Row], _Fault]


def _fault_of(kind: Kind, row: Row) -> _Fault:
    """What is wrong within the row."""
    start, end = row.get("valid_from", ""), row.get("valid_until", "")
    if start and end and end < start:
        return "valid_until", Refused("早于起始日期", "is before the first day")
    if kind.name == "endpoints":
        if row["ae_title"] and row["kind"] != "dicom-dimse":
            return "ae_title", Refused("只有 DICOM（DIMSE）接入点才有 AE 标题", "belongs to dicom-dimse alone")
        known_by = ("address", "ae_title", "networks", "token_sha256", "certificate_sha256", "certificate_name")
        if not any(row.get(each) for each in known_by):
            return "address", Refused(
                "没有地址、AE 标题、网段、令牌或证书",
                "there is no address, AE title, network, token or certificate",
            )
    return None


def _unknown(what_zh: str, what_en: str) -> Refused:
    return Refused(f"目录中没有此{what_zh}", f"this {what_en} is not in the directory")


Understood = list[tuple[Line, Row]]
There = Mapping[Key, records.Kept]


def _of_institutions(tx: Connection, there: There, lines: Understood) -> Check:
    known = {code for (code,) in there} | {row["code"] for _, row in lines}

    def check(row: Row) -> _Fault:
        if row["parent"] == row["code"]:
            return "parent", Refused("上级机构不能是自己", "is the institution itself")
        return ("parent", _unknown("机构", "institution")) if row["parent"] and row["parent"] not in known else None

    return check


def _within_institution(tx: Connection, there: There, lines: Understood) -> Check:
    known = records.institution_codes(tx)

    def check(row: Row) -> _Fault:
        return None if row["institution"] in known else ("institution", _unknown("机构", "institution"))

    return check


def _of_roles(tx: Connection, there: There, lines: Understood) -> Check:
    within = _within_institution(tx, there, lines)
    people = {code for (code,) in records.rows_by_key(tx, KINDS["practitioners"])}
    departments = set(records.rows_by_key(tx, KINDS["departments"]))

    def check(row: Row) -> _Fault:
        if row["practitioner"] not in people:
            return "practitioner", _unknown("人员", "practitioner")
        if fault := within(row):
            return fault
        if row["department"] and (row["institution"], row["department"]) not in departments:
            return "department", _unknown("科室", "department")
        return None

    return check


def _of_endpoints(tx: Connection, there: There, lines: Understood) -> Check:
    """Whatever a caller shows must name one institution: with two, the first would get all."""
    within = _within_institution(tx, there, lines)
    taken: dict[Key, Row] = {key: kept.row for key, kept in there.items()}
    by_mark: dict[tuple[str, str], set[Key]] = {}

    def remember(key: Key, row: Row) -> None:
        taken[key] = row
        for mark in _marks(row):
            by_mark.setdefault(mark, set()).add(key)

    for key, row in list(taken.items()):
        remember(key, row)

    def check(row: Row) -> _Fault:
        if fault := within(row):
            return fault
        for mark in _marks(row):
            for key in by_mark.get(mark, ()):
                other = taken[key]
                if other["institution"] != row["institution"] and mark in _marks(other) and _meet(mark, row, other):
                    zh = f"机构 {other['institution']} 已在同一网段使用"
                    return mark[0], Refused(zh, f"is that of {other['institution']} from the same networks")
        remember((row["institution"], row["code"]), row)
        return None

    return check


def _marks(row: Row) -> Iterable[tuple[str, str]]:
    """By what the endpoint is known: (field, value)."""
    marks = [("token_sha256", each) for each in row["token_sha256"].split()]
    marks += [("ae_title", row["ae_title"])] if row["ae_title"] else []
    sender = f"{row['hl7_application']}\n{row['hl7_facility']}"
    return [*marks, ("hl7_application", sender)] if sender != "\n" else marks


def _meet(mark: tuple[str, str], one: Row, other: Row) -> bool:
    """A token is one wherever it comes from; other marks are, where the networks share addresses."""
    if mark[0] == "token_sha256":
        return True
    pairs = ((ip_network(a), ip_network(b)) for a in one["networks"].split() for b in other["networks"].split())
    return any(a.version == b.version and a.overlaps(b) for a, b in pairs)


#: What a row must have in common with the others; made once for a file.
_CHECKS: dict[str, Callable[[Connection, There, Understood], Check]] = {
    "institutions": _of_institutions,
    "departments": _within_institution,
    "roles": _of_roles,
    "endpoints": _of_endpoints,
    "certificates": _within_institution,
}
