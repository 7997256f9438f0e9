"""Results as Markdown tables, and their place in docs/benchmarks.md between two markers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.charts import Bar, bars
from bench.measure import Row, summarise
from bench.reach import PEAK_MB, Figures, said
from bench.run import Results
from bench.scenarios import GROUPS, Scenario

#: Rounds that differ by more than this share of their median are marked.
_UNSTEADY = 0.3
_HEADINGS = {
    "ingest": "Sending",
    "scaled": "Sending, on PostgreSQL and S3",
    "retrieve": "Looking",
    "search": "Searching, {studies} studies",
}
#: Targets whose figures are judged begin with it; the target that is no archive.
_OURS = "huitong"
_LIMIT = "nginx"
#: How the speed of a scenario is told.
_UNITS = {
    "per_s": lambda value: f"{digits(value)}/s",
    "bytes_per_s": lambda value: f"{value / 1e9:.2f} GB/s",
    "p50_ms": lambda value: f"{digits(value)} ms",
}


def place(document: str, block: str, begins: str, ends: str) -> str:
    """The document with `block` between the markers; raises ValueError where it has none."""
    before, begin, rest = document.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise ValueError(f"the document needs the lines {begins!r} and {ends!r}")
    return f"{before}{begins}\n\n{block.strip()}\n\n{ends}{after}"


def render(results: Results) -> str:
    """Everything that the results say, as Markdown."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    about: Mapping[str, Any] = results.about
    titles: dict[str, str] = about["titles"]
    by_key = _by_key(results)
    yield from _about(about)
    if any((one.name, one.clients, name) in by_key for name in titles for one in _bounded()):
        yield "\n![How many times faster than Orthanc](images/beside-orthanc.svg)"
    for group, scenarios in GROUPS.items():
        lines = list(_table(scenarios, by_key, titles))
        if lines:
            yield "\n### " + _HEADINGS[group].format(studies=f"{about['options']['studies']:,}") + "\n"
            yield from lines
        if group == "search":
            yield from _fills(results.fills)
    yield from _remarks(results, titles)


def chart(results: Results) -> str:
    """The ratios that have a bound, as SVG; empty without any."""
    about: Mapping[str, Any] = results.about
    by_key = _by_key(results)
    rows = []
    for one in _bounded():
        measured = {
            name: by_key[one.name, one.clients, name]
            for name in about["titles"]
            if (one.name, one.clients, name) in by_key
        }
        if measured and (times := figures_of(one, measured, list(measured)).times):
            rows.append(Bar(one.title, times, one.reach.times))
    return bars("How many times faster than Orthanc", "black marks: what is to be reached", rows) if rows else ""


def _bounded() -> list[Scenario]:
    return [one for group in GROUPS.values() for one in group if one.reach.times]


def _by_key(results: Results) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {(row["scenario"], row["clients"], row["target"]): row for row in summarise(results.rows)}


def _about(about: Mapping[str, Any]) -> Iterator[str]:
    options = about["options"]
    versions = ", ".join(version for version in dict.fromkeys(about["versions"].values()) if version)
    machine = ", ".join(about[name] for name in ("cpu", "memory", "kernel"))
    yield f"{about['date']}; {machine}, data on {about['filesystem']}. {versions}."
    yield (
        f"Medians of {options['rounds']} round{'s' * (options['rounds'] != 1)}, in each {options['instances']} slices"
        f" sent (small objects four times as many) and {options['seconds']:g} s of asking."
    )
    yield f"\n```\n{about['command']}\n```"


def _table(
    scenarios: Sequence[Scenario], by_key: Mapping[Any, Mapping[str, Any]], titles: Mapping[str, str]
) -> Iterator[str]:
    measured = [
        (one, {name: by_key[one.name, one.clients, name] for name in titles if (one.name, one.clients, name) in by_key})
        for one in scenarios
    ]
    measured = [(one, rows) for one, rows in measured if rows]
    if not measured:
        return
    names = [name for name in titles if any(name in rows for _, rows in measured)]
    pair = pair_of(names)
    limit = _LIMIT if _LIMIT in names[1:] else ""
    heads = ["work", *(titles[name] for name in names)]
    heads += ["times faster"] if pair else []
    heads += ["of nginx"] if limit else []
    heads += ["CPU ms each"] + (["times less CPU"] if pair else []) + ["peak RSS MB", "to reach"]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * (len(heads) - 2) + " --- |"
    for one, rows in measured:
        yield "| " + " | ".join(_cells(one, rows, names, pair, limit)) + " |"


def _cells(
    one: Scenario, rows: Mapping[str, Mapping[str, Any]], names: Sequence[str], pair: Sequence[str], limit: str
) -> Iterator[str]:
    figures = figures_of(one, rows, names)
    yield one.title
    for name in names:
        yield _speed(rows[name], one.unit) if name in rows else ""
    if pair:
        yield _bold(figures.times)
    if limit:
        yield "" if figures.of_limit is None else f"{figures.of_limit:.0%}"
    yield " / ".join(_cpu(rows[name]) for name in names if name in rows)
    if pair:
        yield _bold(_ratio(rows, pair, "cpu", more_is_better=False))
    yield " / ".join(f"{rows[name]['peak_rss_mb']:.0f}" for name in names if name in rows)
    yield ", ".join(said(*each) for each in one.reach.judged(figures)) if names[0].startswith(_OURS) else ""


