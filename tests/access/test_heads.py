"""Heads: one for all lines by now, grown from the one before, made once; and proofs that others can check."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.access.test_auditing import looked, work_of
from tests.archives import TestArchive, archive_in, settings_for
from tests.homes import settings_of

from huitong.access import auditing
from huitong.access.chaining import COLUMNS
from huitong.access.head_key import KEY_FILE, new_key, signer_of
from huitong.access.head_maker import HeadMaker
from huitong.access.heads import Heads
from huitong.access.merkle import consistency, continues, leaf_hash, root_of
from huitong.base.errors import AuditDamaged, NotFound, SettingsError
from huitong.base.settings import Settings
from huitong.wire.checkpoint import Checkpoint, is_signed_by, read_note


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


def write_lines(archive: TestArchive, count: int, first: int = 1) -> None:
    """Many at once, as `auditing.record` writes each."""
    with archive.store.database.writing() as session:
        for number in range(first, first + count):
            auditing.record_in(session, work_of(archive), looked(number))


def leaves(archive: TestArchive) -> list[bytes]:
    return [leaf_hash(bytes(row["hash"])) for row in auditing.every(archive.store)]


def test_a_head_is_the_root_of_all_lines_signed_and_kept(archive: TestArchive) -> None:
    heads = archive.access.heads
    assert heads.make() is None
    for size in (1, 2, 7):
        write_lines(archive, size - len(leaves(archive)))
        head = heads.make()
        assert head is not None
        assert head.root == root_of(leaves(archive))
        said = Checkpoint.read(read_note(head.note).text)
        assert said == Checkpoint("huitong/audit", size, head.root)
        assert heads.signer is not None
        assert is_signed_by(read_note(head.note), [heads.signer.key]) is True
        assert heads.make() == head == heads.of(size)
    assert [each.size for each in heads.newest(9)] == [7, 2, 1]
    assert [each.size for each in heads.newest(9, before=7)] == [2, 1]
    assert [each.size for each in heads.each(2)] == [2, 7]
    with pytest.raises(NotFound):
        heads.of(3)


def test_the_next_head_reads_new_lines_alone(archive: TestArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lines(archive, 300)
    archive.access.heads.make()
    write_lines(archive, 3)
    read: list[int] = []
    hashes = Heads._hashes

    def noted(heads: Heads, first: int, count: int) -> list[bytes]:
        found = hashes(heads, first, count)
        read.extend(range(first, first + len(found)))
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Heads, "_hashes", noted)
        head = archive.access.heads.make()
    assert head is not None
    assert head.root == root_of(leaves(archive))
    assert read == [300, 301, 302, 303]


def test_proofs_are_those_of_the_whole_tree(archive: TestArchive) -> None:
    heads = archive.access.heads
    write_lines(archive, 600)
    heads.make()
    write_lines(archive, 250)
    newest = heads.make()
    assert newest is not None
    all_leaves = leaves(archive)
    for first, second in ((1, 850), (256, 512), (300, 301), (511, 850), (512, 600), (600, 850), (850, 850)):
        proof = heads.consistency(first, second)
        assert proof == consistency(all_leaves[:second], first)
        roots = root_of(all_leaves[:first]), root_of(all_leaves[:second])
        assert continues(first, roots[0], second, roots[1], proof)
    for first, second in ((0, 5), (5, 4), (5, 851)):
        with pytest.raises(NotFound):
            heads.consistency(first, second)


def test_heads_are_due_after_a_while_and_only_with_new_lines(tmp_path: Path) -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    with archive_in(tmp_path, audit_head_s=600.0) as archive:
        heads = Heads(archive.store, lambda: at)
        later = Heads(archive.store, lambda: at + timedelta(seconds=601))
        maker = HeadMaker(archive.store, later)
        assert not heads.is_due()
        write_lines(archive, 1)
        assert heads.is_due()
        heads.make()
        assert not later.is_due()
        write_lines(archive, 1)
        assert not heads.is_due()
        assert later.is_due()
        maker.make_due()
        maker.make_due()
        assert [each.size for each in heads.newest(9)] == [2, 1]


def test_of_many_at_once_one_makes_the_head(archive: TestArchive) -> None:
    write_lines(archive, 400)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: archive.access.heads.make(), range(8)))
    assert {each.size for each in made if each} == {400}
    assert len(archive.access.heads.newest(9)) == 1
    assert list(archive.access.heads.nodes()[1]) == [(8, 0)]


# --- what was altered before a head is made ---


@pytest.mark.parametrize(
    ("by_hand", "said"),
    [
        ("DELETE FROM audit WHERE seq >= 4", "line 5 is missing|line 5 is not"),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 5", "line 5 is not the one"),
        ("DELETE FROM audit WHERE seq = 7", "line 7 is missing"),
        ("UPDATE audit_head SET frontier = last_hash", "another number of subtrees"),
    ],
)
def test_no_head_is_made_of_lines_that_are_missing_or_of_another_end(
    archive: TestArchive, by_hand: str, said: str
) -> None:
    write_lines(archive, 5)
    archive.access.heads.make()
    write_lines(archive, 5)
    with archive.store.database.write() as tx:
        tx.execute(text(by_hand))
    with pytest.raises(AuditDamaged, match=said):
        archive.access.heads.make()
    assert len(archive.access.heads.newest(9)) == 1


def test_heads_that_were_removed_are_not_made_anew(archive: TestArchive) -> None:
    write_lines(archive, 300)
    archive.access.heads.make()
    with archive.store.database.write() as tx:
        tx.execute(text("DELETE FROM audit_head"))
    with pytest.raises(AuditDamaged, match="heads were removed"):
        archive.access.heads.make()


def test_a_maker_that_finds_the_log_damaged_says_so_once_and_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with archive_in(tmp_path, audit_head_s=0.05) as archive:
        write_lines(archive, 5)
        archive.access.heads.make()
        with archive.store.database.write() as tx:
            tx.execute(text("DELETE FROM audit WHERE seq = 3"))
            tx.execute(text("UPDATE audit SET seq = seq + 1 WHERE seq = 5"))
        maker = HeadMaker(archive.store, archive.access.heads)
        maker.start()
        time.sleep(1)
        maker.stop()
        assert capsys.readouterr().out.count("no head of the audit was made") == 1
        assert len(archive.access.heads.newest(9)) == 1


# --- keys ---


def test_without_a_key_heads_are_not_signed(tmp_path: Path) -> None:
    assert signer_of(Settings(data=tmp_path)) is None
    with archive_in(tmp_path, demo=False) as archive:
        write_lines(archive, 1)
        head = archive.access.heads.make()
        assert head is not None
        assert head.published()[1].signatures == ()
        assert Checkpoint.read(read_note(head.note).text).size == 1


def test_a_key_of_the_settings_signs_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(new_key())
    file.chmod(0o600)
    signer = signer_of(Settings(audit_key=file, audit_origin="exchange.example/audit"))
    assert signer is not None
    assert signer.key.name == "exchange.example/audit"
    file.chmod(0o604)
    with pytest.raises(SettingsError, match="everybody"):
        signer_of(Settings(audit_key=file))
    file.chmod(0o600)
    for content in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff"):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="openssl genpkey"):
            signer_of(Settings(audit_key=file))
    with pytest.raises(SettingsError), archive_in(tmp_path / "data", audit_key=tmp_path / "absent"):
        pass


def test_the_demo_makes_its_key_once(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        keys = {str(signer.key) for signer in pool.map(signer_of, [settings] * 4) if signer}
    assert len(keys) == 1
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


# --- in processes of their own ---

_MAKING = """
import sys
from pathlib import Path
from huitong.access.heads import Heads
from huitong.base import log
from huitong.base.clock import now
from huitong.base.settings import load
from huitong.store.store import Store

