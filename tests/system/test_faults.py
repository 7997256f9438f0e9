"""PostgreSQL or the object store goes away in the middle, by dying or by hanging, and comes back.

While it is away every sender is told so within seconds (A700; 503 with Retry-After), what is at hand is still read, and
when it is back all goes on by itself: nothing acknowledged is lost, nothing is kept twice.
"""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests import homes
from tests.objects import CT, dataset, part10
from tests.serving import Server, huitong, serving
from tests.system.senders import data_set

from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, SendingFailed, association
from huitong.cli.servers import LocalServer

pytestmark = [
    pytest.mark.scaled,
    pytest.mark.skipif(homes.kind != homes.SCALED, reason="PostgreSQL and S3 are what goes away (--home scaled)"),
]
WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
#: How long a sender may wait for an answer while something hangs: a group before its own, and its own.
PATIENCE_S = 60.0


@dataclass
class Patient(threading.Thread):
    """A sender that sends each object again until it is acknowledged, as modalities do, and times every answer."""

    server: Server
    institution: str
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    study: str = field(default_factory=generate_uid)
    series: str = field(default_factory=generate_uid)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.stop.is_set():
            uid = generate_uid()
            ds = dataset(SOPInstanceUID=uid, StudyInstanceUID=self.study, SeriesInstanceUID=self.series)
            ds.InstanceNumber = len(self.acknowledged) + 1
            file = part10(ds)
            while not self.timed(file):
                time.sleep(0.2)
                if self.stop.is_set():
                    return
            self.acknowledged[uid] = (self.study, self.series, file)

    def timed(self, file: bytes) -> bool:
        began = time.monotonic()
        refusal = self.send(file)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if refusal:
            self.refused.append(refusal)
        return not refusal

    def send(self, file: bytes) -> str:
        """Why it was refused; empty if it was kept."""
        raise NotImplementedError


class Storer(Patient):
    def send(self, file: bytes) -> str:
        to = Address("127.0.0.1", self.server.dimse_port)
        try:
            with association(to, self.institution, "HUITONG", [(CT, ExplicitVRLittleEndian)]) as storer:
                storer.store(Part10.of(file))
        except (OSError, SendingFailed) as e:
            return str(e)
        return ""


class Stower(Patient):
    def send(self, file: bytes) -> str:
        boundary = uuid4().hex
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Authorization": f"Bearer demo-{self.institution}",
            "Accept": "application/dicom+json",
        }
        body = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file
        connection = http.client.HTTPConnection("127.0.0.1", self.server.http_port, timeout=PATIENCE_S + 30)
        try:
            connection.request("POST", "/dicom-web/studies", body + f"\r\n--{boundary}--\r\n".encode(), headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200:
                return ""
            return f"{answer.status} retry-after={answer.headers['retry-after']} {said[:200]!r}"
        finally:
            connection.close()


@contextmanager
def sending(server: Server) -> Iterator[list[Patient]]:
    senders: list[Patient] = [kind(server, who) for kind in (Stower, Storer) for who in ("TAIYUAN", "YUNCHENG")]
    for each in senders:
        each.start()
    try:
        yield senders
    finally:
        for each in senders:
            each.stop.set()
        for each in senders:
            each.join(PATIENCE_S + 40)
            assert not each.is_alive()


def die(server: LocalServer) -> Callable[[], None]:
    server.kill()
    return server.start


def hang(server: LocalServer) -> Callable[[], None]:
    server.signal(signal.SIGSTOP)
    return lambda: server.signal(signal.SIGCONT)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", [die, hang])
@pytest.mark.parametrize("which", ["postgresql", "s3"])
def test_what_goes_away_and_comes_back_costs_nothing_that_was_acknowledged(
    tmp_path: Path, which: str, fault: Callable[[LocalServer], Callable[[], None]]
) -> None:
    victim: LocalServer = homes.servers()[0 if which == "postgresql" else 1]
    with serving(tmp_path / "data") as server, sending(server) as senders:
        wait_for(lambda: all(len(each.acknowledged) > 3 for each in senders))
        uid, seen = at_hand(server, senders[0])
        bring_back = fault(victim)
        away_since = time.monotonic()
        try:
            wait_for(lambda: all(each.refused for each in senders), PATIENCE_S + 15)
            told_after = time.monotonic() - away_since
            assert httpx.get(f"{server.base}/healthz", timeout=5).status_code == 200
            ready = httpx.get(f"{server.base}/readyz", timeout=40)
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert get(server, uid, senders[0]) == seen, "what is remembered is read on"
        finally:
            bring_back()
        wait_for(lambda: httpx.get(f"{server.base}/readyz", timeout=40).status_code == 200, 60)
        before = [len(each.acknowledged) for each in senders]
        back_since = time.monotonic()
        wait_for(lambda: all(len(each.acknowledged) > n + 3 for each, n in zip(senders, before, strict=True)), 90)
        went_on_after = time.monotonic() - back_since
    print(f"{which} {fault.__name__}: all told after {told_after:.1f} s, slowest answer ", end="")
    print(f"{max(each.slowest_s for each in senders):.1f} s, all going on {went_on_after:.1f} s after it was ready")
    for each in senders:
        assert each.slowest_s < PATIENCE_S
        for said in each.refused:
            assert "A700" in said if isinstance(each, Storer) else said.startswith("503 retry-after=10"), said
    with serving(tmp_path / "data") as server:
        check(server, senders)
    verified = huitong("verify", "--data", str(tmp_path / "data"))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def wait_for(condition: Callable[[], bool], most_s: float = 30.0) -> None:
    end = time.monotonic() + most_s
    while True:
        with suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < end
        time.sleep(0.1)


def at_hand(server: Server, sender: Patient) -> tuple[str, bytes]:
    """An instance that has been looked at."""
    uid = next(iter(sender.acknowledged))
    return uid, get(server, uid, sender)


def get(server: Server, uid: str, sender: Patient) -> bytes:
    study, series, _ = sender.acknowledged[uid]
    url = f"{server.dicomweb}/studies/{study}/series/{series}/instances/{uid}"
    answer = httpx.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


def check(server: Server, senders: list[Patient]) -> None:
    """Every acknowledged object is served, and each is there once."""
    with httpx.Client(timeout=30) as client:
        for each in senders:
            for uid, (study, series, file) in each.acknowledged.items():
                url = f"{server.dicomweb}/studies/{study}/series/{series}/instances/{uid}"
                answer = client.get(url, headers={"Accept": WHOLE})
                assert answer.status_code == 200, (uid, answer.text)
                assert data_set(file) in answer.content, uid
            said = client.get(f"{server.dicomweb}/studies?StudyInstanceUID={each.study}").json()
            # What was under way when the test ended may have been kept, too.
            count = said[0]["00201208"]["Value"][0]
            assert len(each.acknowledged) <= count <= len(each.acknowledged) + 1
