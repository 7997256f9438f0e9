"""`huitong account`: made, shown, reset and disabled on a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.archives import archive_in
from tests.people.cards.patients import register
from tests.serving import huitong

from huitong.access.model import Kind
from huitong.base.errors import NotSignedIn


def test_an_account_is_made_listed_reset_and_disabled(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path), "--demo")
    made = huitong("account", "add", "zhang", "--role", "doctor", "--institution", "TAIYUAN", *data)
    assert made.returncode == 0, made.stderr
    listed = huitong("account", "list", *data).stdout
    assert "zhang" in listed
    assert made.stdout.strip() not in listed
    again = huitong("account", "reset", "zhang", *data)
    assert again.returncode == 0, again.stderr
    with archive_in(tmp_path) as archive:
        accounts = archive.access.accounts
        assert accounts.sign_in("zhang", again.stdout.strip(), "127.0.0.1").session.account.institution == "TAIYUAN"
        with pytest.raises(NotSignedIn):
            accounts.sign_in("zhang", made.stdout.strip(), "127.0.0.1")
    assert huitong("account", "disable", "zhang", *data).returncode == 0
    with archive_in(tmp_path) as archive, pytest.raises(NotSignedIn):
        archive.access.accounts.sign_in("zhang", again.stdout.strip(), "127.0.0.1")
    for wrong in (
        ("add", "li", "--role", "doctor", "--institution", "NOWHERE"),
        ("disable", "nobody"),
        ("add", "li"),
        ("add", "li", "--person", "HT12345678901234567"),
    ):
        assert huitong("account", *wrong, *data).returncode == 2


def test_an_account_of_a_resident_is_of_a_person_that_there_is(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        person = register(archive, "P1", "王晓兰")
    written = f"{person[:6].lower()} {person[6:]}"  # as it is read out
    made = huitong("account", "add", "wang", "--person", written, "--data", str(tmp_path), "--demo")
    assert made.returncode == 0, made.stderr
    with archive_in(tmp_path) as archive:
        account = archive.access.accounts.sign_in("wang", made.stdout.strip(), "127.0.0.1").session.account
        assert (account.kind, account.person) == (Kind.PERSON, person)
