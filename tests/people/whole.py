"""An archive in which everything has happened that can happen to people, and all that can be seen and kept of it.

For whoever has to show that nothing of it changes: when a store moves, a backup is restored, a join is undone.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from tests.archives import TestArchive, settings_for
from tests.objects import part10
from tests.people.cards.patients import give
from tests.people.doors.mllp_sink import adt
from tests.people.registry import Registry, certified
from tests.web.browsing import Browser

from huitong.app.asgi import application
from huitong.cli.demo_directory import FILES
from huitong.directory import actions as directory
from huitong.people import actions, receiving
from huitong.people.cards import actions as cards
from huitong.store import ledger
from huitong.store.store import open_database
from huitong.store.tables import MARK, METADATA
from huitong.wire.hl7 import parse

TERMINAL = cards.Terminal("010101", "T1", "01")
#: GB 11643, with right check digits.
NUMBERS = (
    "11010519491231002X", "440524188001010014", "11010020171225006X",
    "140105198411050710", "140802199001020037", "140107202401010020",
    "140302198506070011",
)  # fmt: skip


@dataclass(frozen=True)
class Codes:
    """What was shown of cards before whatever comes."""

    static: str
    #: Taken already.
    taken: str
    #: Of a card that is suspended.
    suspended: str


def fill(archive: TestArchive) -> Codes:
    """Joins by certificate and by hand, a split, questions open and answered, merged numbers, visits, images, cards."""
    registry = Registry(archive)
    for name, text in FILES.items():
        directory.load(archive.access.local(), name, text.encode())
    for at, name in enumerate(("王^晓东", "李^梅", "张^伟")):
        registry.register(f"TAIYUAN/P{at}", names=(name,), certificates=certified(NUMBERS[at]), phones=("13803511234",))
        registry.register(f"YUNCHENG/{at}", names=(name,), certificates=certified(NUMBERS[at]))
    actions.split(registry.registrar, registry.events("TAIYUAN/P2")[0].pk, "同名的两个人，证件号抄错")
    _questions(registry)
    _messages(archive)
    for number, institution in (("P0", "TAIYUAN"), ("0", "YUNCHENG"), ("P2", "TAIYUAN"), ("2", "YUNCHENG")):
        archive.keep_now(part10(PatientID=number, StudyDate="20261119", PatientName="Z^Z"), institution=institution)
    archive.settle()
    return _cards(archive)


def _questions(registry: Registry) -> None:
    """One open, one of each answer, and one that a certificate has answered."""
    for at, name in enumerate(("欧阳^娜", "欧阳^芳", "赵^强", "钱^多", "孙^立")):
        registry.register(f"TAIYUAN/Q{at}", names=(name,), certificates=(("passport", f"E1234567{at}"),))
        registry.register(f"YUNCHENG/Q{at}", names=("周^平",), certificates=(("passport", f"E1234567{at}"),))
    registry.answer("joined", "TAIYUAN/Q1", "YUNCHENG/Q1")
    registry.answer("apart", "TAIYUAN/Q2", "YUNCHENG/Q2")
    for at, key in enumerate(("TAIYUAN/Q3", "YUNCHENG/Q3")):
        registry.register(key, hours=1, certificates=certified(NUMBERS[3 + at]))
    registry.register("TAIYUAN/H1", names=("吴^用",))
    registry.register("YUNCHENG/H1", names=("吴^用",))
    actions.join(registry.registrar, ("TAIYUAN", "H1"), ("YUNCHENG", "H1"), "本人到窗口出示两张就诊卡")


def _messages(archive: TestArchive) -> None:
    told = (
        ("A01", "PID|1||V1^^^TAIYUAN^MR||郑^和||19710101|M", "PV1|1|I|||||||||||||||||ZY1"),
        ("A03", "PID|1||V2^^^TAIYUAN^MR||冯^刚||19720202|M", "PV1|1|I|||||||||||||||||ZY2"),
        ("A04", "PID|1||V3^^^TAIYUAN^MR||冯^刚||19720202|M", "PV1|1|O|||||||||||||||||MZ3"),
        ("A40", "PID|1||V2^^^TAIYUAN^MR", "MRG|V3^^^TAIYUAN^MR"),
    )
    for number, (event, *segments) in enumerate(told):
        work = archive.access.by_message("HIS", "TAIYUAN", "127.0.0.1")
        receiving.take_message(work, parse(adt(number, *segments, event=event, when=60 * number)))


def _cards(archive: TestArchive) -> Codes:
    """A formal card, a newborn's that became formal, and one that is suspended; each was used."""
    Registry(archive).register("TAIYUAN/N1", names=("李梅之子",))
    wristband = cards.static_code(_issued(archive, "N1")).text
    give(archive, "N1", NUMBERS[5])
    taken = cards.dynamic_code(archive.reader, _issued(archive, "P0")).text
    assert isinstance(cards.resolve(archive.sender(), taken, TERMINAL), cards.Resolved)
    assert isinstance(cards.resolve(archive.sender("YUNCHENG"), wristband, TERMINAL), cards.Resolved)
    lost = _issued(archive, "P1")
    cards.suspend(archive.sender(), lost.card_id)
    return Codes(wristband, taken, cards.static_code(lost).text)


