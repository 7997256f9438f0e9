"""Verify sees every kind of harm, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.imaging import actions


def test_a_sound_archive_is_clean_also_while_it_is_written(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(*(part10() for _ in range(5)))
        archive.settle()
        told: list[tuple[int, int]] = []
        report = actions.verify(archive.store, lambda done, total: told.append((done, total)))
        assert report.clean
        assert report.records == 5
        assert told[-1] == (report.bytes, report.bytes)


def test_what_arrives_while_verify_reads_is_left_to_the_next_time(tmp_path: Path) -> None:
    with archive_in(tmp_path, spool_bytes=4096) as archive:
        archive.keep_now(part10())
        arriving = iter([part10(), part10(PixelData=bytes(20_000), Rows=100, Columns=100)])

        def more(_done: int, _total: int) -> None:
            if (data := next(arriving, None)) is not None:
                archive.keep_now(data)

        more(0, 0)
        report = actions.verify(archive.store, more)
        assert report.clean, report.problems


_EMPTIED = "UPDATE pack SET emptied_at_ms = 1 WHERE name = '209901/gone.pack'"
_DELETED = "DELETE FROM pack WHERE name = '209901/gone.pack'"


@pytest.mark.parametrize(("then", "clean"), [(_EMPTIED, True), (_DELETED, True), ("SELECT 1", False)])
def test_a_blob_that_is_gone_is_damage_only_where_something_is_to_be_in_it(
    tmp_path: Path, then: str, clean: bool
) -> None:
    """What a merge has emptied is deleted by servers while `verify` reads."""
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        sql("INSERT INTO pack (name, indexed_bytes, sealed) VALUES ('209901/gone.pack', 9000, 1)")(archive, tmp_path)
        report = actions.verify(archive.store, lambda _done, _all: sql(then)(archive, tmp_path))
        assert report.clean == clean, report.problems


def test_a_blob_that_another_process_deletes_meanwhile_stops_no_verifying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        homes.list_a_gone_blob(archive.store.blobs, monkeypatch)
        assert actions.verify(archive.store).clean


Harm = Callable[[TestArchive, Path], None]


def change(how: Callable[[bytes], bytes]) -> Harm:
    """Of the first blob."""
    return lambda _, folder: homes.change_blob(folder, min(homes.blob_sizes(folder)), how)


def flip(offset: int) -> Harm:
    return change(homes.flipped(offset))


def sql(statement: str) -> Harm:
    def harm(archive: TestArchive, _folder: Path) -> None:
        with archive.store.database.write() as tx:
            tx.execute(text(statement), {"zeros": bytes(32)} if ":zeros" in statement else {})

    return harm


def remove(_archive: TestArchive, folder: Path) -> None:
    homes.lose_blobs(folder, min(homes.blob_sizes(folder)))


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        pytest.param(flip(3), "damaged", id="magic of the first"),
        pytest.param(flip(40), "damaged", id="record head"),
        pytest.param(flip(135), "damaged", id="envelope"),
        pytest.param(flip(500), "damaged", id="file meta"),
        pytest.param(flip(900), "damaged", id="data set"),
        pytest.param(flip(-12), "damaged", id="kept header"),
        pytest.param(change(lambda data: data[:-500]), "damaged", id="pack cut short"),
        pytest.param(remove, "damaged", id="pack gone"),
        pytest.param(sql("DELETE FROM instance WHERE pk = 1"), "unindexed", id="row gone"),
        pytest.param(sql("UPDATE instance SET record_at = record_at + 8 WHERE pk = 1"), "missing", id="row moved"),
        pytest.param(sql("UPDATE instance SET sha256 = :zeros WHERE pk = 1"), "missing", id="row's digest"),
        pytest.param(sql("UPDATE ledger SET body = '{}'"), "ledger_breaks", id="ledger line"),
    ],
)
def test_harm_is_found(tmp_path: Path, harm: Harm, kind: str) -> None:
    with archive_in(tmp_path) as archive:
        archive.keep_now(part10())
        archive.keep_now(part10())
        archive.settle()
    with archive_in(tmp_path) as archive:
        harm(archive, tmp_path)
    # Opened without the recovery that a server does first.
    with archive_in(tmp_path, alone=True) as archive:
        report = actions.verify(archive.store)
        assert not report.clean
        assert getattr(report, kind), report
