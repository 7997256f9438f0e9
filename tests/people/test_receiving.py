"""A message is taken once, whole, and by whoever may send; the same again changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.archives import TestArchive, archive_in
from tests.people.doors.mllp_sink import PID, adt

from huitong.base.errors import NotAllowed
from huitong.people import receiving
from huitong.people.message_tables import HL7_MESSAGE
from huitong.people.visiting import visits_of
from huitong.wire.hl7 import BadMessage, parse

PV1 = "PV1|1|I|||||||||||||||||V{}"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as archive:
        yield archive


def take(archive: TestArchive, data: bytes, institution: str = "TAIYUAN") -> None:
    work = archive.access.by_message("HIS", institution, "127.0.0.1")
    receiving.take_message(work, parse(data))


def visits(archive: TestArchive, institution: str = "TAIYUAN") -> list[tuple[str, bool]]:
    with archive.store.database.read() as tx:
        return sorted((each.number, each.closed_at is None) for each in visits_of(tx, institution, "P1"))


def remembered(archive: TestArchive) -> int:
    with archive.store.database.read() as tx:
        return tx.execute(select(func.count()).select_from(HL7_MESSAGE)).scalar_one()


def test_a_message_that_is_sent_again_is_taken_once(archive: TestArchive) -> None:
    first = adt(1, PID, PV1.format(1), event="A01", when=10)
    take(archive, first)
    take(archive, adt(2, PID, PV1.format(1), event="A03", when=20))
    take(archive, first)
    take(archive, first.replace(b"|20260301080010||", b"|20260301090000||", 1))  # sent again with the time of sending
    assert visits(archive) == [("V1", False)]
    assert remembered(archive) == 2


def test_a_sender_that_counts_anew_is_taken(archive: TestArchive) -> None:
    take(archive, adt(1, PID, PV1.format(1)))
    take(archive, adt(1, PID, PV1.format(2)))
    take(archive, adt(1, PID.replace("TAIYUAN", "YUNCHENG"), PV1.format(1), facility="YUNCHENG"), "YUNCHENG")
    assert visits(archive) == [("V1", True), ("V2", True)]
    assert visits(archive, "YUNCHENG") == [("V1", True)]


def test_what_is_refused_is_not_remembered(archive: TestArchive) -> None:
    for _ in range(2):
        with pytest.raises(BadMessage):
            take(archive, adt(1, "PID|1||"))
    assert remembered(archive) == 0


def test_reading_is_not_sending(archive: TestArchive) -> None:
    with pytest.raises(NotAllowed):
        receiving.take_message(archive.reader, parse(adt(1)))


def test_one_message_on_many_connections_at_once_is_taken_once(archive: TestArchive) -> None:
    failed: list[Exception] = []

    def send() -> None:
        try:
            for number in range(5):
                take(archive, adt(number, PID, PV1.format(number)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert visits(archive) == [(f"V{number}", True) for number in range(5)]
    assert remembered(archive) == 5


def test_messages_are_forgotten_after_their_time(archive: TestArchive) -> None:
    work = archive.access.by_message("HIS", "TAIYUAN", "127.0.0.1")
    message = next(parse(adt(n)) for n in range(10_000) if receiving.digest(parse(adt(n)))[0] == 0)
    receiving.take_message(work, parse(adt(20_000)))
    receiving.take_message(replace(work, at=work.at + timedelta(days=6)), message)
    assert remembered(archive) == 2
    receiving.take_message(replace(work, at=work.at + timedelta(days=14)), parse(_alike(message.control_id)))
    assert remembered(archive) == 1


def _alike(control_id: str) -> bytes:
    """Another message whose digest begins like that of the one of this number."""
    first = int(control_id[1:]) + 1
    return next(adt(n) for n in range(first, first + 10_000) if receiving.digest(parse(adt(n)))[0] == 0)


OLD, NEW = "PID|1||P0^^^TAIYUAN^MR||王^小东", PID
OPENED = "A01", OLD
CLOSED = {"under the old number": ("A03", OLD), "under the new number": ("A03", NEW)}


@pytest.mark.parametrize("closed", CLOSED)
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_no_visit_stays_open_whichever_number_tells_of_its_end(
    archive: TestArchive, order: tuple[int, ...], closed: str
) -> None:
    sent = [
        adt(1, OPENED[1], PV1.format(7), event="A01", when=10),
        adt(2, NEW, "MRG|P0", event="A40", when=20),
        adt(3, CLOSED[closed][1], PV1.format(7), event="A03", when=30),
    ]
    for at in order:
        take(archive, sent[at])
    assert visits(archive) == [("V7", False)]
    with archive.store.database.read() as tx:
        assert visits_of(tx, "TAIYUAN", "P0") == []


def test_an_old_number_that_opens_a_visit_opens_it_under_the_new_one(archive: TestArchive) -> None:
    take(archive, adt(1, NEW, "MRG|P0", event="A40"))
    take(archive, adt(2, OLD, PV1.format(7), event="A01"))
    assert visits(archive) == [("V7", True)]


def test_numbers_that_were_merged_in_a_circle_are_numbers_still(archive: TestArchive) -> None:
    for at, (goes, stays) in enumerate((("P1", "P2"), ("P2", "P3"), ("P3", "P1"))):
        take(archive, adt(at, f"PID|1||{stays}^^^TAIYUAN^MR||王^小东", f"MRG|{goes}", event="A40"))
    take(archive, adt(5, PID, PV1.format(7), event="A01", when=10))
    take(archive, adt(6, PID, PV1.format(7), event="A03", when=20))
    with archive.store.database.read() as tx:
        known = [each for number in ("P1", "P2", "P3") for each in visits_of(tx, "TAIYUAN", number)]
    assert [(each.number, each.closed_at is None) for each in known] == [("V7", False)]


def test_the_order_of_a_patients_numbers_means_nothing(archive: TestArchive) -> None:
    both = "PID|1||P1^^^TAIYUAN^MR~77^^^TAIYUAN^PI||王^小东", "PID|1||77^^^TAIYUAN^PI~P1^^^TAIYUAN^MR||王^小东"
    take(archive, adt(1, both[0], PV1.format(7), event="A01", when=10))
    take(archive, adt(2, both[1], PV1.format(7), event="A03", when=20))
    assert visits(archive) == [("V7", False)]
    with archive.store.database.read() as tx:
        assert visits_of(tx, "TAIYUAN", "77") == []


def test_the_numbers_of_visits_follow_a_merge(archive: TestArchive) -> None:
    take(archive, adt(1, "PID|1||P0^^^TAIYUAN^MR||王^小东", PV1.format(7)))
    take(archive, adt(2, PID, "MRG|P0", event="A40"))
    assert visits(archive) == [("V7", True)]
