"""Several `huitong serve` on one PostgreSQL and one object store: any of them receives, any of them serves.

Each has a data folder of its own, as on machines of their own.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from sqlalchemy import text
from tests import homes
from tests.objects import CT, dataset, part10
from tests.serving import Server, huitong, serving
from tests.system.senders import data_set

from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, association
from huitong.store import ledger
from huitong.store.database import Database
from huitong.store.postgres import PostgresDatabase

pytestmark = [
    pytest.mark.scaled,
    pytest.mark.skipif(homes.kind != homes.SCALED, reason="several servers want PostgreSQL and S3 (--home scaled)"),
    pytest.mark.timeout(300),
]
STUDIES, SERIES, INSTANCES = 3, 2, 8
WHOLE = "application/dicom; transfer-syntax=*"


@dataclass(frozen=True)
class Sent:
    """An object that all send."""

    study: str
    series: str
    uid: str
    file: bytes

    @property
    def path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}/instances/{self.uid}"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    home = homes.flags_of(tmp_path / "0")
    with ExitStack() as running:
        yield [
            running.enter_context(serving(tmp_path / str(n), *home, "--settle-s", "3", "--merged-keep-s", "2"))
            for n in range(3)
        ]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(PostgresDatabase(homes.settings_of(tmp_path / "0")["database"])) as opened:
        yield opened


def pool() -> list[Sent]:
    made = []
    for _ in range(STUDIES):
        study = generate_uid()
        for _ in range(SERIES):
            series = generate_uid()
            for n in range(INSTANCES):
                uid = generate_uid()
                ds = dataset(SOPInstanceUID=uid, StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=n + 1)
                made.append(Sent(study, series, uid, part10(ds)))
    return made


def send_all(servers: list[Server], objects: list[Sent]) -> list[BaseException]:
    """At each server a sender of either kind sends everything, each in an order of its own; what went wrong."""
    failed: list[BaseException] = []

    def work(server: Server, over_dimse: bool, seed: int) -> None:
        mine = random.Random(seed).sample(objects, len(objects))
        try:
            if not over_dimse:
                for at in range(0, len(mine), 3):
                    server.stow(*(each.file for each in mine[at : at + 3]))
                return
            to = Address("127.0.0.1", server.dimse_port)
            with association(to, "TAIYUAN", "HUITONG", [(CT, ExplicitVRLittleEndian)]) as storer:
                for each in mine:
                    storer.store(Part10.of(each.file))
        except BaseException as e:
            failed.append(e)

    threads = [
        threading.Thread(target=work, args=(server, over_dimse, n * 2 + over_dimse))
        for n, server in enumerate(servers)
        for over_dimse in (False, True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return failed


def wrong(server: Server, objects: list[Sent]) -> list[str]:
    """What is not served as it was sent."""
    found = []
    with httpx.Client(timeout=30) as client:
        for each in objects:
            answer = client.get(server.dicomweb + each.path, headers={"Accept": WHOLE})
            if answer.status_code != 200 or not answer.content.endswith(data_set(each.file)):
                found.append(f"{each.uid}: {answer.status_code} {answer.content[:200]!r}")
    return found


def wait_for(condition: Callable[[], bool], most_s: float = 60.0) -> None:
    end = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def count(database: Database, sql: str) -> int:
    with database.read() as tx:
        return int(tx.execute(text(sql)).scalar_one())


def test_any_of_them_receives_and_any_of_them_serves(servers: list[Server], database: Database, tmp_path: Path) -> None:
    objects = pool()
    assert send_all(servers, objects) == []
    firsts = list({each.series: each for each in objects}.values())
    assert [wrong(server, objects) for server in servers[:2]] == [[], []]
    assert wrong(servers[2], firsts) == []  # it remembers now where all of each series are
    for server in servers:
        found = httpx.get(f"{server.dicomweb}/studies").json()
        assert [study["00201208"]["Value"] for study in found] == [[SERIES * INSTANCES]] * STUDIES
        assert [study["00201206"]["Value"] for study in found] == [[SERIES]] * STUDIES
    assert count(database, "SELECT count(*) FROM instance") == len(objects)
    assert count(database, "SELECT count(*) FROM study WHERE flags <> 0") == 0

    # They settle once, whoever does it, and are brought together.
    wait_for(lambda: count(database, "SELECT count(*) FROM study WHERE settled_revision < revision") == 0)
    blobs = "SELECT count(DISTINCT pack_pk) FROM instance JOIN series ON series.pk = series_pk"
    wait_for(lambda: count(database, blobs) == STUDIES)
    with database.read() as tx:
        facts = ledger.follow(tx, 0)
        assert list(ledger.check(tx)) == []
    assert len({(fact.subject, str(fact.body)) for fact in facts}) == len(facts), "one line for each state"
    last = {fact.subject: fact.body["instances"] for fact in facts}
    assert last == dict(Counter(each.study for each in objects))

    # The emptied objects go, and nobody notices, whatever he remembers.
    wait_for(lambda: count(database, "SELECT count(*) FROM pack WHERE emptied_at_ms IS NOT NULL") == 0)
    assert len(homes.blob_sizes(tmp_path / "0")) == count(database, "SELECT count(*) FROM pack") == STUDIES
    for server in servers[::-1]:
        assert wrong(server, objects) == []
        for each in firsts:
            for path, accept in (
                (f"{each.path}/frames/1", "application/octet-stream"),
                (f"{each.path}/rendered", "image/jpeg"),
                (f"{each.path}/metadata", "application/dicom+json"),
                (f"{each.path}/bulkdata/7FE00010", "application/octet-stream"),
                (f"/studies/{each.study}/series/{each.series}/metadata", "application/dicom+json"),
            ):
                answer = httpx.get(server.dicomweb + path, headers={"Accept": accept}, timeout=30)
                assert answer.status_code == 200, (path, answer.text[:300])
    verified = huitong("verify", "--data", str(tmp_path / "0"))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_one_that_is_killed_costs_the_others_nothing_and_what_it_acknowledged_is_there(
    servers: list[Server], tmp_path: Path
) -> None:
    objects = pool()
    thread = threading.Thread(target=send_all, args=(servers[1:], objects))
    acknowledged: list[Sent] = []
    thread.start()
    for each in objects:
        servers[0].stow(each.file)
        acknowledged.append(each)
        if len(acknowledged) == 20:
            servers[0].kill()
            break
    thread.join(120)
    for server in servers[1:]:
        assert wrong(server, acknowledged) == []
        assert wrong(server, objects) == []
    verified = huitong("verify", "--data", str(tmp_path / "0"))
    assert verified.returncode == 0, verified.stdout + verified.stderr
