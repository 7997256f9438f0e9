import io
from itertools import pairwise

import numpy as np
import pydicom
import pytest

from huitong.cli.phantom import anatomy as at
from huitong.cli.phantom.body import LENGTH_MM
from huitong.cli.phantom.ct import FOV_MM, ct_study, hounsfield_slices

SLICES, SIZE = 16, 128


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return list(ct_study(1, SLICES, SIZE))


@pytest.fixture(scope="module")
def read(files: list[bytes]) -> list[pydicom.FileDataset]:
    return [pydicom.dcmread(io.BytesIO(each)) for each in files]


@pytest.fixture(scope="module")
def volume(read: list[pydicom.FileDataset]) -> np.ndarray:
    """HU, of shape (slices from the top, rows, columns), as a viewer computes them."""
    return np.stack([each.pixel_array * float(each.RescaleSlope) + float(each.RescaleIntercept) for each in read])


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(files: list[bytes]) -> None:
    assert list(ct_study(1, SLICES, SIZE)) == files
    assert next(ct_study(2, SLICES, SIZE)) != files[0]


def test_slices_are_parallel_evenly_spaced_and_numbered_from_the_top(read: list[pydicom.FileDataset]) -> None:
    heights = [float(each.ImagePositionPatient[2]) for each in read]
    assert [upper - lower for upper, lower in pairwise(heights)] == pytest.approx([LENGTH_MM / SLICES] * (SLICES - 1))
    assert [each.InstanceNumber for each in read] == list(range(1, SLICES + 1))
    for each in read:
        assert list(each.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        assert list(each.PixelSpacing) == pytest.approx([FOV_MM / SIZE] * 2, rel=1e-5)
        assert float(each.SliceThickness) == float(each.SpacingBetweenSlices) == LENGTH_MM / SLICES
        assert float(each.SliceLocation) == float(each.ImagePositionPatient[2])
        assert each.ImagePositionPatient[:2] == read[0].ImagePositionPatient[:2]


def test_one_study_one_series_one_frame_of_reference_and_an_own_uid_for_each(read: list[pydicom.FileDataset]) -> None:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({each[keyword].value for each in read}) == 1
    assert len({each.SOPInstanceUID for each in read}) == SLICES
    assert all(len(each.SOPInstanceUID) <= 64 and each.SOPInstanceUID.is_valid for each in read)


def test_values_are_calibrated(volume: np.ndarray) -> None:
    row, column = SIZE // 2, SIZE // 2
    assert volume[:, 4:10, column - 10 : column + 10].mean() == pytest.approx(at.AIR, abs=15)
    assert (volume[:, 0, 0] == -1024).all()  # outside the circle of reconstruction
    pixel_mm, slice_mm = FOV_MM / SIZE, LENGTH_MM / SLICES
    low = int(at.LIVER[0].s / slice_mm)
    liver = volume[low, row + int(10 / pixel_mm), column - int(75 / pixel_mm) : column - int(55 / pixel_mm)]
    assert 90 < liver.mean() < 135
    lung = volume[int(100 / slice_mm), row - 2 : row + 2, column - int(85 / pixel_mm) : column - int(65 / pixel_mm)]
    assert -960 < lung.mean() < -700
    spine = row + int((at.SPINE_Y(150) + at.CENTRE_Y(150)) / pixel_mm)
    bone = volume[int(150 / slice_mm), spine - 6 : spine + 6, column - 8 : column + 8]
    assert bone.max() > 350


def test_water_is_near_zero_in_the_cyst_of_the_kidney() -> None:
    cyst = at.CYSTS[1]
    pixel_mm = FOV_MM / 192
    slices = 80
    place = int(cyst.s / LENGTH_MM * slices)
    hu = next(hu for number, hu in enumerate(hounsfield_slices(1, slices, 192)) if number == place)
    column, row = (int(mm / pixel_mm + 96) for mm in (cyst.x, cyst.y + at.CENTRE_Y(cyst.s)))
    inside = hu[row - 2 : row + 3, column - 2 : column + 3]
    assert inside.mean() == pytest.approx(6, abs=12)


def test_neighbouring_slices_change_gradually_and_noise_differs() -> None:
    volume = np.stack([hu.copy() for hu, _ in zip(hounsfield_slices(1, 400, 96), range(24), strict=False)])
    near = np.abs(volume[20] - volume[21]).mean()
    far = np.abs(volume[2] - volume[22]).mean()
    assert 0 < near < far / 1.5


def test_the_header_is_that_of_a_scanner(read: list[pydicom.FileDataset], files: list[bytes]) -> None:
    first = read[0]
    assert first.PatientName.alphabetic == "Wang^Xiaodong"
    assert first.PatientName.ideographic == "王^晓东"
    assert first.StudyDescription == "胸部+上腹部CT平扫+增强"
    assert first.SpecificCharacterSet == "GB18030"
    assert "王^晓东".encode("gb18030") in files[0]
    assert len(list(first.iterall())) > 160
    assert first.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeMeaning
    assert sum(1 for element in first.iterall() if element.tag.is_private) >= 10
    assert first.SyntheticData == "YES"


def test_every_value_fits_its_representation(recwarn: pytest.WarningsRecorder, files: list[bytes]) -> None:
    pydicom.dcmread(io.BytesIO(files[0])).walk(lambda dataset, element: str(element))
    assert not recwarn.list
