"""Scenarios of sending: C-STORE and STOW-RS, one and many senders, large and small objects."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from bench.corpus import EXPLICIT_LITTLE_ENDIAN, Corpus, Instance, Study
from bench.http_client import Http, related, request
from bench.measure import Client, Seen
from bench.reach import ANY, Reach
from bench.targets import Target
from huitong.cli.sending import SendingFailed, association

CALLING = "TAIYUAN"
_JSON = {"Accept": "application/dicom+json"}


@dataclass(frozen=True, slots=True)
class Ingest:
    """A way to send, and what is sent."""

    name: str
    title: str
    clients: int
    sender: Callable[[Target, Sequence[Instance]], Client]
    small: bool = False
    #: A program without which it cannot be measured.
    needs: str = ""
    unit: str = "per_s"
    reach: Reach = ANY

    def instances(self, corpus: Corpus, first: int, count: int) -> list[Instance]:
        """At least `count`, in equal studies, one or more for each client, numbered from `first`: never sent before."""
        studies = max(self.clients, -(-count // 100))
        studies = -(-studies // self.clients) * self.clients
        length = -(-count // studies)
        make = corpus.small if self.small else corpus.series
        return [one for number in range(first, first + studies) for one in make(number, length)]


def share(instances: Sequence[Instance], number: int, clients: int) -> Sequence[Instance]:
    """What client `number` sends: a run of its own, so that studies stay whole, as scanners send them."""
    first, end = (len(instances) * each // clients for each in (number, number + 1))
    return instances[first:end]


def by_storescu(clients: int, environment: Mapping[str, str]) -> Callable[[Target, Sequence[Instance]], Client]:
    """dcmtk's sender, a process for each association, its start included."""

    def sender(target: Target, instances: Sequence[Instance]) -> Client:
        def client(number: int, seen: Seen, ready: Callable[[], None]) -> None:
            mine = share(instances, number, clients)
            with tempfile.TemporaryDirectory(dir=target.folder) as folder:
                _send_folder(target, mine, Path(folder), environment, seen, ready)

        return client

    return sender


def _send_folder(
    target: Target,
    instances: Sequence[Instance],
    folder: Path,
    environment: Mapping[str, str],
    seen: Seen,
    ready: Callable[[], None],
) -> None:
    for index, one in enumerate(instances):
        (folder / f"{index:05d}.dcm").write_bytes(one.content)
    command = ["storescu", "-R", "-aet", CALLING, "-aec", target.aet, "+sd", target.dimse.host, str(target.dimse.port)]
    ready()
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode or done.stderr:
        seen.faults.append(f"storescu {done.returncode}: {done.stderr[-300:]}")
    seen.items = len(instances)
    seen.size_bytes = sum(one.size_bytes for one in instances)


def by_association(clients: int) -> Callable[[Target, Sequence[Instance]], Client]:
    """Our own sender with the bytes at hand: next to no work on the sending side."""

    def sender(target: Target, instances: Sequence[Instance]) -> Client:
        kinds = {(one.sop_class_uid, EXPLICIT_LITTLE_ENDIAN) for one in instances}

        def client(number: int, seen: Seen, ready: Callable[[], None]) -> None:
            files = [one.to_send() for one in share(instances, number, clients)]
            with association(target.dimse, CALLING, target.aet, kinds) as storer:
                ready()
                for file in files:
                    try:
                        seen.time(lambda file=file: storer.store(file))  # type: ignore[misc]
                    except SendingFailed as e:
                        seen.faults.append(str(e))
                    seen.items += 1
                    seen.size_bytes += len(file.content)

        return client

    return sender


