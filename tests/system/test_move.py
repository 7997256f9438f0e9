"""`huitong move-store` beside a server that takes objects: nothing acknowledged is lost, however often it is killed."""

from __future__ import annotations

import http.client
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select, update
from tests import homes
from tests.archives import TestArchive, archive_in, settings_for
from tests.objects import part10
from tests.people import whole
from tests.people.cards.patients import join, register
from tests.serving import serving
from tests.system.senders import Sender, StoreSender, StowSender
from tests.system.test_kill import check

from huitong.access import auditing
from huitong.access.tables import TABLES as ACCESS
from huitong.access.verifying import verify_store
from huitong.app.archive import open_now
from huitong.base.errors import SettingsError, StoreUnavailable
from huitong.cli import main
from huitong.cli.options import ALL_GOOD, COULD_NOT, SOME_WRONG
from huitong.imaging.tables import PACK, STUDY
from huitong.people import actions as people
from huitong.people.cards import actions as cards
from huitong.store import holding, ledger, marks
from huitong.store.store import Store, open_database
from huitong.store.tables import LEDGER

pytestmark = [
    pytest.mark.scaled,
    pytest.mark.skipif("config.getoption('home') == 'scaled'", reason="begins in the embedded home"),
]
KILLS = 3
_number = count(1)


@pytest.fixture
def bucket() -> dict[str, str]:
    return homes.s3_settings(f"move{next(_number)}")


