"""Heads over HTTP: for anybody, without anybody's data, and enough to see that a newer one goes on from an older."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.access.test_heads import write_lines
from tests.archives import TestArchive, archive_in
from tests.askers import KnowingAccess
from tests.web.browsing import Browser

from huitong.access.merkle import continues
from huitong.app.asgi import application
from huitong.base.clock import milliseconds, now
from huitong.directory.actions import read_directory
from huitong.wire.checkpoint import Checkpoint, VerifierKey, is_signed_by, read_note


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path, audit_origin="exchange.example/audit") as opened:
        opened.access = KnowingAccess(opened.store, read_directory(None, demo=True))
        yield opened


@pytest.fixture
def stranger(archive: TestArchive) -> Browser:
    """Nobody has signed in."""
    return Browser(application(archive.store, archive.access, lambda: 0))


def test_whoever_kept_an_old_head_sees_that_the_new_one_goes_on_from_it(
    archive: TestArchive, stranger: Browser
) -> None:
    write_lines(archive, 300)
    archive.access.heads.make()
    kept = stranger.get("/audit/heads/latest")
    assert kept.headers["content-type"].startswith("text/plain")
    write_lines(archive, 45)
    archive.access.heads.make()
    newer = stranger.get("/audit/heads/latest").text
    old, new = (Checkpoint.read(read_note(each).text) for each in (kept.text, newer))
    assert (old.origin, old.size, new.size) == ("exchange.example/audit", 300, 345)
    said = stranger.get(f"/audit/consistency?first={old.size}&second={new.size}").json()
    proof = [base64.b64decode(each) for each in said["consistency"]]
    assert continues(old.size, old.root, new.size, new.root, proof)
    assert stranger.get("/audit/heads/300").text == kept.text
    key = VerifierKey.read(stranger.get("/audit/heads").json()["key"])
    assert is_signed_by(read_note(newer), [key]) is True


def test_heads_are_listed_newest_first_with_time_and_root_and_paged(archive: TestArchive, stranger: Browser) -> None:
    assert stranger.get("/audit/heads").json()["heads"] == []
    before_ms = milliseconds(now())
    for _ in range(103):
        write_lines(archive, 1)
        archive.access.heads.make()
    listed = stranger.get("/audit/heads").json()
    assert [each["size"] for each in listed["heads"]] == list(range(103, 3, -1))
    first = listed["heads"][0]
    head = archive.access.heads.newest()[0]
    assert base64.b64decode(first["root"]) == head.root
    assert (first["signed"], first["note"]) == (True, head.note)
    assert head.at_ms >= before_ms
    assert first["at"].endswith("Z")
    rest = stranger.get(listed["next"]).json()
    assert [each["size"] for each in rest["heads"]] == [3, 2, 1]
    assert "next" not in rest


def test_nothing_of_a_person_or_an_asker_is_in_what_is_published(archive: TestArchive, stranger: Browser) -> None:
    write_lines(archive, 5)
    archive.access.heads.make()
    texts = [
        stranger.get(path).text for path in ("/audit/heads", "/audit/heads/5", "/audit/consistency?first=3&second=5")
    ]
    for secret in ("HT1", "1.1", "李", "TAIYUAN", "10.1.2.3", "imaging.see"):
        assert all(secret not in each for each in texts)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/audit/heads/latest", 404), ("/audit/heads/1", 404), (f"/audit/heads/{10**30}", 404),
        ("/audit/heads?before=x", 400), ("/audit/heads?before=-1", 400), (f"/audit/heads?before={10**30}", 400),
        ("/audit/consistency", 400), ("/audit/consistency?first=1&second=%E4%B8%80", 400),
        ("/audit/consistency?first=1&second=2", 404), ("/audit/consistency?first=0&second=0", 404),
    ],
)  # fmt: skip
def test_what_there_is_not_is_said(stranger: Browser, path: str, status: int) -> None:
    assert stranger.get(path, headers={"accept": "*/*"}).status_code == status


def test_a_proof_of_subtrees_that_were_removed_is_a_fault_of_ours(archive: TestArchive, stranger: Browser) -> None:
    write_lines(archive, 300)
    archive.access.heads.make()
    with archive.store.database.write() as tx:
        tx.execute(text("DELETE FROM audit_node"))
    answer = stranger.get("/audit/consistency?first=290&second=300", headers={"accept": "*/*"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["type"].endswith("audit-damaged")
