"""Keeping: identity, variants, groups with bad members, what is durable when the receipt is given."""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from tests import homes
from tests.archives import TestArchive, archive_in
from tests.objects import CT, dataset, part10

from huitong.base.errors import (
    IdentityMismatch,
    MissingIdentity,
    NotAllowed,
    NotDicom,
    StoreDamaged,
    StoreFull,
    StoreUnavailable,
)
from huitong.imaging import actions, records
from huitong.imaging.keeping import Keeper
from huitong.imaging.model import Expected, Kept, Outcome
from huitong.wire.query import Condition, Level, Match

IMPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"


def outcomes(receipts: list[Kept | BaseException]) -> list[Outcome | type[BaseException]]:
    return [r.outcome if isinstance(r, Kept) else type(r) for r in receipts]


def test_the_bytes_come_back_as_they_were_sent(tmp_path: Path) -> None:
    data = part10()
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(data)
        assert isinstance(kept, Kept)
        stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        assert actions.open_slice(archive.reader, stored).read() == data


def test_the_same_bytes_twice_are_kept_once_also_within_one_group(tmp_path: Path) -> None:
    data = part10()
    with archive_in(tmp_path) as archive:
        assert sorted(o.name for o in outcomes(archive.keep_now(data, data, data))) == ["ALREADY", "ALREADY", "KEPT"]
        assert outcomes(archive.keep_now(data)) == [Outcome.ALREADY]
        assert archive.rows()[0].instance_count == 1


def test_other_bytes_under_the_same_uids_are_kept_beside_the_first_and_flagged(tmp_path: Path) -> None:
    ds = dataset()
    first = part10(ds)
    ds.PixelData = bytes(32)
    second = part10(ds)
    with archive_in(tmp_path) as archive:
        (one,) = archive.keep_now(first)
        (two,) = archive.keep_now(second)
        assert isinstance(one, Kept)
        assert isinstance(two, Kept)
        assert two.outcome is Outcome.VARIANT
        place = (one.study_uid, one.series_uid, one.sop_instance_uid)
        assert actions.open_slice(archive.reader, actions.locate(archive.reader, *place)).read() == first
        (variant,) = actions.variants(archive.reader, one.study_uid)
        assert actions.open_slice(archive.reader, variant).read() == second
        again = actions.locate_variant(archive.reader, one.study_uid, one.sop_instance_uid, two.sha256)
        assert again == variant
        assert archive.rows()[0].flags == ("variant",)
        assert archive.rows()[0].instance_count == 1


def test_two_institutions_with_the_same_uids_have_two_studies_and_the_first_is_shown(tmp_path: Path) -> None:
    ds = dataset()
    ours = part10(ds)
    ds.PatientName = "Li^Si"
    theirs = part10(ds)
    with archive_in(tmp_path) as archive:
        (a,) = archive.keep_now(ours)
        (b,) = archive.keep_now(theirs, institution="YUNCHENG")
        assert isinstance(a, Kept)
        assert isinstance(b, Kept)
        assert (a.outcome, b.outcome) == (Outcome.KEPT, Outcome.KEPT)
        place = (a.study_uid, a.series_uid, a.sop_instance_uid)
        assert actions.locate(archive.reader, *place).institution == "TAIYUAN"
        assert actions.locate(archive.reader, *place, "YUNCHENG").institution == "YUNCHENG"
        assert len(archive.find().rows) == 1
        assert {(r.institution, r.flags) for r in archive.rows()} == {
            ("TAIYUAN", ("uid-elsewhere",)),
            ("YUNCHENG", ("uid-elsewhere",)),
        }


def test_another_patient_in_the_same_study_is_flagged(tmp_path: Path) -> None:
    ds = dataset()
    one = part10(ds)
    ds.SOPInstanceUID = generate_uid()
    ds.PatientID = "P0002"
    with archive_in(tmp_path) as archive:
        archive.keep_now(one, part10(ds))
        assert archive.rows()[0].flags == ("other-patient",)


