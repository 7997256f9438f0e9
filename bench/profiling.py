"""Where the time of a scenario goes in Huitong, by sampling with py-spy (no dependency: `pip install py-spy`)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import ingest, retrieve, search
from bench.asking import ask_for, judge
from bench.corpus import Corpus
from bench.measure import Row, measure
from bench.run import Options, load
from bench.scenarios import GROUPS
from bench.targets import Huitong, running

_RATE_HZ = 500
_SHOWN = 15
#: Innermost frames of threads that have nothing to do, though py-spy does not always see it.
_WAITING = ("_worker (concurrent/futures/", "EpollSelector.select (", "wait (threading.py")
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]+?)(?::\d+)?\)$")

#: A sampled stack, outermost frame first, and how often it was seen.
Stack = tuple[list[str], int]


def missing() -> str:
    found = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    return "" if found else "py-spy is not installed: .venv/bin/pip install py-spy"


def profile(name: str, clients: int, options: Options, say: Callable[[str], None]) -> str:
    """Run the scenario called `name` for `options.seconds` while Huitong is sampled; what was seen, as Markdown."""
    chosen = [one for group in GROUPS.values() for one in group if one.name == name]
    scenario = next((one for one in chosen if one.clients == clients), chosen[-1])
    corpus = Corpus(options.base_slices)
    folder = options.folder / "profile"
    shutil.rmtree(folder, ignore_errors=True)
    target = Huitong(folder)
    with running([target]):
        if isinstance(scenario, ingest.Ingest):
            stacks, rows = _sample_sending(target, scenario, corpus, options)
        else:
            stacks, rows = _sample_asking(target, scenario, corpus, options, say)
    raw = options.folder / f"profile-{name}.txt"
    shutil.copy(folder / "stacks.txt", raw)
    shutil.rmtree(folder, ignore_errors=True)
    say(f"stacks, for flame graphs: {raw}")
    return render(scenario.title, rows, stacks)


def _sample_sending(
    target: Huitong, scenario: ingest.Ingest, corpus: Corpus, options: Options
) -> tuple[list[Stack], list[Row]]:
    # As many as can be sent in about this time: a slow start is better than no end.
    per_s = 2000 if scenario.small else 600
    instances = scenario.instances(corpus, 0, int(options.seconds * per_s))
    with _Sampler(target) as sampler:
        row = measure(scenario.name, target.name, target.pids, scenario.clients, scenario.sender(target, instances))
    return sampler.stacks, [row]


def _sample_asking(
    target: Huitong,
    scenario: retrieve.Retrieve | search.Search,
    corpus: Corpus,
    options: Options,
    say: Callable[[str], None],
) -> tuple[list[Stack], list[Row]]:
    if isinstance(scenario, retrieve.Retrieve):
        series = [corpus.series(number) for number in range(options.series)]
        load(target, [one for each in series for one in each])
        cases = scenario.cases(series)
    else:
        studies = corpus.index_studies(options.studies)
        say(f"sending {len(studies)} studies to search in")
        load(target, list(corpus.tiny(studies)))
        cases = scenario.cases(studies)
    client = ask_for(target, cases, judge(target, cases), options.seconds)
    with _Sampler(target) as sampler:
        row = measure(scenario.name, target.name, target.pids, scenario.clients, client)
    return sampler.stacks, [row]


class _Sampler:
    """py-spy, attached for as long as the context lasts."""

    def __init__(self, target: Huitong) -> None:
        self._file = target.folder / "stacks.txt"
        program = shutil.which("py-spy") or str(Path(sys.executable).parent / "py-spy")
        self._command = [
            program, "record", "--pid", str(target.pid), "--rate", str(_RATE_HZ), "--format", "raw", "--nonblocking",
            "--duration", "3600", "--output", str(self._file),
        ]  # fmt: skip
        self.stacks: list[Stack] = []

    def __enter__(self) -> _Sampler:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        time.sleep(1)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.send_signal(signal.SIGINT)  # it then writes what it has
        said, _ = self._process.communicate(timeout=60)
        if not self._file.exists():
            raise RuntimeError(f"py-spy: {said[-500:]}")
        self.stacks = read_stacks(self._file.read_text().splitlines())


def read_stacks(lines: Iterable[str]) -> list[Stack]:
    """Collapsed stacks: frames from the outermost, joined by semicolons, and a count. Waiting is left out."""
    found = (line.rpartition(" ") for line in lines if line)
    stacks = [(frames.split(";"), int(count)) for frames, _, count in found]
    return [stack for stack in stacks if not stack[0][-1].startswith(_WAITING)]


def place_of(frames: list[str]) -> tuple[str, str]:
    """(room and module, function) of the innermost frame of Huitong: what it called outside counts as its own."""
    for frame in reversed(frames):
        match = _FRAME.match(frame)
        if match and "huitong/" in match["file"]:
            return match["file"].rpartition("huitong/")[2].removesuffix(".py"), match["function"]
    match = _FRAME.match(frames[-1])
    return ("other", f"{match['function']} ({match['file']})" if match else frames[-1])


def render(title: str, rows: list[Row], stacks: list[Stack]) -> str:
    """Shares by room, and the places and lines with most."""
    total = sum(count for _, count in stacks) or 1
    rooms: Counter[str] = Counter()
    places: Counter[tuple[str, str]] = Counter()
    innermost: Counter[str] = Counter()
    for frames, count in stacks:
        module, function = place_of(frames)
        rooms[module.partition("/")[0]] += count
        places[module, function] += count
        innermost[frames[-1]] += count
    row = rows[0]
    lines = [
        f"{title}: {row.per_s:.0f}/s, {row.cpu_ms_per_item:.3f} ms of CPU each while sampled; {total} samples of work.",
        "",
        "| room | share |",
        "| --- | ---: |",
        *(f"| {room} | {count / total:.0%} |" for room, count in rooms.most_common()),
        "",
        "| module | function, with what it calls outside | share |",
        "| --- | --- | ---: |",
        *(f"| {m} | `{f}` | {count / total:.1%} |" for (m, f), count in places.most_common(_SHOWN)),
        "",
        "| innermost frame | share |",
        "| --- | ---: |",
        *(f"| `{frame}` | {count / total:.1%} |" for frame, count in innermost.most_common(_SHOWN)),
    ]
    return "\n".join(lines) + "\n"
