"""The corpus is the same on every machine, is DICOM, and knows the answers."""

from __future__ import annotations

import io

import pydicom
import pytest
from bench.corpus import Corpus, Instance, element, study_of, uid
from bench.ingest import Ingest, share
from bench.scenarios import GROUPS
from bench.search import deep_page_cases, hanzi_name_cases, patient_id_cases, romanised_name_cases


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus(base_slices=2)


def _read(instance: Instance) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(instance.content))


def test_a_series_is_the_same_each_time_and_no_other(corpus: Corpus) -> None:
    first = [one.content for one in corpus.series(3, 4)]
    assert first == [one.content for one in Corpus(base_slices=2).series(3, 4)]
    assert len({*first, *(one.content for one in corpus.series(4, 4))}) == 8


def test_slices_are_large_and_readable_and_in_order(corpus: Corpus) -> None:
    made = corpus.series(1, 3)
    read = [_read(one) for one in made]
    assert all(520_000 < one.size_bytes < 545_000 for one in made)
    assert [int(ds.InstanceNumber) for ds in read] == [1, 2, 3]
    assert [float(ds.SliceLocation) for ds in read] == [-612.5, -613.75, -615.0]
    assert {ds.pixel_array.shape for ds in read} == {(512, 512)}
    assert {ds.SOPInstanceUID for ds in read} == {one.sop_instance_uid for one in made}
    assert {str(ds.PatientName) for ds in read} == {made[0].study.name}
    assert {ds.StudyInstanceUID for ds in read} == {made[0].study.uid}


def test_what_is_sent_by_dimse_is_the_data_set(corpus: Corpus) -> None:
    one = corpus.series(1, 1)[0]
    ds = pydicom.dcmread(io.BytesIO(one.content[one.data_set_at :]), force=True)
    assert ds.SOPInstanceUID == one.sop_instance_uid == _read(one).file_meta.MediaStorageSOPInstanceUID


def test_small_objects_have_10_to_39_kilobytes(corpus: Corpus) -> None:
    made = corpus.small(1, 60)
    assert min(one.size_bytes for one in made) < 15_000 < 30_000 < max(one.size_bytes for one in made)
    assert all(10_000 <= one.size_bytes <= 39_000 for one in made)
    assert all(_read(one).pixel_array.shape == (_read(one).Rows, _read(one).Columns) for one in made[:5])


def test_tiny_objects_carry_what_searches_ask_for_in_two_character_sets(corpus: Corpus) -> None:
    studies = corpus.index_studies(4)
    read = [_read(one) for one in corpus.tiny(studies)]
    assert [str(ds.PatientName) for ds in read] == [study.name for study in studies]
    assert [ds.SpecificCharacterSet for ds in read] == ["GB18030", "ISO_IR 192"] * 2
    assert [ds.StudyDate for ds in read] == [study.date for study in studies]


def test_studies_share_patients_and_nothing_else() -> None:
    studies = [study_of("index", number) for number in range(900)]
    assert len({study.uid for study in studies}) == len({study.accession for study in studies}) == 900
    assert 600 <= len({study.patient_id for study in studies}) < 900
    by_patient = {study.patient_id: study.name for study in studies}
    assert all(by_patient[study.patient_id] == study.name for study in studies)


def test_uids_are_valid_and_as_long_as_each_other() -> None:
    made = [uid("a", number) for number in range(200)]
    assert all(pydicom.uid.UID(each).is_valid for each in made)
    assert {len(each) for each in made} == {44}


@pytest.mark.parametrize("scenario", GROUPS["ingest"], ids=lambda one: f"{one.name}-{one.clients}")
def test_clients_send_everything_once_and_each_whole_studies(corpus: Corpus, scenario: Ingest) -> None:
    instances = scenario.instances(corpus, 0, 12)
    shares = [share(instances, number, scenario.clients) for number in range(scenario.clients)]
    assert [one for each in shares for one in each] == list(instances)
    assert len(instances) >= 12
    studies = [{one.study for one in each} for each in shares]
    assert sum(map(len, studies)) == len(set().union(*studies))


@pytest.mark.parametrize("count", [1, 7, 8, 2001])
def test_no_remainder_is_left_behind(corpus: Corpus, count: int) -> None:
    instances = list(corpus.tiny(corpus.index_studies(count)))
    assert sum(len(share(instances, number, 4)) for number in range(4)) == count


def test_an_element_is_padded_to_even_length() -> None:
    assert element(0x00100020, "LO", b"abc") == b"\x10\0\x20\0LO\4\0abc "
    assert element(0x00080018, "UI", b"1.2")[-1:] == b"\0"


@pytest.mark.parametrize("make", [patient_id_cases, romanised_name_cases, hanzi_name_cases, deep_page_cases])
def test_questions_are_the_same_each_time(corpus: Corpus, make: object) -> None:
    assert callable(make)
    studies = corpus.index_studies(300)
    paths = [case.path for case in make(studies)]
    assert paths
    assert paths == [case.path for case in make(studies)]
