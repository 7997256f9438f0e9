"""Who may send and read: each door, both sides."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.archives import settings_for

from huitong.access.actions import Access
from huitong.access.model import Kind
from huitong.base.errors import NotAllowed, NotSignedIn, SettingsError
from huitong.directory.actions import read_directory
from huitong.store.store import Store


@pytest.fixture
def access(tmp_path: Path) -> Iterator[Access]:
    store = Store(settings_for(tmp_path, readers=(ip_network("10.1.0.0/16"),)))
    yield Access(store, read_directory(None, demo=True))
    store.close()


def test_an_institution_is_known_by_ae_title_and_address(access: Access) -> None:
    work = access.by_ae("TAIYUAN", "127.0.0.1")
    assert (work.institution, work.may_send, work.door) == ("TAIYUAN", True, "dimse")
    for ae, host in (("TAIYUAN", "10.1.2.3"), ("SOMEONE", "127.0.0.1"), ("taiyuan", "127.0.0.1"), ("TAIYUAN", "x")):
        with pytest.raises(NotAllowed):
            access.by_ae(ae, host)


def test_an_institution_is_known_by_its_token(access: Access) -> None:
    assert access.by_token("Bearer demo-YUNCHENG", "127.0.0.1").institution == "YUNCHENG"
    assert access.by_token("bearer  demo-YUNCHENG ", "::1").institution == "YUNCHENG"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic demo-TAIYUAN", "demo-TAIYUAN"])
def test_without_a_token_nobody_is_signed_in(access: Access, header: str | None) -> None:
    with pytest.raises(NotSignedIn):
        access.by_token(header, "127.0.0.1")


def test_a_wrong_token_or_one_from_elsewhere_is_refused(access: Access) -> None:
    for header, host in (("Bearer nonsense", "127.0.0.1"), ("Bearer demo-TAIYUAN", "10.1.2.3")):
        with pytest.raises(NotAllowed):
            access.by_token(header, host)


def test_reading_goes_by_address_or_token(access: Access) -> None:
    assert not access.reader(None, "10.1.2.3").may_send
    assert access.reader("Bearer demo-TAIYUAN", "127.0.0.1").institution == "TAIYUAN"
    with pytest.raises(NotSignedIn):
        access.reader(None, "127.0.0.1")
    with pytest.raises(NotAllowed):
        access.reader("Bearer nonsense", "10.1.2.3")


def test_without_the_demo_nobody_is_known() -> None:
    directory = read_directory(None, demo=False)
    assert directory.all() == []
    assert directory.by_ae("TAIYUAN", "127.0.0.1") is None
    assert directory.by_token("demo-TAIYUAN", "127.0.0.1") is None


def test_institutions_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "institutions.toml"
    file.write_text(
        '[[institution]]\ncode = "DATONG"\nname = "大同市人民医院"\nae_titles = ["CT1", "PACS"]\n'
        'networks = ["192.168.7.0/24"]\n',
        "utf-8",
    )
    directory = read_directory(file, demo=True)
    assert [each.code for each in directory.all()] == ["TAIYUAN", "YUNCHENG", "DATONG"]
    assert directory.by_ae("CT1", "192.168.7.9") is directory.get("DATONG")
    assert directory.by_ae("CT1", "192.168.8.9") is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[institution]]\ncode = "a b"', "code"),
        ('[[institution]]\ncode = "A"\nnetworks = ["10.0.0.0/99"]', "10.0.0.0/99"),
        ('[[institution]]\ncode = "A"\ntoken_sha256 = ["secret"]', "SHA-256"),
        ('[[institution]]\ncode = "A"\nae_title = "X"', "unknown ae_title"),
        ('[[institution]]\ncode = "A"\n[[institution]]\ncode = "A"', "twice"),
        ("[[institution", "institutions.toml"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "institutions.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=complaint):
        read_directory(file, demo=False)


def test_a_session_that_ended_opens_nothing_even_from_an_address_that_may_read(access: Access) -> None:
    assert access.reader(None, "10.1.2.3").asker.kind is Kind.OPEN
    with pytest.raises(NotSignedIn):
        access.reader(None, "10.1.2.3", cookie="ended")
    with pytest.raises(NotSignedIn):
        access.registrar("127.0.0.1", cookie="ended")
