"""What the institutions' file may say, and how each mistake in it is named before the service starts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from huitong.base.errors import SettingsError
from huitong.directory.actions import Directory, read_directory

TOKEN = hashlib.sha256(b"secret").hexdigest()


def read(folder: Path, text: str, *, demo: bool = False) -> Directory:
    file = folder / "institutions.toml"
    file.write_text(text, "utf-8")
    return read_directory(file, demo=demo)


def two(first: str, second: str) -> str:
    return f'[[institution]]\ncode = "A"\n{first}\n[[institution]]\ncode = "B"\n{second}\n'


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('ae_titles = "CT1"', "ae_titles must be a list of texts"),
        ("ae_titles = [1]", "ae_titles must be a list of texts"),
        ('networks = "10.0.0.0/8"', "networks must be a list of texts"),
        ("networks = [10]", "networks must be a list of texts"),
        ("token_sha256 = 5", "token_sha256 must be a list of texts"),
        (f'token_sha256 = "{TOKEN}"', "token_sha256 must be a list of texts"),
        ("name = 7", "name must be a text"),
        ('name_en = ["x"]', "name_en must be a text"),
        ('ae_titles = ["SEVENTEEN_LETTERS"]', "SEVENTEEN_LETTERS"),
        ('ae_titles = [""]', "AE title ''"),
        ('ae_titles = [" CT1"]', "AE title ' CT1'"),
        ("ae_titles = ['A\\B']", "AE title"),
        ('ae_titles = ["太原"]', "AE title '太原'"),
        ('ae_titles = ["CT1\\n"]', "AE title"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_institution(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match="institution 1") as told:
        read(tmp_path, f'[[institution]]\ncode = "A"\n{line}\n')
    assert complaint in str(told.value)


@pytest.mark.parametrize(
    "text", ['[[institutions]]\ncode = "A"', '[institution]\ncode = "A"', "institution = [1]", 'code = "A"']
)
def test_a_file_of_another_shape_says_how_an_institution_begins(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"begins with \[\[institution\]\]"):
        read(tmp_path, text)


def test_one_token_for_two_institutions_is_refused_however_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="A and B have one token"):
        read(tmp_path, two(f'token_sha256 = ["{TOKEN}"]', f'token_sha256 = ["{TOKEN.upper()}"]'))


@pytest.mark.parametrize("network", ["10.1.0.0/16", "10.1.2.0/24", "0.0.0.0/0"])
def test_one_ae_title_from_overlapping_networks_is_refused(tmp_path: Path, network: str) -> None:
    with pytest.raises(SettingsError, match=r"A and B both call as CT1 from 10\.1\.0\.0/16"):
        read(tmp_path, two(*(f'ae_titles = ["CT1"]\nnetworks = ["{n}"]' for n in ("10.1.0.0/16", network))))


def test_an_institution_of_the_file_may_not_call_as_one_of_the_demo(tmp_path: Path) -> None:
    text = '[[institution]]\ncode = "A"\nae_titles = ["TAIYUAN"]\nnetworks = ["127.0.0.1"]\n'
    assert read(tmp_path, text).by_ae("TAIYUAN", "127.0.0.1") is not None
    with pytest.raises(SettingsError, match="TAIYUAN and A both call as TAIYUAN"):
        read(tmp_path, text, demo=True)


def test_one_ae_title_from_networks_apart_belongs_to_each(tmp_path: Path) -> None:
    networks = ('["10.1.0.0/16", "2001:db8:1::/48"]', '["10.2.0.0/16", "2001:db8:2::/48"]')
    directory = read(tmp_path, two(*(f'ae_titles = ["CT1", "A B"]\nnetworks = {n}' for n in networks)))
    for host, code in (("10.1.0.1", "A"), ("10.2.0.1", "B"), ("2001:db8:1::1", "A"), ("2001:db8:2::1", "B")):
        for ae in ("CT1", "A B"):
            found = directory.by_ae(ae, host)
            assert found is not None
            assert found.code == code


def test_a_sender_of_messages_is_known_by_the_code_of_its_institution_and_its_address() -> None:
    directory = read_directory(None, demo=True)
    for facility in ("TAIYUAN", "taiyuan ", "YUNCHENG"):
        found = directory.by_hl7("HIS", facility, "127.0.0.1")
        assert found is not None
        assert found.code == facility.strip().upper()
    assert directory.by_hl7("HIS", "TAIYUAN", "10.0.0.1") is None
    assert directory.by_hl7("TAIYUAN", "ELSEWHERE", "127.0.0.1") is None
    assert [directory.knows(host) for host in ("127.0.0.1", "::1", "10.0.0.1", "x")] == [True, True, False, False]
