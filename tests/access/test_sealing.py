"""Secrets of authenticators: unreadable in the database, bound to their account, and the old plain ones go on."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyotp
import pytest
from sqlalchemy import select, update
from tests.archives import PASSWORD, TestArchive, archive_in

from huitong.access.accounts import sealing
from huitong.access.accounts.model import Stage
from huitong.access.accounts.sealing import KEY_FILE, Sealing
from huitong.access.accounts.tables import ACCOUNT, SESSION
from huitong.access.model import Role
from huitong.base.clock import now
from huitong.base.errors import SettingsError
from huitong.store.secret_files import make_secret

HERE = "127.0.0.1"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data", totp_roles="admin") as opened:
        opened.access.accounts.add(opened.access.local(), "zhao", PASSWORD, roles=frozenset({Role.ADMIN}), known=False)
        yield opened


def kept(archive: TestArchive) -> tuple[str, list[str]]:
    with archive.store.database.read() as tx:
        account = tx.execute(select(ACCOUNT.c.totp_secret)).scalar_one()
        return account, list(tx.execute(select(SESSION.c.totp_secret)).scalars())


def forget_step(archive: TestArchive, **values: str) -> None:
    with archive.store.database.write() as tx:
        tx.execute(update(ACCOUNT).values(totp_step=0, **values))


def test_a_secret_is_nowhere_in_the_database_and_its_codes_are_taken(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    first = accounts.sign_in("zhao", PASSWORD, HERE)
    key = first.session.enrolling
    assert accounts.waiting(first.secret).enrolling == key
    assert key not in repr(kept(archive))
    assert accounts.give_code(first.secret, pyotp.TOTP(key).now(), HERE).session.stage is Stage.FULL
    account, _ = kept(archive)
    assert account
    assert key not in account
    forget_step(archive)
    second = accounts.sign_in("zhao", PASSWORD, HERE)
    assert accounts.give_code(second.secret, pyotp.TOTP(key).now(), HERE).session.stage is Stage.FULL
    assert kept(archive)[0] == account
    file = archive.store.layout.root / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_plain_one_from_before_is_taken_and_written_anew(archive: TestArchive) -> None:
    accounts = archive.access.accounts
    forget_step(archive, totp_secret=SECRET)
    first = accounts.sign_in("zhao", PASSWORD, HERE)
    assert first.session.stage is Stage.CODE
    assert accounts.give_code(first.secret, pyotp.TOTP(SECRET).at(now()), HERE)
    account, _ = kept(archive)
    assert SECRET not in account
    assert sealing.sealing(archive.store).open(account, "zhao") == SECRET


def test_what_is_sealed_is_of_one_account_and_one_key() -> None:
    one, other = Sealing(bytes(32)), Sealing(bytes(31) + b"\1")
    said = one.seal(SECRET, "zhao")
    assert one.seal(SECRET, "zhao") != said
    assert one.open(said, "zhao") == SECRET
    assert one.seal("", "zhao") == ""
    for who, name, text in ((other, "zhao", said), (one, "li", said), (one, "zhao", said[:-6] + "AAAAA=")):
        with pytest.raises(SettingsError):
            who.open(text, name)


def test_a_key_is_made_once_whoever_comes_first(tmp_path: Path) -> None:
    file = tmp_path / KEY_FILE
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: make_secret(file, f"{n:064x}".encode()), range(16)))
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]
    assert len(sealing._read(file)) == 32


@pytest.mark.parametrize(("content", "mode"), [("ab" * 31, 0o600), ("no key", 0o600), ("ab" * 32, 0o644), (None, 0)])
def test_a_key_that_is_none_is_said_at_the_start(tmp_path: Path, content: str | None, mode: int) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(SettingsError), archive_in(tmp_path / "data", account_key=file):
        pass


def test_processes_with_one_key_take_each_others_authenticators(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("ab" * 32 + "\n")
    file.chmod(0o640)
    with archive_in(tmp_path / "data", account_key=file) as archive:
        said = sealing.sealing(archive.store).seal(SECRET, "zhao")
        assert not (archive.store.layout.root / KEY_FILE).exists()
    assert Sealing(bytes.fromhex("ab" * 32)).open(said, "zhao") == SECRET
