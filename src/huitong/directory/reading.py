"""A file's bytes -> its lines: CSV in UTF-8 or GB 18030, with headings in Chinese or English. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from huitong.base.errors import SenderFault
from huitong.directory.kinds import KINDS, Kind, columns_of, kind_of
from huitong.directory.model import Refusal


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of a line by field, as written; what the file has no column for is absent."""

    kind: Kind
    number: int
    cells: Mapping[str, str]
    #: Heading of each field, as the file has it.
    headings: Mapping[str, str]


@dataclass(slots=True)
class Content:
    """What a file says."""

    kind: str
    lines: list[Line] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    ignored: tuple[str, ...] = ()


def decoded(data: bytes) -> str:
    """UTF-8, with or without BOM, else GB 18030 (GB 18030-2022). Raises SenderFault."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise SenderFault("the file is neither UTF-8 nor GB 18030 / 文件既不是 UTF-8 也不是 GB 18030")


def read_csv(data: bytes, kind_name: str | None = None) -> Content:
    """The lines of a CSV file (RFC 4180) of one kind, which its headings tell unless it is named.

    Raises SenderFault where it cannot be told what the file is.
    """
    text = decoded(data)
    if "\0" in text:
        raise SenderFault("the file holds NUL and is no CSV / 文件含有空字符，不是 CSV")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        headings = [each.strip() for each in next(rows, [])]
    except csv.Error as e:
        raise SenderFault(f"line 1: {e} / 第 1 行无法读取") from e
    kind = KINDS[kind_name] if kind_name else kind_of(headings)
    if kind is None:
        raise SenderFault(_what_there_is())
    columns = columns_of(kind, headings)
    _check_columns(kind, [each.name for each in columns if each])
    content = Content(kind.name, ignored=tuple(h for h, f in zip(headings, columns, strict=True) if h and f is None))
    named = {field.name: heading for field, heading in zip(columns, headings, strict=True) if field}
    _read_rows(rows, content, kind, [each.name if each else "" for each in columns], named)
    return content


def _read_rows(
    rows: Any,
    content: Content,
    kind: Kind,
    names: Sequence[str],
    headings: Mapping[str, str],
) -> None:
    """`rows` is a `csv.reader`, whose type has no public name."""
    while True:
        number = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as e:  # what follows cannot be told apart any more
            content.refusals.append(Refusal(number, "", "", f"从此行起不是有效的 CSV：{e}", f"no CSV from here: {e}"))
            return
        if not any(each.strip() for each in cells):
            continue
        if len(cells) > len(names):
            zh, en = (
                f"有 {len(cells)} 列，表头只有 {len(names)} 列",
                f"has {len(cells)} cells, the heading {len(names)}",
            )
            content.refusals.append(Refusal(number, "", "", zh, en))
            continue
        given = dict.fromkeys(headings, "") | {name: cell for name, cell in zip(names, cells, strict=False) if name}
        content.lines.append(Line(kind, number, given, headings))


def _check_columns(kind: Kind, found: Sequence[str]) -> None:
    if twice := sorted({each for each in found if found.count(each) > 1}):
        raise SenderFault(f"columns that stand twice / 重复的列: {', '.join(twice)}")
    if missing := [each for each in kind.fields if each.required and each.name not in found]:
        wanted = ", ".join(f"{each.name} ({each.zh[0]})" for each in missing)
        raise SenderFault(f"{kind.name}: columns that are needed / 缺少的列: {wanted}")


def _what_there_is() -> str:
    kinds = "; ".join(
        f"{kind.word.zh} {kind.name}: {', '.join(each.zh[0] for each in kind.fields if each.required)}"
        for kind in KINDS.values()
    )
    return f"the headings are of no kind of file / 表头无法识别; needed are / 需要的列: {kinds}"