def pair_of(names: Sequence[str]) -> Sequence[str]:
    """The two archives that are compared; empty without a second."""
    archives = [name for name in names if name != _LIMIT]
    return archives[:2] if len(archives) > 1 else []


def figures_of(one: Scenario, rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> Figures:
    """What the bounds of a scenario are judged by: the first target beside the second, and beside nginx."""
    first = rows.get(names[0])
    more_is_better = one.unit != "p50_ms"
    pair, limit = pair_of(names), [names[0], _LIMIT]
    return Figures(
        times=_ratio(rows, pair, one.unit, more_is_better=more_is_better) if pair else None,
        cpu_ms=_whole_cpu(first) if first is not None and is_right(first) else None,
        of_limit=_ratio(rows, limit, one.unit, more_is_better=more_is_better),
    )


def is_right(row: Mapping[str, Any]) -> bool:
    """Whether every answer was, and nothing went wrong."""
    return row["right"] == row["checked"] and not row["faults"]


def _speed(row: Mapping[str, Any], unit: str) -> str:
    text = _UNITS[unit](row[unit])
    if row["right"] != row["checked"]:
        return f"wrong: {row['right']} of {row['checked']} answers right ({text})"
    if row["faults"]:
        return f"{text}, {row['faults']} faults"
    return f"{text} ~" if row["spread"] > _UNSTEADY else text


def _cpu(row: Mapping[str, Any]) -> str:
    now, later = row["cpu_ms_per_item"], row["later_cpu_ms_per_item"]
    return f"{digits(now)} + {digits(later)}" if later > 0.005 else digits(now)


def _ratio(
    rows: Mapping[str, Mapping[str, Any]], pair: Sequence[str], what: str, *, more_is_better: bool
) -> float | None:
    """Of the first over the second, above 1 where the first is better; None where one of them was wrong."""
    if not all(name in rows and is_right(rows[name]) for name in pair):
        return None
    first, second = ({**rows[name], "cpu": _whole_cpu(rows[name])}[what] for name in pair)
    if not first or not second:
        return None
    return float(first / second if more_is_better else second / first)


def _bold(ratio: float | None) -> str:
    return "" if ratio is None else f"**{digits(ratio)}**"


def _whole_cpu(row: Mapping[str, Any]) -> float:
    return float(row["cpu_ms_per_item"] + row["later_cpu_ms_per_item"])


def digits(value: float) -> str:
    """Three that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _fills(fills: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if fills:
        yield "\n| filling this archive, C-STORE, 4 associations | seconds | per second | CPU ms each | MB on disk |"
        yield "| --- | ---: | ---: | ---: | ---: |"
    for fill in fills.values():
        yield (
            f"| {fill['version']} | {fill['seconds']:.0f} | {fill['per_s']:.0f} | {digits(fill['cpu_ms_per_item'])}"
            f" | {fill['disk_bytes'] / 1e6:.0f} |"
        )


def _remarks(results: Results, titles: Mapping[str, str]) -> Iterator[str]:
    rows = results.rows
    if not rows:
        return
    others = sorted(row.other_cpus for row in rows)
    both = [(row.client_cpu_ms_per_item, row.cpu_ms_per_item) for row in rows]
    client = sorted(client / (client + server or 1) for client, server in both)
    yield f"\n{_peaks(rows, titles)}"
    yield (
        f"\nUsed meanwhile by neither server nor clients: {others[len(others) // 2]:.2f} CPUs in the median,"
        f" {others[-1]:.2f} at most. Of the CPU time of server and clients together the clients had"
        f" {client[len(client) // 2]:.0%} in the median. `~` marks rounds that differ by more than {_UNSTEADY:.0%}."
        " CPU bounds are of both parts together; `✓` reached, `✗` missed, `?` not to be said."
    )
    wrong = [row for row in rows if row.right != row.checked or row.faults]
    notes = [(titles[row.target], note.strip().splitlines()[-1]) for row in wrong for note in row.notes[:1]]
    listed = dict.fromkeys(f"{title}, {note[:240]}" for title, note in notes)
    if listed:
        yield "\nWrong answers and faults, an example each:\n"
        yield from (f"* {line}" for line in listed)


def _peaks(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """The most memory that each archive had, and while doing what."""
    peaks = {name: max(own, key=lambda row: row.peak_rss_mb) for name in titles if (own := _of(rows, name))}
    told = [
        f"{titles[name]} {row.peak_rss_mb:.0f} MB ({_title_of(row)})" for name, row in peaks.items() if name != _LIMIT
    ]
    ours = [row.peak_rss_mb for name, row in peaks.items() if name.startswith(_OURS)]
    bound = said(f"≤ {PEAK_MB} MB", max(ours) <= PEAK_MB if ours else None)
    return f"Most memory under all of it: {', '.join(told)}. To reach: {bound}."


def _of(rows: Sequence[Row], name: str) -> list[Row]:
    return [row for row in rows if row.target == name]


def _title_of(row: Row) -> str:
    keys = {(one.name, one.clients): one.title for group in GROUPS.values() for one in group}
    return keys.get((row.scenario, row.clients), row.scenario)
