"""Scenarios of looking: instances, frames, whole series, their metadata, rendered pictures."""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from bench.asking import Case
from bench.corpus import Instance
from bench.http_client import Answer, parts_of
from bench.reach import ANY, Reach

_CASES = 128


@dataclass(frozen=True, slots=True)
class Retrieve:
    name: str
    title: str
    clients: int
    cases: Callable[[Sequence[Sequence[Instance]]], list[Case]]
    #: How its speed is told: items or bytes a second, or the median in ms.
    unit: str = "per_s"
    reach: Reach = ANY


def _instances(series: Sequence[Sequence[Instance]]) -> list[Instance]:
    """Some, from all series."""
    rng = random.Random(3)
    return [rng.choice(one) for one in series for _ in range(-(-_CASES // len(series)))]


def _path(one: Instance, tail: str = "") -> str:
    return f"/studies/{one.study.uid}/series/{one.study.series_uid}{tail}"


def _is_instance(one: Instance, part: bytes) -> bool:
    """Whether it is the object that was sent. File meta information and coding of sequences are the server's own."""
    return part[128:132] == b"DICM" and part.endswith(one.pixels) and one.sop_instance_uid.encode() in part


def instance_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    def judge(one: Instance, answer: Answer) -> str:
        parts = parts_of(answer)
        return "" if len(parts) == 1 and _is_instance(one, parts[0]) else "not the instance that was sent"

    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    return [
        Case(_path(one, f"/instances/{one.sop_instance_uid}"), accept, lambda a, one=one: judge(one, a))  # type: ignore[misc]
        for one in _instances(series)
    ]


def frame_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    def judge(one: Instance, answer: Answer) -> str:
        return "" if parts_of(answer) == [one.pixels] else "not the pixels that were sent"

    accept = 'multipart/related; type="application/octet-stream"'
    return [
        Case(_path(one, f"/instances/{one.sop_instance_uid}/frames/1"), accept, lambda a, one=one: judge(one, a))  # type: ignore[misc]
        for one in _instances(series)
    ]


def series_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    def judge(sent: Sequence[Instance], answer: Answer) -> str:
        parts = parts_of(answer)
        if len(parts) != len(sent):
            return f"{len(parts)} parts instead of {len(sent)}"
        # The UID stands in the file meta information, within the first bytes; the order of parts is free.
        found = [one for part in parts for one in sent if one.sop_instance_uid.encode() in part[:1024]]
        same = all(_is_instance(one, part) for one, part in zip(found, parts, strict=False))
        return "" if same and len({one.sop_instance_uid for one in found}) == len(sent) else "not what was sent"

    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    return [Case(_path(one[0]), accept, lambda a, one=one: judge(one, a)) for one in series]  # type: ignore[misc]


def metadata_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    def judge(sent: Sequence[Instance], answer: Answer) -> str:
        rows = json.loads(answer.body)
        found = sorted(row["00080018"]["Value"][0] for row in rows)
        if found != sorted(one.sop_instance_uid for one in sent):
            return f"{len(found)} instances, not those that were sent"
        whole = all(row["00280010"]["Value"] == [512] and row["00200032"]["vr"] == "DS" for row in rows)
        return "" if whole else "without Rows or ImagePositionPatient"

    return [
        Case(_path(one[0], "/metadata"), "application/dicom+json", lambda a, one=one: judge(one, a))  # type: ignore[misc]
        for one in series
    ]


def gzip_metadata_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    """As browsers ask; who has no compressed answer ready may send a plain one."""

    def unpacked(case: Case, answer: Answer) -> str:
        packed = answer.headers.get("content-encoding") == "gzip"
        return case.judge(replace(answer, body=gzip.decompress(answer.body)) if packed else answer)

    return [
        replace(case, headers={"Accept-Encoding": "gzip"}, judge=lambda a, case=case: unpacked(case, a))  # type: ignore[misc]
        for case in metadata_cases(series)
    ]


def rendered_cases(series: Sequence[Sequence[Instance]]) -> list[Case]:
    def judge(answer: Answer) -> str:
        with Image.open(io.BytesIO(answer.body)) as image:
            darkest, brightest = image.convert("L").getextrema()
            return "" if image.size == (512, 512) and brightest > darkest else f"{image.size}, or blank"  # type: ignore[operator]

    return [
        Case(_path(one, f"/instances/{one.sop_instance_uid}/rendered"), "image/jpeg", judge)
        for one in _instances(series)
    ]


_RENDERED = Reach(2)
_SERIES = Reach(1.2)
_METADATA = Reach(50)

SCENARIOS = [
    Retrieve("instance", "WADO-RS instance, 1 client", 1, instance_cases),
    Retrieve("instance", "WADO-RS instance, 8 clients", 8, instance_cases, reach=Reach(3, of_limit=0.5)),
    Retrieve("frame", "WADO-RS frame, 1 client", 1, frame_cases),
    Retrieve("frame", "WADO-RS frame, 8 clients", 8, frame_cases, reach=Reach(6)),
    Retrieve("series", "WADO-RS series of 100, 1 client", 1, series_cases, "bytes_per_s", _SERIES),
    Retrieve("series", "WADO-RS series of 100, 8 clients", 8, series_cases, "bytes_per_s", _SERIES),
    Retrieve("metadata", "metadata of a series of 100, 1 client", 1, metadata_cases, "p50_ms", reach=_METADATA),
    Retrieve("metadata", "metadata of a series of 100, 8 clients", 8, metadata_cases, reach=_METADATA),
    Retrieve("metadata-gzip", "the same, compressed as browsers ask, 1 client", 1, gzip_metadata_cases, "p50_ms"),
    Retrieve("rendered", "rendered slice (JPEG), 1 client", 1, rendered_cases, reach=_RENDERED),
    Retrieve("rendered", "rendered slice (JPEG), 8 clients", 8, rendered_cases, reach=_RENDERED),
]