def _issued(archive: TestArchive, number: str) -> cards.Card:
    found = cards.issue(archive.sender(), number)
    assert isinstance(found, cards.Issued)
    return found.card


# --- all that is kept ---


def kept(read: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table but the marks of the store itself."""
    return {
        table.name: [tuple(row) for row in read.execute(select(table).order_by(*table.primary_key.columns))]
        for table in METADATA.sorted_tables
        if table is not MARK
    }


def kept_by(archive: TestArchive) -> dict[str, list[tuple[Any, ...]]]:
    with archive.store.database.read() as read:
        return kept(read)


def kept_in(folder: Path, **settings: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Of a store that nobody has opened, and so nobody has cleaned up."""
    with closing(open_database(settings_for(folder, **settings))) as database, database.read() as read:
        return kept(read)


# --- all that is seen ---


def seen(archive: TestArchive) -> dict[str, bytes]:
    """What answers at every address that has to do with somebody: QIDO-RS, WADO-RS, FHIR, pages; by address."""
    browser = Browser(application(archive.store, archive.access, lambda: 0))
    numbered = json.loads(browser.get("/dicom-web/studies?includefield=all").content)
    found = {f"/dicom-web/{level}?includefield=all" for level in ("studies", "series", "instances")}
    for at in ("TAIYUAN", "YUNCHENG"):
        found.add(f"/dicom-web/at/{at}/studies?includefield=all")
    for row in numbered:
        study, person = row["0020000D"]["Value"][0], row["00100020"]["Value"][0]
        found |= {f"/dicom-web/studies/{study}/metadata", f"/dicom-web/studies/{study}"}
        found |= {f"/dicom-web/studies?PatientID={person}", f"/dicom-web/instances?PatientID={person}"}
    for person in _ids(archive):
        found |= {f"/fhir/Patient/{person}", f"/person/{person}", f"/health-card/{person}?code=static"}
    with archive.store.database.read() as read:
        found |= {f"/question/{pk}" for pk in read.execute(select(METADATA.tables["question"].c.pk)).scalars()}
    return {address: _body(browser, address) for address in sorted({*found, "/", "/questions", "/directory"})}


def _ids(archive: TestArchive) -> list[str]:
    with archive.store.database.read() as read:
        return list(read.execute(select(METADATA.tables["person"].c.exchange_id)).scalars())


def _body(browser: Browser, address: str) -> bytes:
    """Parts of a multipart answer are separated by a text that is new each time."""
    answer = browser.get(address)
    kind = answer.headers.get("content-type", "")
    boundary = kind.partition("boundary=")[2].partition(";")[0].strip('"').encode()
    return str(answer.status_code).encode() + answer.content.replace(boundary or b"\0\0", b"-")


# --- all that can be done ---


def goes_on(archive: TestArchive, codes: Codes) -> None:
    """What was begun is ended, and what is new is numbered behind what was there."""
    registry = Registry(archive)
    assert isinstance(cards.resolve(archive.sender(), codes.static, TERMINAL), cards.Resolved)
    assert cards.resolve(archive.sender(), codes.taken, TERMINAL) == cards.Refusal(cards.Reason.REPLAYED)
    assert cards.resolve(archive.sender(), codes.suspended, TERMINAL) == cards.Refusal(cards.Reason.SUSPENDED)
    registry.answer("joined", "TAIYUAN/Q0", "YUNCHENG/Q0")
    assert registry.one("TAIYUAN/Q0", "YUNCHENG/Q0")
    actions.split(registry.registrar, registry.events("TAIYUAN/P0")[0].pk)
    assert not registry.one("TAIYUAN/P0", "YUNCHENG/0")
    registry.register("TAIYUAN/NEW", names=("褚^新",), certificates=certified(NUMBERS[6]))
    registry.register("YUNCHENG/NEW", names=("褚^新",), certificates=certified(NUMBERS[6]))
    assert registry.one("TAIYUAN/NEW", "YUNCHENG/NEW")
    assert _issued(archive, "NEW").certificate == ("01", NUMBERS[6])
    twice = adt(0, "PID|1||V1^^^TAIYUAN^MR||郑^和||19710101|M", "PV1|1|I|||||||||||||||||ZY1", event="A01")
    before = kept_by(archive)
    receiving.take_message(archive.access.by_message("HIS", "TAIYUAN", "127.0.0.1"), parse(twice))
    assert kept_by(archive) == before
    with archive.store.database.read() as read:
        assert list(ledger.check(read)) == []
