"""ADT messages from senders that we did not write, to a server as an operator starts it; and kill -9 in the middle."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import hl7
import hl7.client
import httpx
import pytest
from sqlalchemy import select
from tests import homes
from tests.archives import archive_in
from tests.serving import Server, serving

from huitong.people import actions as people
from huitong.people.tables import PERSON
from huitong.people.visiting import visits_of

KILLS = int(os.environ.get("TEST_KILLS", "6" if homes.kind == homes.EMBEDDED else "3"))


def name_of(patient: str) -> str:
    """One of a hundred thousand, the same for the same patient."""
    chance = random.Random(patient)
    given = "".join(chance.sample("安宝成达恩芳刚海慧佳凯兰梅宁平琴荣珊婷文霞燕泽振秀", 2))
    return f"{chance.choice('王李张刘陈杨赵黄周吴')}^{given}"


def birth_of(patient: str) -> str:
    chance = random.Random(f"{patient} born")
    return f"{chance.randrange(1930, 2020)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"


def adt(control_id: str, patient: str, *, facility: str = "TAIYUAN", event: str = "A04", visit: str = "V1") -> str:
    segments = (
        f"MSH|^~\\&|HIS|{facility}|HUITONG|PROVINCE|20260301083000||ADT^{event}|{control_id}|P|2.5||||||UNICODE UTF-8",
        f"EVN|{event}|20260301083000",
        f"PID|1||{patient}^^^{facility}^MR||{name_of(patient)}^^^^^L^I||{birth_of(patient)}|M",
        f"PV1|1|O|||||||||||||||||{visit}",
    )
    return "\r".join(segments) + "\r"


class AdtSender(threading.Thread):
    """Sends registrations by the client of python-hl7; `acknowledged` has the patients of those that were."""

    def __init__(self, name: str, port: int, facility: str) -> None:
        super().__init__(daemon=True)
        self.prefix, self.port, self.facility = name, port, facility
        self.acknowledged: list[str] = []
        self.trouble: str | None = None

    def run(self) -> None:
        try:
            with hl7.client.MLLPClient("127.0.0.1", self.port) as client:
                client.socket.settimeout(20)
                for number in range(1_000_000):
                    patient = f"{self.prefix}-{number}"
                    answer = client.send_message(adt(patient, patient, facility=self.facility))
                    if not answer:
                        return  # the server is gone: this one was never acknowledged
                    if b"MSA|AA|" + patient.encode() + b"\r" not in answer:
                        self.trouble = answer.decode()
                        return
                    self.acknowledged.append(patient)
        except OSError:
            return


def wait_for_the_first(senders: list[AdtSender]) -> None:
    end = time.monotonic() + 60
    while not any(sender.acknowledged for sender in senders) and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.timeout(600)
def test_no_acknowledged_message_is_lost_however_often_the_server_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20260301)
    acknowledged: list[tuple[str, str]] = []
    for kill in range(KILLS):
        with serving(tmp_path / "data", "--mllp", "0") as server:
            senders = [
                AdtSender(f"{kill}-{n}", server.mllp_port, code) for n, code in enumerate(("TAIYUAN", "YUNCHENG"))
            ]
            for sender in senders:
                sender.start()
            wait_for_the_first(senders)
            time.sleep(chance.uniform(0.0, 0.7))
            server.kill()
            for sender in senders:
                sender.join(30)
                assert not sender.is_alive()
                assert sender.trouble is None
                acknowledged += [(sender.facility, patient) for patient in sender.acknowledged]
    assert len(acknowledged) > KILLS
    with archive_in(tmp_path / "data") as archive, archive.store.database.read() as tx:
        assert [each for each in acknowledged if not visits_of(tx, *each)] == []
    print(f"{len(acknowledged)} acknowledged messages in {KILLS} kills, none lost")


def test_the_command_that_comes_with_python_hl7_is_answered(tmp_path: Path) -> None:
    """As the guide has it."""
    (tmp_path / "adt.hl7").write_text(adt("7", "P1") + adt("8", "P2"))
    with serving(tmp_path / "data", "--mllp", "0") as server:
        command = [str(Path(sys.executable).parent / "mllp_send"), "--loose", "--port", str(server.mllp_port)]
        sent = subprocess.run(
            [*command, "--file", str(tmp_path / "adt.hl7"), "127.0.0.1"], capture_output=True, timeout=60
        )
        assert sent.returncode == 0
        assert (b"MSA|AA|7\r" in sent.stdout, b"MSA|AA|8\r" in sent.stdout) == (True, True)
        counted = httpx.get(f"{server.base}/metrics").text
        assert 'huitong_hl7_messages_total{code="AA",event="A04"} 2.0' in counted
        assert 'huitong_mllp_connections_total{event="connected"} 1.0' in counted


def test_two_institutions_send_at_once_and_what_is_refused_holds_up_nobody(tmp_path: Path) -> None:
    with serving(tmp_path / "data", "--mllp", "0") as server:
        with (
            hl7.client.MLLPClient("127.0.0.1", server.mllp_port) as one,
            hl7.client.MLLPClient("127.0.0.1", server.mllp_port) as other,
        ):
            codes = []
            for number in range(5):
                for client, facility in ((one, "TAIYUAN"), (other, "YUNCHENG")):
                    wrong = number == 2 and facility == "TAIYUAN"
                    message = adt(str(number), "P1", facility=facility, event="A99" if wrong else "A04")
                    codes.append(_code(client.send_message(message)))
        assert codes == ["AA"] * 4 + ["AR"] + ["AA"] * 5


# --- doubled, reordered, cut ---


def _told() -> list[str]:
    """Two hospitals of three people: registered, corrected, admitted, discharged; one number merged into another."""
    certificates = ("11010519491231002X", "440524188001010014", "11010020171225006X")
    made = []
    for facility in ("TAIYUAN", "YUNCHENG"):
        for at, certificate in enumerate(certificates):
            number = f"{facility[0]}{at}"
            made += [
                _message(facility, number, 0, "A04", "王^误", phone="13800000000"),
                _message(facility, number, 10, "A08", name_of(certificate), certificate, "13803511234"),
                _message(facility, number, 20, "A01", name_of(certificate), certificate, visit="I"),
                _message(facility, number, 30, "A03", name_of(certificate), certificate, visit="I"),
                _message(facility, number, 40, "A31", name_of(certificate), certificate, '""'),
            ]
    return [*made, _message("TAIYUAN", "T9", 5, "A04", "赵^强"), _message("TAIYUAN", "T0", 50, "A40", merged="T9")]


def _message(
    facility: str,
    number: str,
    minute: int,
    event: str,
    name: str = "",
    certificate: str = "",
    phone: str = "",
    *,
    visit: str = "",
    merged: str = "",
) -> str:
    at = f"20260301{8 + minute // 60:02d}{minute % 60:02d}00"
    own = f"{number}^^^{facility}^MR" + (f"~{certificate}^^^^NI" if certificate else "")
    segments = [
        f"MSH|^~\\&|HIS|{facility}|HUITONG|PROVINCE|{at}||ADT^{event}|{number}-{minute}|P|2.5||||||UNICODE UTF-8",
        f"EVN|{event}|{at}",
        f"PID|1||{own}||{name}||||||||{phone}",
        *([f"MRG|{merged}^^^{facility}^MR"] if merged else []),
        *([f"PV1|1|{visit}|||||||||||||||||ZY{number}"] if visit else []),
    ]
    return "\r".join(segments) + "\r"


def _state(folder: Path) -> dict[str, object]:
    """What is known afterwards, without what is numbered as it comes."""
    with archive_in(folder) as archive, archive.store.database.read() as tx:
        ids = tx.execute(select(PERSON.c.exchange_id)).scalars().all()
        persons = {people.person_by_exchange_id(archive.reader, each) for each in ids}
        records = [record for each in persons for record in people.records_of(archive.reader, each)]
        together: dict[int, set[tuple[str, str]]] = {}
        for record in records:
            together.setdefault(record.person_pk, set()).add(record.key)
        return {
            "known": {each.key: (each.known, each.effective_at, each.merged_into, each.active) for each in records},
            "persons": {frozenset(each) for each in together.values()},
            "visits": {each.key: visits_of(tx, *each.key) for each in records},
            "questions": people.open_questions(archive.reader),
        }


def test_messages_doubled_reordered_and_cut_leave_what_they_leave_in_their_order(tmp_path: Path) -> None:
    """By the client of python-hl7, on two connections; what is refused is sent again later, as senders do."""
    told = _told()
    with serving(tmp_path / "ordered", "--mllp", "0") as server, _client(server) as client:
        assert [_code(client.send_message(each)) for each in told] == ["AA"] * len(told)
    expected = _state(tmp_path / "ordered")
    assert len(expected["persons"]) == 3  # type: ignore[arg-type]
    for seed in range(2):
        chance, folder = random.Random(seed), tmp_path / f"shuffled{seed}"
        waiting = [*told, *told]
        with serving(folder, "--mllp", "0") as server:
            for _ in range(20):
                chance.shuffle(waiting)
                waiting = _sent(server, waiting, chance)
                if not waiting:
                    break
            assert waiting == []
        assert _state(folder) == expected, seed


def _client(server: Server) -> hl7.client.MLLPClient:
    client = hl7.client.MLLPClient("127.0.0.1", server.mllp_port)
    client.socket.settimeout(20)
    return client


def _sent(server: Server, messages: list[str], chance: random.Random) -> list[str]:
    """Those that were refused, or cut off by the end of their connection."""
    failed, clients = [], [_client(server), _client(server)]
    for message in messages:
        at = chance.randrange(2)
        if chance.random() < 0.3:
            whole = b"\x0b" + message.encode() + b"\x1c\r"
            clients[at].socket.sendall(whole[: chance.randrange(1, len(whole) - 1)])
            clients[at].close()
            clients[at] = _client(server)
            failed.append(message)
        elif _code(clients[at].send_message(message)) != "AA":
            failed.append(message)
    for client in clients:
        client.close()
    return failed


def _code(answer: bytes) -> str:
    return str(hl7.parse(answer.decode().strip("\x0b\x1c\r")).segment("MSA")[1])
