"""The plan: which scenarios run against which targets, in which order, and what comes out.

Targets take turns within a round, and the order of turns is flipped from round to round, so that what disturbs the
machine for a while disturbs all alike. Every object is sent to every target once, and never again.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from bench import ingest, procs, retrieve, search
from bench.asking import Case, Judged, ask_for, judge
from bench.corpus import Corpus, Instance, Study
from bench.http_client import Answer
from bench.measure import Row, measure
from bench.scenarios import GROUPS
from bench.targets import SETTLE_S, TARGETS, Nginx, Target, dcmtk_version, running

S = TypeVar("S", ingest.Ingest, retrieve.Retrieve, search.Search)
#: What is asked; its cases are made once.
A = TypeVar("A", retrieve.Retrieve, search.Search)

#: Numbers of the studies of different groups lie apart.
_RETRIEVE_FIRST = 1_000_000
_WARM_UP_FIRST = 2_000_000
_INDEX_SENDERS = 4
#: Changed whenever the corpus for searches changes, so that no filled folder of another corpus is used.
_INDEX_VERSION = 3


@dataclass(frozen=True, slots=True)
class Options:
    folder: Path
    targets: tuple[str, ...] = tuple(TARGETS)
    #: Names or beginnings of names of scenarios, or groups; empty for all.
    only: tuple[str, ...] = ()
    rounds: int = 3
    #: Of asking, for each scenario, target and round.
    seconds: float = 3.0
    #: Sent in each scenario, to each target, in each round.
    instances: int = 400
    #: Of 100 slices, retrieved from.
    series: int = 12
    #: Searched in.
    studies: int = 50_000
    base_slices: int = 20
    #: Whether filled folders stay for the next run.
    keep: bool = False

    def wants(self, group: str, name: str) -> bool:
        return not self.only or any(group.startswith(one) or name.startswith(one) for one in self.only)


@dataclass
class Results:
    """What is written to the file of results."""

    about: dict[str, object] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    #: Of filling the archive that is searched: seconds, objects a second, bytes on disk; by target.
    fills: dict[str, dict[str, float | str]] = field(default_factory=dict)

    def as_json(self) -> str:
        rows = [row.as_dict() for row in self.rows]
        return json.dumps({"about": self.about, "fills": self.fills, "rows": rows}, indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, path: Path) -> Results:
        data = json.loads(path.read_text("utf-8"))
        return cls(data["about"], [Row(**row) for row in data["rows"]], data["fills"])


class Run:
    """One run of the plan; `say` gets a line about everything that is done, `file` all results after each of them."""

    def __init__(self, options: Options, say: Callable[[str], None], file: Path) -> None:
        self.options, self.say, self.file = options, say, file
        self.corpus = Corpus(options.base_slices)
        self.results = Results()

    def go_on(self) -> None:
        """Take what an unfinished run of the same versions with the same options measured; only the rest is run."""
        found = Results.read(self.file) if self.file.exists() else Results()
        mine = self._about(self._kinds())
        if any(found.about.get(part) != json.loads(json.dumps(mine[part])) for part in ("options", "versions")):
            self.say(f"{self.file} has no results of these versions with these options: all is measured")
            return
        self.results = found
        self.say(f"{len(found.rows)} rows are there already")

    def run(self) -> None:
        """Fills `results`."""
        kinds = self._kinds()
        self.results.about |= self._about(kinds)
        if procs.filesystem(self.options.folder) == "tmpfs":
            self.say("the folder is on tmpfs, where nothing is durable: figures of sending will be far too good")
        self._ingest("ingest", self._chosen(kinds, "ingest"))
        self._ingest("scaled", self._chosen(kinds, "scaled"))
        self._retrieve(self._chosen(kinds, "retrieve"))
        self._search(self._chosen(kinds, "search"))

    def _kinds(self) -> list[type[Target]]:
        kinds = []
        for name in self.options.targets:
            kind = TARGETS[name]
            if missing := kind.missing():
                self.say(f"without {name}: {missing}")
            else:
                kinds.append(kind)
        return kinds

    def _about(self, kinds: Sequence[type[Target]]) -> dict[str, object]:
        options = {name: value for name, value in asdict(self.options).items() if name not in ("folder", "targets")}
        return {
            "date": time.strftime("%Y-%m-%d"),
            **procs.machine(),
            "filesystem": procs.filesystem(self.options.folder),
            "versions": {kind.name: kind.version() for kind in kinds} | {"storescu": dcmtk_version()},
            "titles": {kind.name: kind.title for kind in kinds},
            "options": options,
        }

    def rest(self, scenarios: Sequence[S], targets: Sequence[Target]) -> dict[int, list[S]]:
        """By round, the scenarios that some target is still to be measured in; half a round counts for nothing."""
        there = {(row.scenario, row.clients, row.round, row.target) for row in self.results.rows}
        names = {target.name for target in targets}
        rest: dict[int, list[S]] = {}
        for number in range(self.options.rounds):
            for one in scenarios:
                if not all((one.name, one.clients, number, name) in there for name in names):
                    rest.setdefault(number, []).append(one)
        left = {(one.name, one.clients, number) for number, each in rest.items() for one in each}
        rows = self.results.rows
        rows[:] = [row for row in rows if (row.scenario, row.clients, row.round) not in left]
        return rest

    def _chosen(self, kinds: Sequence[type[Target]], group: str) -> list[Target]:
        """Targets for a group of scenarios, each with a new folder; empty when nothing of the group is wanted."""
        if not any(self.options.wants(group, one.name) for one in GROUPS[group]):
            return []
        return [kind(self.options.folder / group / kind.name) for kind in kinds if group in kind.groups]

    def _turns(self, targets: Sequence[Target], round_number: int) -> Sequence[Target]:
        return targets[::-1] if round_number % 2 else targets

    def _add(self, row: Row) -> None:
        self.results.rows.append(row)
        self.file.write_text(self.results.as_json(), "utf-8")
        wrong = f"  {row.faults} faults, {row.right} of {row.checked} right: {row.notes[:1]}"
        self.say(
            f"{row.scenario:22} x{row.clients}  {row.target:8} round {row.round + 1}  {row.per_s:9.1f}/s"
            f"  {row.bytes_per_s / 1e6:7.1f} MB/s  p50 {row.p50_ms:8.2f} ms  CPU {row.cpu_ms_per_item:7.3f}"
            f"+{row.later_cpu_ms_per_item:.3f} ms  client {row.client_cpu_ms_per_item:6.3f} ms"
            f"  others {row.other_cpus:4.2f}" + (wrong if row.faults or row.right != row.checked else "")
        )

    # -- sending

    def _ingest(self, group: str, targets: list[Target]) -> None:
        sendings = ingest.SCALED if group == "scaled" else ingest.SCENARIOS
        wanted = [one for one in sendings if targets and self.options.wants(group, one.name)]
        for one in [one for one in wanted if one.needs and not shutil.which(one.needs)]:
            self.say(f"without {one.title}: {one.needs} is not installed")
            wanted.remove(one)
        rest = self.rest(wanted, targets)
        if not rest:
            return
        self._clear(targets)
        first = 0
        with running(targets):
            for target in targets:
                warm_up(target, self.corpus)
            for round_number in range(self.options.rounds):
                for scenario in rest.get(round_number, ()):
                    count = self.options.instances * (4 if scenario.small else 1)
                    instances = scenario.instances(self.corpus, first, count)
                    first += len({one.study for one in instances})
                    for target in self._turns(targets, round_number):
                        self._add(send(target, scenario, instances, round_number))
        self._clear(targets)

    # -- looking

    def _retrieve(self, targets: list[Target]) -> None:
        wanted = [one for one in retrieve.SCENARIOS if targets and self.options.wants("retrieve", one.name)]
        rest = self.rest(wanted, targets)
        if not rest:
            return
        self._clear(targets)
        numbers = range(_RETRIEVE_FIRST, _RETRIEVE_FIRST + self.options.series)
        series = [self.corpus.series(number) for number in numbers]
        everything = [one for each in series for one in each]
        with running(targets):
            for target in targets:
                if target.aet:
                    self.say(f"{target.name}: {len(everything)} instances to retrieve from")
                    load(target, everything)
            self._ask(targets, {scenario: scenario.cases(series) for scenario in wanted}, rest)
        self._clear(targets)

    def _ask(
        self,
        targets: Sequence[Target],
        cases: Mapping[A, Sequence[Case]],
        rest: Mapping[int, Sequence[A]],
    ) -> None:
        judged: dict[tuple[A, str], Judged] = {}
        for round_number, scenarios in rest.items():
            for scenario in scenarios:
                for target in targets:  # in their order: the files of nginx are the first target's answers
                    if (scenario, target.name) not in judged:
                        judged[scenario, target.name] = self._judge(target, targets, cases[scenario])
                for target in self._turns(targets, round_number):
                    said = judged[scenario, target.name]
                    self._add(self._timed(target, scenario, cases[scenario], said, round_number))

    def _judge(self, target: Target, targets: Sequence[Target], cases: Sequence[Case]) -> Judged:
        """The first target's answers become the files of nginx, which is therefore judged after it."""
        if isinstance(target, Nginx):
            return judge(target, [replace(case, judge=_same_as(_file_of(target, case))) for case in cases])
        limit = next((one for one in targets if isinstance(one, Nginx)), None)
        if limit is None or target is not targets[0]:
            return judge(target, cases)

        def copy(case: Case, answer: Answer) -> None:
            packed = answer.headers.get("content-encoding") == "gzip"
            file = limit.file_for(target.dicomweb + case.path, packed)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(answer.body)

        return judge(target, cases, copy)

    def _timed(
        self,
        target: Target,
        scenario: retrieve.Retrieve | search.Search,
        cases: Sequence[Case],
        judged: Judged,
        round_number: int,
    ) -> Row:
        client = ask_for(target, cases, judged, self.options.seconds)
        target.wait_until_quiet(0.1)
        row = measure(scenario.name, target.name, target.pids, scenario.clients, client, round_number)
        row.checked, row.right = len(cases), judged.right
        row.notes += judged.wrong[:3]
        return row

    # -- searching

    def _search(self, targets: list[Target]) -> None:
        wanted = [one for one in search.SCENARIOS if targets and self.options.wants("search", one.name)]
        rest = self.rest(wanted, targets)
        if not rest:
            return
        studies = self.corpus.index_studies(self.options.studies)
        for target in targets:
            target.folder = self.options.folder / f"index-{self.options.studies}" / target.name
            self.results.fills[target.name] = self._filled(target, studies)
        with running(targets):
            for target in targets:
                target.prepare_search()
            self._ask(targets, {scenario: scenario.cases(studies) for scenario in wanted}, rest)
        if not self.options.keep:
            self._clear(targets)

    def _filled(self, target: Target, studies: list[Study]) -> dict[str, float | str]:
        """Fill its folder through its DICOM port, or take it as an earlier run with `keep` left it."""
        mark = target.folder / "filled.json"
        if mark.exists():
            fill: dict[str, float | str] = json.loads(mark.read_text())
            if fill.get("corpus") == _INDEX_VERSION:
                self.say(f"{target.name}: {len(studies)} studies are there from an earlier run of {fill['version']}")
                return fill
        self.say(f"{target.name}: sending {len(studies)} studies to search in")
        self._clear([target])
        with running([target]):
            began = time.monotonic()
            row = load(target, list(self.corpus.tiny(studies)))
            if row.faults:
                raise RuntimeError(f"{target.name} could not be filled: {row.notes}")
            fill = {
                "corpus": _INDEX_VERSION,
                "version": type(target).version(),
                "seconds": row.wall_s,
                "per_s": row.per_s,
                "cpu_ms_per_item": row.cpu_ms_per_item + row.later_cpu_ms_per_item,
                "until_settled_s": time.monotonic() - began,
                "disk_bytes": target.disk_bytes(),
            }
        self.say(
            f"{target.name}: filled in {fill['seconds']:.0f} s ({fill['per_s']:.0f}/s, {fill['cpu_ms_per_item']:.2f} ms"
            f" of CPU each), settled after {fill['until_settled_s']:.0f} s"
        )
        mark.write_text(json.dumps(fill))
        return fill

    def _clear(self, targets: Sequence[Target]) -> None:
        for target in targets:
            target.remove()


