"""Asking over HTTP: a case is a request and the test of its answer. Answers are read and judged once, untimed; what is
timed afterwards must have the same status and size, so that neither judging nor a fast wrong answer enters a figure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.http_client import Answer, Http, request
from bench.measure import Client, Seen
from bench.targets import Target


@dataclass(frozen=True, slots=True)
class Case:
    """A GET below the DICOMweb root; `judge` says what is wrong with the answer, or nothing."""

    path: str
    accept: str
    judge: Callable[[Answer], str]
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, target: Target) -> bytes:
        return request("GET", target.http, target.dicomweb + self.path, {"Accept": self.accept, **self.headers})


@dataclass(frozen=True, slots=True)
class Judged:
    """Sizes of right and wrong answers, for the timing, and what was wrong."""

    sizes: dict[str, int]
    right: int
    wrong: list[str]


def judge(target: Target, cases: Sequence[Case], see: Callable[[Case, Answer], None] | None = None) -> Judged:
    """Ask every case once; `see` gets each answer."""
    http = Http(target.http)
    sizes: dict[str, int] = {}
    wrong = []
    for case in cases:
        answer = http.ask(case.request(target), keep=True)
        fault = case.judge(answer) if answer.status == 200 else f"status {answer.status}: {answer.body[:200]!r}"
        if fault:
            wrong.append(f"GET {target.dicomweb}{case.path} (Accept: {case.accept}): {fault}")
        sizes[case.path] = answer.size_bytes
        if see is not None:
            see(case, answer)
    http.close()
    return Judged(sizes, len(cases) - len(wrong), wrong)


def ask_for(target: Target, cases: Sequence[Case], judged: Judged, seconds: float, items_each: int = 1) -> Client:
    """Clients that ask, one question after another, in an order of their own, for a time; each at least once."""

    def client(number: int, seen: Seen, ready: Callable[[], None]) -> None:
        prepared = [(case.request(target), judged.sizes[case.path]) for case in cases]
        random.Random(number).shuffle(prepared)
        http = Http(target.http)
        http.connect()
        ready()
        end = time.perf_counter() + seconds
        count = 0
        while not count or time.perf_counter() < end:
            question, size = prepared[count % len(prepared)]
            seen.time(lambda question=question, size=size: _ask(http, question, size, seen))  # type: ignore[misc]
            seen.items += items_each
            seen.size_bytes += size
            count += 1

    return client


def _ask(http: Http, question: bytes, size: int, seen: Seen) -> None:
    answer = http.ask(question)
    if (answer.status, answer.size_bytes) != (200, size):
        what = question.split(b" HTTP", 1)[0].decode()
        seen.faults.append(f"{what}: {answer.status} with {answer.size_bytes} bytes; before it were {size}")