def by_stow(clients: int, each: int) -> Callable[[Target, Sequence[Instance]], Client]:
    """STOW-RS on a kept-alive connection, `each` instances a request."""

    def sender(target: Target, instances: Sequence[Instance]) -> Client:
        def client(number: int, seen: Seen, ready: Callable[[], None]) -> None:
            mine = share(instances, number, clients)
            requests = []
            for at in range(0, len(mine), each):
                files = [one.content for one in mine[at : at + each]]
                kind, body = related(files)
                headers = {"Content-Type": kind, **_JSON, **target.stow_headers}
                path = f"{target.dicomweb}/studies"
                requests.append((len(files), request("POST", target.http, path, headers, body)))
            http = Http(target.http)
            http.connect()
            ready()
            for count, prepared in requests:
                seen.time(lambda prepared=prepared: _stow(http, prepared, seen))  # type: ignore[misc]
                seen.items += count
                seen.size_bytes += len(prepared)

        return client

    return sender


def _stow(http: Http, prepared: bytes, seen: Seen) -> None:
    answer = http.ask(prepared, keep=True)
    if answer.status != 200:
        seen.faults.append(f"STOW-RS {answer.status}: {answer.body[:300]!r}")


#: The same storescu for every server: without Nagle's algorithm, and (one row) as dcmtk ships it.
_NODELAY = {"TCP_NODELAY": "1"}

SCENARIOS = [
    Ingest("cstore-dcmtk", "C-STORE by dcmtk storescu, 1 association", 1, by_storescu(1, _NODELAY), needs="storescu"),
    Ingest("cstore-nagle", "C-STORE by storescu as shipped, 1 association", 1, by_storescu(1, {}), needs="storescu"),
    Ingest("cstore-dcmtk", "C-STORE by dcmtk storescu, 4 associations", 4, by_storescu(4, _NODELAY), needs="storescu"),
    Ingest("cstore", "C-STORE, 1 association", 1, by_association(1), reach=Reach(4, cpu_ms=1.2)),
    Ingest("cstore", "C-STORE, 4 associations", 4, by_association(4), reach=Reach(5, cpu_ms=1.2)),
    Ingest("stow-1", "STOW-RS, 1 instance a request, 1 client", 1, by_stow(1, 1)),
    Ingest("stow-1", "STOW-RS, 1 instance a request, 8 clients", 8, by_stow(8, 1), reach=Reach(4, cpu_ms=1.5)),
    Ingest("stow-10", "STOW-RS, 10 instances a request, 1 client", 1, by_stow(1, 10)),
    Ingest("stow-10", "STOW-RS, 10 instances a request, 8 clients", 8, by_stow(8, 10), reach=Reach(4, cpu_ms=1.5)),
    Ingest("cstore-small", "C-STORE of small objects, 4 associations", 4, by_association(4), True, reach=Reach(3)),
    Ingest("stow-small", "STOW-RS of small objects, 8 clients", 8, by_stow(8, 1), True, reach=Reach(3)),
]  # fmt: skip

#: The same where archives stand on servers of their own.
SCALED = [
    replace(one, name=f"scaled-{one.name}", title=f"{one.title}, on servers", reach=Reach(4))
    for one in SCENARIOS
    if (one.name, one.clients) in {("cstore", 1), ("cstore", 4), ("stow-1", 8), ("stow-10", 8)}
]


def check(target: Target, instances: Sequence[Instance]) -> tuple[int, int, list[str]]:
    """Studies asked for, how many of them have exactly what was sent, and what is wrong with the others."""
    sent: dict[Study, set[str]] = {}
    for one in instances:
        sent.setdefault(one.study, set()).add(one.sop_instance_uid)
    http, wrong = Http(target.http), []
    for study, uids in sent.items():
        path = f"{target.dicomweb}/studies/{quote(study.uid)}/instances?limit=1000"
        answer = http.ask(request("GET", target.http, path, _JSON), keep=True)
        found = [row["00080018"]["Value"][0] for row in json.loads(answer.body)] if answer.status == 200 else []
        if sorted(found) != sorted(uids):
            wrong.append(f"GET {path}: {answer.status}, {len(found)} of {len(uids)} instances")
    http.close()
    return len(sent), len(sent) - len(wrong), wrong
