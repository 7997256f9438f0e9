"""What growing costs, as Markdown tables and charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.charts import curves
from bench.growth import HOMES, QUESTIONS, SENDINGS, Grown
from bench.reach import said
from bench.report import digits, is_right

#: Searches that may take so much longer (p95) in the largest archive than in the small one.
_BOUND = dict.fromkeys(("patient-id", "date", "first-page", "deep-page"), 2.0)
_SMALL, _LARGE = 10_000, 10_000_000

_Rows = Mapping[tuple[str, int], Mapping[str, Any]]


def render(grown: Grown) -> str:
    """The tables of each database that was measured."""
    return "\n".join(line for home in HOMES for line in _of_home(grown, home)) + "\n"


def charts(grown: Grown) -> dict[str, str]:
    """File names, and SVG: for each database the searches by one client."""
    drawn = {}
    for home in HOMES:
        rows, sizes = _rows(grown, home), _sizes(grown, home)
        if len(sizes) > 1:
            points = {
                one.title: [(size, rows[one.name, size]["p95_ms"]) for size in sizes]
                for one in QUESTIONS
                if one.clients == 1
            }
            title = f"Searching in a growing archive on {HOMES[home].title}"
            drawn[f"growth-{home}.svg"] = curves(title, "ms, of 20 searches 19 are quicker (p95)", points)
    return drawn


def _rows(grown: Grown, home: str) -> _Rows:
    return {(row["scenario"], row["studies"]): row for row in grown.rows if row["home"] == home}


def _sizes(grown: Grown, home: str) -> list[int]:
    """That were measured to the end."""
    rows = _rows(grown, home)
    return sorted(size for name, size in rows if name == SENDINGS[-1].name)


def _of_home(grown: Grown, home: str) -> Iterator[str]:
    rows, sizes = _rows(grown, home), _sizes(grown, home)
    if not sizes:
        return
    about = grown.about
    yield f"\n### Growing, on {HOMES[home].title}\n"
    version = rows[SENDINGS[-1].name, sizes[-1]]["version"]
    yield (
        f"{about['date']}; {about['cpu']}, {about['memory']}, data on {about['filesystem']}. {version}."
        f" Medians / 95th percentiles in ms of {about['seconds']:g} s of asking by one client, over HTTP;"
        f" {about['instances']} objects sent. `python -m bench growth`\n"
    )
    if len(sizes) > 1:
        yield f"![Time of searches against the size of the archive](images/growth-{home}.svg)\n"
    yield "| studies | " + " | ".join(f"{size:,}" for size in sizes) + " | p95, 10 M beside 10 k | to reach |"
    yield "| --- |" + " ---: |" * (len(sizes) + 1) + " --- |"
    for question in QUESTIONS:
        times = [rows[question.name, size] for size in sizes]
        cells = [_times(row) if question.clients == 1 else f"{digits(row['per_s'])}/s" for row in times]
        yield f"| {question.title} | " + " | ".join([*cells, *_grown(rows, question.name, question.clients)]) + " |"
    for sending in SENDINGS:
        sent = [rows[sending.name, size] for size in sizes]
        cells = [f"{digits(row['per_s'])}/s, {_cpu(row)} CPU ms" for row in sent]
        yield f"| {sending.title} | " + " | ".join([*cells, "", ""]) + " |"
    peaks = [max(row["peak_rss_mb"] for (_, of), row in rows.items() if of == size) for size in sizes]
    yield "| most memory, MB | " + " | ".join([*(f"{peak:.0f}" for peak in peaks), "", ""]) + " |"
    disk = {fill["studies"]: fill["disk_bytes"] / 1e9 for fill in grown.fills if fill["home"] == home}
    yield (
        "| on disk, GB | "
        + " | ".join([*(f"{digits(disk[size])}" if size in disk else "" for size in sizes), "", ""])
        + " |"
    )
    wrong = [note for row in rows.values() for note in row["notes"][:1] if not is_right(row)]
    if wrong:
        yield "\nWrong answers and faults, an example each:\n"
        yield from (f"* {note.strip().splitlines()[-1][:240]}" for note in dict.fromkeys(wrong))


def _times(row: Mapping[str, Any]) -> str:
    text = f"{digits(row['p50_ms'])} / {digits(row['p95_ms'])}"
    return text if is_right(row) else f"wrong ({text})"


def _cpu(row: Mapping[str, Any]) -> str:
    return digits(row["cpu_ms_per_item"] + row["later_cpu_ms_per_item"])


def _grown(rows: _Rows, name: str, clients: int) -> list[str]:
    """How many times longer in the large archive, and whether that is within the bound."""
    small, large = rows.get((name, _SMALL)), rows.get((name, _LARGE))
    times = None
    if small is not None and large is not None and is_right(small) and is_right(large):
        times = large["p95_ms"] / small["p95_ms"]
    bound = _BOUND.get(name)
    told = "" if times is None or clients > 1 else f"**{digits(times)}**"
    return [told, "" if bound is None else said(f"≤ {bound:g} ×", None if times is None else times <= bound)]