def _file_of(nginx: Nginx, case: Case) -> Path:
    path = nginx.dicomweb + case.path
    packed = nginx.file_for(path, packed=True)
    return packed if "Accept-Encoding" in case.headers and packed.exists() else nginx.file_for(path)


def _same_as(file: Path) -> Callable[[Answer], str]:
    return lambda answer: "" if answer.body == file.read_bytes() else "not the file"


def send(target: Target, scenario: ingest.Ingest, instances: Sequence[Instance], round_number: int = 0) -> Row:
    """Measure one sending, what it leaves for later, and whether all is there."""
    target.wait_until_quiet(0.1)
    client = scenario.sender(target, instances)
    row = measure(scenario.name, target.name, target.pids, scenario.clients, client, round_number)
    later_s = target.wait_until_quiet(SETTLE_S * 1.5)
    row.later_cpu_ms_per_item = later_s * 1000 / max(row.items, 1)
    row.checked, row.right, wrong = ingest.check(target, instances)
    row.notes += wrong[:3]
    return row


def warm_up(target: Target, corpus: Corpus) -> None:
    """Use both doors once, so that nothing is loaded for the first time while measured."""
    for number, sender in enumerate((ingest.by_association(1), ingest.by_stow(1, 1))):
        instances = corpus.series(_WARM_UP_FIRST + number, 20)
        measure("warm-up", target.name, target.pids, 1, sender(target, instances))


def load(target: Target, instances: Sequence[Instance]) -> Row:
    """Send over four associations and wait until the target has done all that follows."""
    client = ingest.by_association(_INDEX_SENDERS)(target, instances)
    row = measure("load", target.name, target.pids, _INDEX_SENDERS, client)
    row.later_cpu_ms_per_item = target.wait_until_quiet(SETTLE_S * 1.5, 1800) * 1000 / max(row.items, 1)
    return row
