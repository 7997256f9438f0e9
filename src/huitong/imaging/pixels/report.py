"""A structured report as HTML people can read: the content tree with its own headings (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import Header, first_item, items, person_name, tag_of, text, values

#: Deeper or longer reports are cut off, and say so.
_MAX_DEPTH = 32
_MAX_ITEMS = 20_000

_STYLE = (
    "body{font:16px/1.55 'Noto Sans CJK SC','Noto Sans SC','Microsoft YaHei',sans-serif;max-width:52rem;margin:2rem "
    "auto;padding:0 1rem;color:#1b1f24;background:#fff}h1{font-size:1.5rem}h2{font-size:1.2rem;border-bottom:1px solid "
    "#d5dae0}h3,h4,h5,h6{font-size:1.05rem}dl{display:grid;grid-template-columns:minmax(8rem,auto) 1fr;gap:.2rem "
    "1rem}dt{color:#5a6572}dd{margin:0}p{margin:.3rem 0}.k{color:#5a6572}.n{margin-left:1.4rem}"
)


def is_report(header: Header) -> bool:
    """Whether the object is a structured report with a content tree."""
    return text(header, "ValueType") == "CONTAINER" and tag_of("ContentSequence") in header


def report_html(header: Header) -> str:
    """The report as an HTML document without scripts or links. CannotRender for other objects."""
    title = _meaning(header, "ConceptNameCodeSequence") or "Structured Report"
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{report_fragment(header)}</body></html>\n"
    )


def report_fragment(header: Header) -> str:
    """The report as one <article>. CannotRender for other objects."""
    if not is_report(header):
        raise CannotRender("the object is not a structured report")
    title = _meaning(header, "ConceptNameCodeSequence") or "Structured Report"
    budget = [_MAX_ITEMS]
    body = "".join(_children(header, 2, budget))
    rest = "" if budget[0] > 0 else '<p class="k">…</p>'
    return f"<article><h1>{escape(title)}</h1>{_facts(header)}{body}{rest}</article>"


def _facts(header: Header) -> str:
    """Whom the report is about and how final it is."""
    facts = (
        ("患者 Patient", person_name(header)),
        ("编号 Patient ID", text(header, "PatientID")),
        ("日期 Date", _moment(header)),
        ("完成 Completion", text(header, "CompletionFlag")),
        ("审核 Verification", text(header, "VerificationFlag")),
    )
    rows = "".join(f"<dt>{label}</dt><dd>{escape(value)}</dd>" for label, value in facts if value)
    return f"<dl>{rows}</dl>" if rows else ""


def _moment(header: Header) -> str:
    """ContentDate and ContentTime, the latter to the minute."""
    date, time = text(header, "ContentDate"), text(header, "ContentTime")
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= 4 and time[:4].isdigit() else day


def _children(item: Header, level: int, budget: list[int]) -> Iterator[str]:
    if level > _MAX_DEPTH:
        return
    for child in items(item, "ContentSequence"):
        budget[0] -= 1
        if budget[0] < 0:
            return
        yield _item(child, level, budget)


def _item(item: Header, level: int, budget: list[int]) -> str:
    name = escape(_meaning(item, "ConceptNameCodeSequence"))
    inner = "".join(_children(item, level + 1, budget))
    if text(item, "ValueType") == "CONTAINER":
        rank = min(level, 6)
        heading = f"<h{rank}>{name}</h{rank}>" if name else ""
        return f"<section>{heading}{inner}</section>"
    value = escape(_value(item)).replace("\n", "<br>")
    label = f'<span class="k">{name}</span> ' if name else ""
    return f"<p>{label}{value}</p>" + (f'<div class="n">{inner}</div>' if inner else "")


def _value(item: Header) -> str:
    """The value of a content item in words (PS3.3 table C.17.3-7)."""
    kind = text(item, "ValueType")
    if kind == "NUM":
        return _measured(item)
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    if kind == "PNAME":
        return person_name(item, "PersonName")
    keyword = _PLAIN.get(kind)
    if keyword is not None:
        return text(item, keyword).replace("\r\n", "\n").replace("\r", "\n")
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        reference = first_item(item, "ReferencedSOPSequence")
        return f"{kind.lower()} {text(reference, 'ReferencedSOPInstanceUID')}" if reference is not None else ""
    if kind in ("SCOORD", "SCOORD3D", "TCOORD"):
        return text(item, "GraphicType") or text(item, "TemporalRangeType")
    return ""


_PLAIN = {"TEXT": "TextValue", "DATE": "Date", "TIME": "Time", "DATETIME": "DateTime", "UIDREF": "UID"}


def _measured(item: Header) -> str:
    measured = first_item(item, "MeasuredValueSequence")
    if measured is None:
        return _meaning(item, "NumericValueQualifierCodeSequence") or "\N{EN DASH}"
    units = first_item(measured, "MeasurementUnitsCodeSequence")
    unit = text(units, "CodeValue") if units is not None else ""
    unit = "" if unit in ("1", "{no units}") else unit
    return " ".join([", ".join(str(value) for value in values(measured, "NumericValue")), unit]).strip()


def _meaning(item: Header, keyword: str) -> str:
    code = first_item(item, keyword)
    return text(code, "CodeMeaning") if code is not None else ""
