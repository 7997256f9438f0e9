"""What access costs: the same questions by somebody whom the policy decides about and by an address in `readers`.

Both ask one server in turns, in one run, so that what disturbs the machine disturbs both alike.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.asking import Case, ask_for, judge
from bench.corpus import Corpus, Instance
from bench.http_client import Answer
from bench.measure import measure
from bench.retrieve import frame_cases, gzip_metadata_cases, instance_cases
from bench.run import load, warm_up
from bench.search import found_uids
from bench.targets import SETTLE_S, Huitong

#: CPU with access on over CPU with it off, at most.
MOST = 1.10
_FIRST = 3_000_000
_OFF, _ON = "readers", "decided"
HEADER = "Authorization: Bearer demo-TAIYUAN"


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    rounds: int = 5
    seconds: float = 3.0
    #: Of 100 slices.
    series: int = 6
    #: A header that shows who asks, as `Cookie: huitong_session=…`; the token of the institution that sent by default.
    header: str = HEADER


def search_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    """Studies by UID, and a page of the list."""

    def judged(answer: Answer, uid: str) -> str:
        return "" if uid in found_uids(answer) else "not the study that was sent"

    by_uid = [
        Case(f"/studies?StudyInstanceUID={one[0].study.uid}", _JSON, lambda a, uid=one[0].study.uid: judged(a, uid))  # type: ignore[misc]
        for one in series
    ]
    return [*by_uid, Case("/studies?limit=25", _JSON, lambda answer: "" if found_uids(answer) else "an empty list")]


_JSON = "application/dicom+json"
#: Name -> (how its cases are made, clients).
SCENARIOS: dict[str, tuple[Callable[[Sequence[Sequence[Instance]]], list[Case]], int]] = {
    "frame": (frame_cases, 1),
    "instance": (instance_cases, 1),
    "metadata-gzip": (gzip_metadata_cases, 1),
    "search": (search_cases, 1),
}


def run(options: Options, say: Callable[[str], None], file: Path) -> list[dict[str, object]]:
    """The median of CPU per item of each scenario with access on and off, and their ratio; also written to `file`."""
    target = Huitong(options.folder / "access")
    target.remove()
    corpus = Corpus()
    series = [corpus.series(number) for number in range(_FIRST, _FIRST + options.series)]
    try:
        target.start()
        warm_up(target, corpus)
        load(target, [one for each in series for one in each])
        target.wait_until_quiet(SETTLE_S * 2)
        rows = [
            _measured(target, name, make(series), clients, options, say) for name, (make, clients) in SCENARIOS.items()
        ]
    finally:
        target.stop()
        target.remove()
    file.write_text(json.dumps(rows, indent=1), "utf-8")
    return rows


def _measured(
    target: Huitong, name: str, cases: Sequence[Case], clients: int, options: Options, say: Callable[[str], None]
) -> dict[str, object]:
    who: Mapping[str, dict[str, str]] = {_OFF: {}, _ON: dict([_header(options.header)])}
    asked = {way: [replace(case, headers={**case.headers, **shown}) for case in cases] for way, shown in who.items()}
    judged = {way: judge(target, each) for way, each in asked.items()}
    cpu_ms: dict[str, list[float]] = {way: [] for way in who}
    wrong = [fault for each in judged.values() for fault in each.wrong]
    for number in range(options.rounds):
        for way in (_OFF, _ON) if number % 2 else (_ON, _OFF):
            client = ask_for(target, asked[way], judged[way], options.seconds)
            target.wait_until_quiet(0.1)
            row = measure(name, way, target.pids, clients, client, number)
            cpu_ms[way].append(row.cpu_ms_per_item)
            wrong += row.notes if row.faults else []
            say(f"{name:14} {way:8} round {number + 1}  CPU {row.cpu_ms_per_item:.3f} ms an item")
    medians = {way: statistics.median(each) for way, each in cpu_ms.items()}
    return {"scenario": name, **medians, "ratio": medians[_ON] / medians[_OFF], "wrong": wrong[:3]}


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """A line for each scenario."""
    lines = [f"| scenario | CPU ms, {_OFF} | CPU ms, {_ON} | ratio |", "| --- | ---: | ---: | ---: |"]
    for row in rows:
        fault = f" **wrong: {row['wrong']}**" if row["wrong"] else ""
        lines.append(f"| {row['scenario']}{fault} | {row[_OFF]:.3f} | {row[_ON]:.3f} | {row['ratio']:.3f} |")
    return "\n".join(lines)