def flags(settings: dict[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]


def keys(bucket: dict[str, str]) -> list[str]:
    return flags({name: value for name, value in bucket.items() if name != "blobs"})


def command(name: str, folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "huitong.cli", name, "--data", str(folder), *more]


def run(name: str, folder: Path, *more: str) -> Result:
    """In this process: an interpreter takes longer to start than a small archive to move."""
    return CliRunner().invoke(main, command(name, folder, *more)[3:], catch_exceptions=False)


def move(folder: Path, *more: str, status: int = ALL_GOOD) -> Result:
    done = run("move-store", folder, *more)
    assert done.exit_code == status, done.output
    return done


def refused(folder: Path, *more: str) -> str:
    """What `serve` says that does not start."""
    done = run("serve", folder, *more, "--http", "127.0.0.1:0", "--dimse", "0")
    assert done.exit_code == COULD_NOT, done.output
    return done.stderr


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A settled archive of a few objects in a few packs."""
    folder = tmp_path / "data"
    for patient in ("Zhao^Yi=赵^一", "Qian^Er=钱^二"):
        with archive_in(folder) as archive:
            archive.keep_now(*(part10(PatientName=patient) for _ in range(3)))
            archive.settle()
    return folder


def rows(database: str, folder: Path) -> list[list[tuple[object, ...]]]:
    with closing(open_database(settings_for(folder, database=database))) as opened, opened.read() as tx:
        assert list(ledger.check(tx)) == []
        return [[tuple(r) for r in tx.execute(select(t).order_by(*t.primary_key))] for t in (PACK, STUDY, LEDGER)]


# --- while senders send ---


class Endless(StowSender):
    """Goes on, not too fast for the mover to be seen at work, when it is told to try again."""

    refused = 0

    def _send(self, connection: http.client.HTTPConnection, objects: list[tuple[str, bytes]]) -> None:
        super()._send(connection, objects)
        if self.trouble is not None:
            # 202: the move began between two objects of the request (PS3.18 table 10.5.3-1).
            partly = self.trouble.startswith("202") and "the store is moving" in self.trouble
            assert partly or self.trouble.startswith("503"), self.trouble
            self.refused += 1
            self.trouble = None
        time.sleep(0.1)


class Slow(StoreSender):
    def note(self, uid: str, file: bytes) -> None:
        super().note(uid, file)
        time.sleep(0.05)


def test_nothing_acknowledged_is_lost_when_a_store_moves_under_senders(tmp_path: Path, bucket: dict[str, str]) -> None:
    chance, folder, database = random.Random(20261125), tmp_path / "data", homes.new_database()
    to = ["--to-database", database, "--to-blobs", bucket["blobs"], *keys(bucket)]
    with serving(folder, "--pack-bytes", "4 MiB", "--spool-bytes", "300 KiB") as server:
        stow = [Endless(1, server.http_port, "TAIYUAN"), Endless(2, server.http_port, "YUNCHENG")]
        store = Slow(3, server.dimse_port, "TAIYUAN")
        senders: list[Sender] = [*stow, store]
        for sender in senders:
            sender.start()
        time.sleep(1)
        for _ in range(KILLS):
            mover = subprocess.Popen(command("move-store", folder, *to), stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.8, 2.0))
            mover.kill()
            mover.wait()
        move(folder, *to)
        before = [each.refused for each in stow]
        end = time.monotonic() + 30
        while not (store.trouble and all(each.refused > was for each, was in zip(stow, before, strict=True))):
            assert time.monotonic() < end, (store.trouble, [(each.trouble, each.refused) for each in stow])
            time.sleep(0.05)
        assert "A700" in store.trouble.upper()
        acknowledged = {uid: what for sender in senders for uid, what in sender.acknowledged.items()}
        check(server, dict(list(acknowledged.items())[-5:]))  # reading goes on
    for sender in senders:
        sender.join(30)
    assert len(acknowledged) > 20
    here = ["--database", database, *flags(bucket)]
    with serving(tmp_path / "new", *here) as server:
        check(server, acknowledged)
        server.stow(part10())
        verified = run("verify", tmp_path / "new", *here)
        assert verified.exit_code == ALL_GOOD, verified.output
    assert "has moved" in refused(folder)


# --- one of the two ---


def test_only_the_database_moves_and_packs_stay(small: Path) -> None:
    database = homes.new_database()
    before = rows("", small)
    move(small, "--to-database", database)
    assert rows(database, small) == before
    with archive_in(small, database=database) as archive:
        assert len(archive.names_found("qian*")) == 3
        archive.keep_now(part10(PatientName="Qian^San"))  # numbers go on behind those that came
        assert len(archive.names_found("qian*")) == 4
        assert run("verify", small, "--database", database).exit_code == ALL_GOOD
    move(small, "--to-database", database)  # again: it is there


def test_who_is_who_and_who_looked_are_the_same_row_for_row(small: Path) -> None:
    born = {"sex": "M", "birth_date": "19681102"}
    with archive_in(small) as archive:
        register(archive, "N1", "李梅", "11010519491231002X")
        register(archive, "N2", "李梅", "11010519491231002X", "YUNCHENG")  # joined by certificate
        register(archive, "N3", "王小东", **born)
        register(archive, "N4", "王晓东", institution="YUNCHENG", **born)  # a human is asked
        register(archive, "N5", "赵一")
        register(archive, "N6", "钱二")
        join(archive, ("TAIYUAN", "N5"), ("TAIYUAN", "N6"))
        registrar = archive.access.registrar("127.0.0.1")
        person = people.person_of(registrar, "TAIYUAN", "N5")
        assert person is not None
        people.split(registrar, people.history(registrar, person)[0].pk)
        assert people.open_questions(registrar) == 1
        issued(archive, "N1")
        looked = auditing.Looked("imaging.see", True, "open visit", person=person.exchange_id)
        auditing.record(archive.sender(), looked)
        assert archive.access.heads.make() is not None
    to = homes.new_database()
    before = who("", small)
    assert all(
        before[name]
        for name in ("person", "patient", "patient_key", "link_event", "question", "card", "audit", "audit_head")
    )
    move(small, "--to-database", to)
    assert who(to, small) == before
    with archive_in(small, database=to) as archive:
        auditing.record(archive.sender(), looked)  # the chain goes on behind what came
        assert auditing.check(archive.store).first_fault is None
        grown = archive.access.heads.make()
        assert grown is not None
        assert verify_store(archive.store, archive.access.heads, [], []).heads == 2
        assert people.open_questions(archive.reader) == 1
        join(archive, ("TAIYUAN", "N6"), ("TAIYUAN", "N5"))  # and so do the keys of links


def who(database: str, folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of people, rights, accounts, systems and the audit, by table."""
    with closing(open_database(settings_for(folder, database=database))) as opened, opened.read() as tx:
        tables = (*people.TABLES, *ACCESS)
        return {t.name: [tuple(r) for r in tx.execute(select(t).order_by(*t.primary_key))] for t in tables}


def issued(archive: TestArchive, number: str) -> cards.Card:
    found = cards.issue(archive.sender(), number)
    assert isinstance(found, cards.Issued)
    return found.card


@pytest.mark.parametrize("packs_too", [False, True])
def test_all_that_is_known_of_people_moves_byte_for_byte_and_goes_on(
    tmp_path: Path, bucket: dict[str, str], packs_too: bool
) -> None:
    folder, to = tmp_path / "data", {"database": homes.new_database(), **(bucket if packs_too else {})}
    with archive_in(folder) as archive:
        codes = whole.fill(archive)
        seen = whole.seen(archive)
    before = whole.kept_in(folder)
    blobs = ["--to-blobs", bucket["blobs"], *keys(bucket)] if packs_too else []
    move(folder, "--to-database", to["database"], *blobs)
    assert whole.kept_in(folder, **to) == before
    if packs_too:
        (folder / "packs").rename(tmp_path / "old-packs")
    with archive_in(folder, **to) as archive:
        assert whole.seen(archive) == seen
        whole.goes_on(archive, codes)


def test_only_the_packs_move_and_the_database_stays(small: Path, bucket: dict[str, str]) -> None:
    with serving(small) as server:
        server.stow(part10())
        move(small, "--to-blobs", bucket["blobs"], *keys(bucket))
        before = rows("", small)
        server.stow(part10(), allowed=(503,))
        server.stow(part10(), allowed=(503,))
        assert "in use by another" in refused(small, *flags(bucket))
    assert bucket["blobs"] in refused(small)
    assert rows("", small) == before
    (small / "packs").rename(small / "old-packs")
    with closing(open_now(settings_for(small, **bucket)).store), archive_in(small, **bucket) as archive:
        assert len(archive.names_found("qian*")) == 3
        assert not isinstance(archive.keep_now(part10())[0], BaseException)
        verified = run("verify", small, *flags(bucket))
        assert verified.exit_code == ALL_GOOD, verified.stdout
        assert " 0" in next(line for line in verified.stdout.splitlines() if "made ready again" in line)


def test_one_after_the_other(small: Path, bucket: dict[str, str]) -> None:
    database = homes.new_database()
    move(small, "--to-database", database)
    move(small, "--database", database, "--to-blobs", bucket["blobs"], *keys(bucket))
    settings = settings_for(small, database=database, **bucket)
    with closing(open_now(settings).store):
        assert run("verify", small, "--database", database, *flags(bucket)).exit_code == ALL_GOOD


# --- what is refused, what is given up ---


def test_a_target_that_holds_something_else_is_refused(small: Path, tmp_path: Path, bucket: dict[str, str]) -> None:
    other = tmp_path / "other"
    database = homes.new_database()
    with archive_in(other, database=database, **bucket) as archive:
        archive.keep_now(part10())
    to_database, to_blobs = ("--to-database", database), ("--to-blobs", bucket["blobs"], *keys(bucket))
    assert "holds something else" in move(small, *to_database, status=COULD_NOT).stderr
    assert "holds something else" in move(small, *to_blobs, status=COULD_NOT).stderr
    assert "nothing to move" in move(small, status=COULD_NOT).stderr
    move(small, "--to-database", "mysql://x", status=COULD_NOT)
    with archive_in(small) as archive:
        archive.keep_now(part10())


@pytest.fixture
def held(small: Path) -> Iterator[Path]:
    """A source whose mover was killed when it took nothing more."""
    with closing(Store(settings_for(small))) as store, store.database.write() as tx:
        holding.hold(tx, (PACK, STUDY), "of-this-move")
    return small


def test_a_store_that_is_held_is_read_and_takes_nothing_until_the_move_is_cancelled(held: Path) -> None:
    with archive_in(held) as archive:
        kept = [archive.keep_now(part10())[0] for _ in range(3)]
        assert all(isinstance(each, StoreUnavailable) for each in kept)
        assert len(archive.rows()) == 6
        packs = len(list((held / "packs").glob("*/*.pack")))
    assert packs <= 3  # what can only be refused is written once, not each time
    assert run("move-store", held, "--cancel").exit_code == ALL_GOOD
    with archive_in(held) as archive:
        assert not isinstance(archive.keep_now(part10())[0], BaseException)


def test_a_move_goes_on_where_it_was_killed_and_its_target_is_not_served_before(held: Path) -> None:
    database = homes.new_database()
    with closing(open_database(settings_for(held, database=database))) as opened, opened.write() as tx:
        marks.write(tx, holding.ARRIVING, "of-this-move")
    assert "not finished" in refused(held, "--database", database)
    with closing(Store(settings_for(held))) as store, store.database.write() as tx:
        marks.write(tx, holding.MOVE, "of-this-move")
    move(held, "--to-database", database)
    assert "the move is finished" in run("move-store", held, "--cancel").stderr


def test_what_was_damaged_before_is_moved_and_said(small: Path, bucket: dict[str, str]) -> None:
    pack = min((small / "packs").glob("*/*.pack"))
    data = bytearray(pack.read_bytes())
    data[data.index("赵".encode())] ^= 1
    pack.write_bytes(data)
    done = move(small, "--to-blobs", bucket["blobs"], *keys(bucket), status=SOME_WRONG)
    assert "damaged before the move" in done.stdout


def test_a_move_that_fails_lets_the_source_take_objects_again(small: Path) -> None:
    database = homes.new_database()
    with psycopg.connect(database, autocommit=True) as raw:
        raw.execute("ALTER TABLE ledger ADD CONSTRAINT never CHECK (seq < 2)")
    move(small, "--to-database", database, status=COULD_NOT)
    with archive_in(small) as archive:
        assert not isinstance(archive.keep_now(part10())[0], BaseException)


def test_rows_that_changed_or_went_meanwhile_are_brought_in_line(small: Path) -> None:
    database = homes.new_database()
    with psycopg.connect(database, autocommit=True) as raw:
        raw.execute("ALTER TABLE ledger ADD CONSTRAINT never CHECK (seq < 2)")
        move(small, "--to-database", database, status=COULD_NOT)
        raw.execute("ALTER TABLE ledger DROP CONSTRAINT never")
        raw.execute("INSERT INTO pack(pk, name) VALUES (77, 'gone')")
    with closing(Store(settings_for(small))) as store, store.database.write() as tx:
        tx.execute(update(STUDY).values(revision=STUDY.c.revision + 1))
    move(small, "--to-database", database)
    assert rows(database, small) == rows("", small)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = move(tmp_path / "mistyped", "--to-database", "postgresql://h/d", status=COULD_NOT)
    assert SettingsError().args[0].split(".")[0] in done.stderr