def test_a_bad_object_does_not_cost_the_good_ones_of_its_group(tmp_path: Path) -> None:
    objects = [part10(), b"no dicom at all", part10(StudyInstanceUID=None), part10()]
    with archive_in(tmp_path) as archive:
        assert outcomes(archive.keep_now(*objects)) == [Outcome.KEPT, NotDicom, MissingIdentity, Outcome.KEPT]
        assert len(archive.rows()) == 2
        assert list(archive.store.layout.spool.iterdir()) == []


@pytest.mark.parametrize("size", [100, 100_000], ids=["in memory", "spooled"])
def test_a_bare_data_set_gets_file_meta_and_one_identity_with_the_file(tmp_path: Path, size: int) -> None:
    ds = dataset(Rows=size // 2, Columns=1, PixelData=bytes(size))
    file = part10(ds)
    bare = file[file.index(b"\x08\x00\x05\x00CS") :]
    expected = Expected(CT, ds.SOPInstanceUID, "1.2.840.10008.1.2.1", "SCANNER1")
    with archive_in(tmp_path, spool_bytes=50_000) as archive:
        kept = asyncio.run(archive.keep(bare, expected=expected))
        stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        data = actions.open_slice(archive.reader, stored).read()
        assert data[128:132] == b"DICM"
        assert data.endswith(bare)
        assert b"SCANNER1" in data[: -len(bare)]
        assert actions.read_frame(archive.reader, stored, 1) == bytes(size)
        assert outcomes(archive.keep_now(file)) == [Outcome.ALREADY]


def test_frames_of_a_deflated_data_set_are_counted_without_the_file_meta_before_it(tmp_path: Path) -> None:
    frames = [bytes([n]) * 32 for n in (1, 2, 3)]
    file = part10(ds := dataset(NumberOfFrames=3, PixelData=b"".join(frames)))
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = stream.compress(file[file.index(b"\x08\x00\x05\x00CS") :]) + stream.flush()
    expected = Expected(CT, ds.SOPInstanceUID, DEFLATED, "SCANNER1")
    with archive_in(tmp_path) as archive:
        kept = asyncio.run(archive.keep(deflated, expected=expected))
        stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        assert [actions.read_frame(archive.reader, stored, number) for number in (1, 2, 3)] == frames


def test_an_object_that_is_not_the_announced_one_is_refused(tmp_path: Path) -> None:
    ds = dataset()
    file = part10(ds)
    bare = file[file.index(b"\x08\x00\x05\x00CS") :]
    with archive_in(tmp_path) as archive:
        for expected in (
            Expected(CT, "1.2.3", "1.2.840.10008.1.2.1", ""),
            Expected("1.2.3", ds.SOPInstanceUID, "1.2.840.10008.1.2.1", ""),
        ):
            with pytest.raises(IdentityMismatch):
                asyncio.run(archive.keep(bare, expected=expected))
        assert archive.rows() == []


def test_a_full_volume_refuses_and_recovers_by_itself(tmp_path: Path) -> None:
    data, large = part10(), part10(PixelData=bytes(20_000), Rows=100, Columns=100)
    with archive_in(tmp_path, keep_free_bytes=1 << 60, spool_bytes=5000) as archive:
        assert outcomes(archive.keep_now(large)) == [StoreFull]
        if homes.kind == homes.SCALED:  # only large ones need room here
            assert outcomes(archive.keep_now(part10())) == [Outcome.KEPT]
        else:
            assert outcomes(archive.keep_now(data, data)) == [StoreFull, StoreFull]
    with archive_in(tmp_path) as archive:
        assert outcomes(archive.keep_now(data)) == [Outcome.KEPT]
        assert actions.verify(archive.store).clean


def test_a_reader_may_not_send(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive, pytest.raises(NotAllowed):
        actions.new_intake(archive.reader)


@pytest.mark.parametrize("value", ["***", "2026-03-01", "20261399", "", "\x00"])
def test_odd_dates_are_kept_and_their_study_is_found(tmp_path: Path, value: str) -> None:
    data = part10(StudyDate="20260301").replace(b"20260301", value.encode().ljust(8)[:8])
    with archive_in(tmp_path) as archive:
        assert outcomes(archive.keep_now(data)) == [Outcome.KEPT]
        assert archive.names_found("*xiaodong*") == ["王小东"]


def test_many_at_once_are_all_kept_and_counted(tmp_path: Path) -> None:
    ds = dataset()
    objects = []
    for n in range(150):
        ds.SOPInstanceUID, ds.InstanceNumber = f"1.2.3.{n}", n
        objects.append(part10(ds))
    with archive_in(tmp_path, commit_batch=16) as archive:
        assert outcomes(archive.keep_now(*objects)) == [Outcome.KEPT] * 150
        assert archive.rows()[0].instance_count == 150
        rows = archive.find(Level.INSTANCE, study_uid=ds.StudyInstanceUID, limit=1000).rows
        assert [r["00200013"]["Value"][0] for r in rows] == list(range(150))  # type: ignore[index]


# --- two processes on one folder: two stores, each with its own connections and its own pack ---


def kept_by_both_at_once(folder: Path, a: TestArchive, b: TestArchive, of_a: Dataset, of_b: bytes) -> list[Outcome]:
    """Both have looked up and written their blobs before either may write the index."""
    with ThreadPoolExecutor(2) as threads:
        with a.store.database.write() as tx:
            a.store.database.lock(tx, [of_a.StudyInstanceUID])
            futures = [threads.submit(a.keep_now, part10(of_a)), threads.submit(b.keep_now, of_b)]
            wait_for(lambda: sum(size > 0 for size in homes.blob_sizes(folder).values()) == 2)
        return [kept.outcome for future in futures for kept in future.result(30) if isinstance(kept, Kept)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_of_two_contents_kept_at_once_by_two_processes_one_is_the_variant(tmp_path: Path) -> None:
    ds = dataset()
    other = part10(ds)
    ds.PixelData = bytes(32)
    with archive_in(tmp_path) as a, archive_in(tmp_path) as b:
        outcomes_ = kept_by_both_at_once(tmp_path, a, b, ds, other)
        assert sorted(o.name for o in outcomes_) == ["KEPT", "VARIANT"]
        assert (a.rows()[0].flags, a.rows()[0].instance_count) == (("variant",), 1)
        assert len(actions.locate_all(a.reader, ds.StudyInstanceUID)) == 1
        assert [v.variant for v in actions.variants(b.reader, ds.StudyInstanceUID)] == [1]


def test_one_content_kept_at_once_by_two_processes_is_kept_once_and_told_to_both(tmp_path: Path) -> None:
    ds = dataset()
    with archive_in(tmp_path) as a, archive_in(tmp_path) as b:
        assert sorted(o.name for o in kept_by_both_at_once(tmp_path, a, b, ds, part10(ds))) == ["ALREADY", "KEPT"]
        assert a.rows()[0].instance_count == 1
        report = actions.verify(a.store)
        assert (report.clean, report.spare) == (True, 1)
    with archive_in(tmp_path, alone=True) as again:
        assert actions.recover(again.store).spare == 0  # both packs are in the index to their ends


def test_modalities_that_another_process_wrote_stay(tmp_path: Path) -> None:
    study = generate_uid()
    with archive_in(tmp_path) as a, archive_in(tmp_path) as b:
        for archive, modality in ((a, "CT"), (b, "MR"), (a, "SR")):
            archive.keep_now(part10(StudyInstanceUID=study, Modality=modality))
        assert a.rows()[0].modalities == ("CT", "MR", "SR")


@pytest.mark.parametrize("lost", [False, True])
def test_what_another_process_put_into_a_series_begun_here_is_known_here(tmp_path: Path, lost: bool) -> None:
    ds = dataset()
    with archive_in(tmp_path) as a, archive_in(tmp_path) as b:
        a.keep_now(part10(ds))
        before = set(homes.blob_sizes(tmp_path))
        ds.SOPInstanceUID = generate_uid()
        b.keep_now(part10(ds))
        (of_b,) = set(homes.blob_sizes(tmp_path)) - before
        if lost:
            homes.lose_blobs(tmp_path, of_b)
        assert outcomes(a.keep_now(part10(ds))) == [Outcome.KEPT if lost else Outcome.ALREADY]
        ds.PixelData = bytes(32)
        assert outcomes(a.keep_now(part10(ds))) == [Outcome.VARIANT]
        assert (a.rows()[0].instance_count, a.rows()[0].flags) == (2, ("variant",))


# --- what was lost ---


def lose(folder: Path) -> None:
    homes.lose_blobs(folder)


def cut(folder: Path) -> None:
    """The last."""
    homes.change_blob(folder, max(homes.blob_sizes(folder)), lambda data: data[:-60])


@pytest.mark.parametrize("damage", [lose, cut])
def test_what_was_lost_is_kept_again_when_it_is_sent_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    ds = dataset()
    first = part10(ds)
    ds.PixelData = bytes(32)
    second = part10(ds)
    with archive_in(tmp_path) as archive:
        assert outcomes([*archive.keep_now(first), *archive.keep_now(second)]) == [Outcome.KEPT, Outcome.VARIANT]
        size = archive.rows()[0].size_bytes
    with archive_in(tmp_path):  # seals the pack
        pass
    damage(tmp_path)
    with archive_in(tmp_path) as archive:
        again = [*archive.keep_now(second), *archive.keep_now(first)]
        both = [Outcome.VARIANT, Outcome.KEPT]
        assert outcomes(again) == (both if damage is lose else [Outcome.VARIANT, Outcome.ALREADY])
        assert outcomes(archive.keep_now(first, second)) == [Outcome.ALREADY, Outcome.ALREADY]
        (stored,) = actions.locate_all(archive.reader, ds.StudyInstanceUID)
        (variant,) = actions.variants(archive.reader, ds.StudyInstanceUID)
        assert actions.open_slice(archive.reader, stored).read() == first
        assert actions.open_slice(archive.reader, variant).read() == second
        assert actions.header(archive.reader, variant)["00080018"]["Value"] == [ds.SOPInstanceUID]
        row = archive.rows()[0]
        assert (row.instance_count, row.size_bytes, row.flags) == (1, size, ("variant",))


def test_what_was_lost_makes_its_study_ready_again(tmp_path: Path) -> None:
    data = part10()
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(data)
        assert isinstance(kept, Kept)
    lose(tmp_path)
    with archive_in(tmp_path) as archive:
        (stored,) = actions.locate_all(archive.reader, kept.study_uid)
        with pytest.raises(StoreDamaged):
            actions.open_slice(archive.reader, stored).read()
        archive.keep_now(data)
        (stored,) = actions.locate_all(archive.reader, kept.study_uid)
        assert actions.open_slice(archive.reader, stored).read() == data
        archive.settle()
        assert actions.count_unsettled(archive.store) == 0


# --- one number, several places ---


def test_one_sop_instance_uid_in_two_series_of_a_study_is_flagged(tmp_path: Path) -> None:
    study, sop = generate_uid(), generate_uid()
    with archive_in(tmp_path) as archive:
        objects = [part10(StudyInstanceUID=study, SOPInstanceUID=sop) for _ in range(2)]
        assert outcomes(archive.keep_now(*objects)) == [Outcome.KEPT, Outcome.KEPT]
        assert archive.rows()[0].flags == ("variant",)


def test_one_sop_instance_uid_in_other_studies_is_not_flagged(tmp_path: Path) -> None:
    sop = generate_uid()
    with archive_in(tmp_path) as archive:
        archive.keep_now(*(part10(SOPInstanceUID=sop) for _ in range(150)))
        assert {row.flags for row in archive.rows(limit=200)} == {()}


@pytest.mark.embedded  # SQLite joins in the order written; PostgreSQL estimates by what is in the tables
def test_one_sop_instance_uid_in_other_studies_costs_no_look_up(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        with closing(archive.store.database.session()) as session:
            plan = session.rows(f"EXPLAIN QUERY PLAN {records._DIGESTS['sqlite']}", dict.fromkeys(_PLACE, ""))
        assert [("SEARCH" in row["detail"], "instance_by_uid" in row["detail"]) for row in plan] == [(True, False)] * 3


_PLACE = ("institution", "study_uid", "series_uid", "sop_uid")


# --- intakes are consumed, whatever happens ---


@pytest.mark.embedded  # the file is taken away; tests/system/test_faults.py takes PostgreSQL away
def test_a_database_that_cannot_be_opened_refuses_and_keeps_no_spool(tmp_path: Path) -> None:
    data = part10(PixelData=bytes(20_000), Rows=100, Columns=100)
    index, aside = tmp_path / "index.sqlite", tmp_path / "aside.sqlite"
    with archive_in(tmp_path, spool_bytes=5000) as archive:
        index.rename(aside)
        index.mkdir()
        assert outcomes(archive.keep_now(data, data)) == [StoreUnavailable, StoreUnavailable]
        assert list(archive.store.layout.spool.iterdir()) == []
        index.rmdir()
        aside.rename(index)
        assert outcomes(archive.keep_now(data)) == [Outcome.KEPT]


def test_a_keeper_that_has_closed_refuses_and_consumes(tmp_path: Path) -> None:
    async def late() -> None:
        intake = actions.new_intake(archive.sender())
        intake.write(part10(PixelData=bytes(20_000), Rows=100, Columns=100))
        keeper = Keeper(archive.store)
        keeper.close()
        with pytest.raises(StoreUnavailable):
            await keeper.keep(archive.sender(), intake, None)

    with archive_in(tmp_path, spool_bytes=5000) as archive:
        asyncio.run(late())
        assert list(archive.store.layout.spool.iterdir()) == []


def test_texts_far_longer_than_any_standard_allows_are_kept_found_and_block_nobody(tmp_path: Path) -> None:
    """PostgreSQL's indices take 2,700 bytes: without a bound the whole group would be refused."""
    chance = random.Random(7)
    long = "".join(chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(10_000))
    study, series = generate_uid(), [generate_uid() for _ in range(90)]
    hostile = dict.fromkeys(("PatientID", "AccessionNumber", "StudyID", "PatientSex", "Modality"), "Q" * 16)
    worst = part10(**hostile, PatientName="", StudyInstanceUID=study)
    for vr in (b"LO", b"SH", b"CS"):
        # Patched: pydicom would say for each what the standard allows.
        worst = worst.replace(vr + b"\x10\0" + b"Q" * 16, vr + len(long).to_bytes(2, "little") + long.encode())
    many = [part10(StudyInstanceUID="1.2.3", SeriesInstanceUID=uid, Modality=f"M{uid[-12:]}") for uid in series]
    with archive_in(tmp_path) as archive:
        kept = archive.keep_now(worst, part10(PatientID="GOOD"), *many)
        assert [each for each in kept if not isinstance(each, Kept)] == []
        found = archive.rows(Condition("00100020", Match.WILDCARD, (f"{long[:40]}*",)))
        assert [row.study_uid for row in found] == [study]
        header = actions.header(archive.reader, actions.locate_all(archive.reader, study)[0])
        assert all(header[tag]["Value"] == [long] for tag in ("00100020", "00080050", "00200010", "00080060"))
        assert len(archive.rows(Condition("00100020", Match.EQUAL, ("GOOD",)))) == 1
        archive.settle()
    with archive_in(tmp_path) as archive:
        assert outcomes(archive.keep_now(worst)) == [Outcome.ALREADY]
        assert archive.rows(Condition("0020000D", Match.EQUAL, (study,)))[0].flags == ()
