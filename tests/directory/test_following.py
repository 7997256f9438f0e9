"""What changes in the database or in the operator's file is known to every process, and to doors at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in, settings_for

from huitong.app.archive import load_directory, open_now
from huitong.base.errors import NotAllowed
from huitong.directory import actions
from huitong.directory.following import Follower
from huitong.directory.model import Caller
from huitong.directory.recognising import Directory

DIGEST = hashlib.sha256(b"secret").hexdigest()
INSTITUTIONS = "code,name,level\nA,甲医院,三甲\nTAIYUAN,太原市中心医院,三甲\n"
ENDPOINTS = (
    "institution,code,kind,ae_title,networks,token_sha256,hl7_application,hl7_facility,active\n"
    f"A,PACS,dimse,A_CT,10.1.0.0/16,{DIGEST},,,{{active}}\nA,HIS,hl7,,10.1.0.0/16,,HIS,A,{{active}}\n"
    "A,LIS,hl7,,10.1.0.0/16,,LIS,,{active}\n"
)


def load(archive: TestArchive, text: str) -> None:
    assert not actions.load(archive.access.local(), "f.csv", text.encode()).refused


def refreshed(archive: TestArchive) -> Directory:
    directory = Directory([])
    follower = Follower(archive.store, directory)
    assert follower.refresh()
    assert not follower.refresh()
    return directory


def test_an_institution_calls_by_what_its_endpoints_say(tmp_path: Path) -> None:
    with archive_in(tmp_path / "data") as archive:
        load(archive, INSTITUTIONS)
        load(archive, ENDPOINTS.format(active="1"))
        known = refreshed(archive)
        found = [
            known.by_ae("A_CT", "10.1.2.3"),
            known.by_token("secret", "10.1.2.3"),
            known.by_hl7("HIS", "A", "10.1.2.3"),
            known.by_hl7("LIS", "anything", "10.1.2.3"),
        ]
        assert [each.code if each else None for each in found] == ["A"] * 4
        strangers = [
            known.by_ae("A_CT", "10.2.2.3"),
            known.by_token("secret", "10.2.2.3"),
            known.by_token("other", "10.1.2.3"),
            known.by_hl7("HIS", "B", "10.1.2.3"),
            known.by_hl7("", "", "10.1.2.3"),
            known.by_hl7("HIS", "A", "no address"),
        ]
        assert strangers == [None] * 6


def test_what_is_no_longer_active_is_no_longer_known(tmp_path: Path) -> None:
    with archive_in(tmp_path / "data") as archive:
        load(archive, INSTITUTIONS)
        load(archive, ENDPOINTS.format(active="1"))
        load(archive, ENDPOINTS.format(active="停用"))
        assert refreshed(archive).by_ae("A_CT", "10.1.2.3") is None
        load(archive, "code,name,active\nA,甲医院,否\n")
        assert refreshed(archive).get("A") is None


def test_an_institution_of_the_operator_s_is_described_by_the_database(tmp_path: Path) -> None:
    with archive_in(tmp_path / "data") as archive:
        load(archive, INSTITUTIONS)
        known = refreshed(archive)
        found = known.by_token("demo-TAIYUAN", "127.0.0.1")
        assert found is not None
        assert (found.level, found.ae_titles) == ("3A", frozenset({"TAIYUAN"}))
        assert [each.code for each in known.all()] == ["TAIYUAN", "YUNCHENG", "A"]


def test_a_caller_of_nobody_is_nobody() -> None:
    assert Directory([], [Caller("GONE", (), frozenset({"AE"}))]).by_ae("AE", "10.1.2.3") is None


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, "it was not noticed"
        time.sleep(0.05)


def test_a_process_knows_what_another_loads_without_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    served = open_now(settings)
    try:
        with pytest.raises(NotAllowed):
            served.access.by_ae("A_CT", "10.1.2.3")
        load_directory(settings, "i.csv", INSTITUTIONS.encode(), None, dry_run=False)
        load_directory(settings, "e.csv", ENDPOINTS.format(active="1").encode(), None, dry_run=False)
        until(lambda: served.access.directory.by_ae("A_CT", "10.1.2.3") is not None)
        assert served.access.by_ae("A_CT", "10.1.2.3").institution == "A"
    finally:
        served.store.close()


def test_the_operator_s_file_is_read_again_and_a_broken_one_is_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "institutions.toml"
    file.write_text('[[institution]]\ncode = "ONE"\n', "utf-8")
    served = open_now(settings_for(tmp_path / "data", institutions=file))
    try:
        assert served.access.directory.get("ONE") is not None
        new = tmp_path / "new.toml"
        new.write_text('[[institution]]\ncode = "TWO"\n', "utf-8")
        new.replace(file)
        until(lambda: served.access.directory.get("TWO") is not None)
        file.write_text("[[institution]\n", "utf-8")
        time.sleep(2.5)
        assert served.access.directory.get("TWO") is not None
    finally:
        served.store.close()
