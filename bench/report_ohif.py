"""What a reader waits for in OHIF, as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping

from bench.ohif import Opened, Seen
from bench.reach import said
from bench.report import digits

_OURS, _THEIRS = "huitong", "orthanc-nginx"
#: Of Orthanc's time, at most.
_SHARE = 1 / 3
_SERVER_MS = 100.0
#: Figures, what they are, and which kind of bound they have.
_FIGURES = (
    ("first_image_ms", "first picture on the screen, since the address was opened", "share"),
    ("asked_first_image_ms", "the same, since the viewer's first question to the archive", "share"),
    ("all_images_ms", "whole series scrollable, since the address was opened", "share"),
    ("asked_all_images_ms", "the same, since the viewer's first question", "share"),
    ("server_ms", "questions that led to the first frame, asked again without a browser", "server"),
    ("cpu_first_image_ms", "CPU ms of the archive until the first picture", ""),
    ("cpu_all_images_ms", "CPU ms of the archive until the whole series", ""),
    ("peak_rss_mb", "peak RSS MB", ""),
)


def render(seen: Seen) -> str:
    return "\n".join(_lines(seen)) + "\n"


def _lines(seen: Seen) -> Iterator[str]:
    about = seen.about
    titles: Mapping[str, str] = about["titles"]
    rows = {name: [row for row in seen.rows if row.who == name] for name in titles}
    names = [name for name in titles if rows[name]]
    yield f"\n### A CT of {about['slices']} slices in OHIF\n"
    yield (
        f"{about['date']}; {about['cpu']}, {about['memory']}. {', '.join(dict.fromkeys(about['versions'].values()))}."
        f" Medians of {about['rounds']} openings with an empty cache, in ms. `python -m bench ohif`\n"
    )
    yield "| | " + " | ".join(titles[name] for name in names) + " | times less | to reach |"
    yield "| --- |" + " ---: |" * (len(names) + 1) + " --- |"
    for figure, title, bound in _FIGURES:
        medians = {name: statistics.median(getattr(row, figure) for row in rows[name]) for name in names}
        cells = [digits(medians[name]) for name in names]
        share = medians[_OURS] / medians[_THEIRS] if _right(rows, _OURS, _THEIRS) and medians[_THEIRS] else None
        times = f"**{digits(1 / share)}**" if share and figure != "peak_rss_mb" else ""
        yield f"| {title} | " + " | ".join([*cells, times, _judged(bound, share, medians.get(_OURS))]) + " |"
    faults = dict.fromkeys(f"{titles[row.who]}: {fault[:240]}" for row in seen.rows for fault in row.faults)
    if faults:
        yield "\nNot as it should be:\n"
        yield from (f"* {fault}" for fault in faults)


def _right(rows: Mapping[str, list[Opened]], *names: str) -> bool:
    """Whether each was opened, and showed what was sent."""
    return all(rows.get(name) and not any(row.faults for row in rows[name]) for name in names)


def _judged(bound: str, share: float | None, ours: float | None) -> str:
    if bound == "share":
        return said("≤ 1/3", None if share is None else share <= _SHARE)
    if bound == "server":
        return said(f"≤ {_SERVER_MS:g} ms", None if ours is None else ours <= _SERVER_MS)
    return ""