log.configure("text", "error")
store = Store(load(dict(zip(sys.argv[1::2], sys.argv[2::2])), {}).settings)
print("open", flush=True)
sys.stdin.readline()
head = Heads(store, now).make()
print(head.size, head.root.hex(), flush=True)
store.close()
"""


def _making(folder: Path) -> subprocess.Popen[str]:
    flags = {"data": str(folder), "demo": "yes", **settings_of(folder)}
    command = [sys.executable, "-c", _MAKING, *(part for pair in flags.items() for part in pair)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_of_two_processes_one_makes_the_head_and_both_have_it(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        write_lines(archive, 3000)
        root = root_of(leaves(archive)).hex()
        both = [_making(tmp_path) for _ in range(2)]
        for each in both:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        assert {each.communicate(timeout=60)[0] for each in both} == {f"3000 {root}\n"}
        assert len(archive.access.heads.newest(9)) == 1


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.06, 0.1])
def test_a_process_that_is_killed_leaves_a_whole_head_or_none(tmp_path: Path, after_s: float) -> None:
    with archive_in(tmp_path) as archive:
        write_lines(archive, 700)
        archive.access.heads.make()
        _multiply(archive, 700, 12_000)
        process = _making(tmp_path)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(after_s)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        sizes = [each.size for each in archive.access.heads.newest(9)]
        assert sizes in ([700], [12_700, 700])
        assert len(archive.access.heads.nodes()[1]) == sizes[0] >> 8
        made = archive.access.heads.make()
        assert made is not None
        assert (made.size, made.root) == (12_700, root_of(leaves(archive)))


def _multiply(archive: TestArchive, last: int, count: int) -> None:
    """Lines as the last one, with hashes of their own: what a head reads."""
    columns = ", ".join((*COLUMNS, "account", "asker_institution"))
    with archive.store.database.writing() as session:
        sql = f"INSERT INTO audit (seq, hash, {columns}) SELECT :seq, :hash, {columns} FROM audit WHERE seq = :last"
        rows = [{"seq": last + n, "hash": n.to_bytes(32), "last": last} for n in range(1, count + 1)]
        session.run_many(sql, rows)
