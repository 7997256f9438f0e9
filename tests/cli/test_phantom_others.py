import io
import re

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames

from huitong.cli.phantom import dx_file, ecg_file, report, report_file, us_file
from huitong.cli.phantom.ct import ct_study
from huitong.cli.phantom.ecg import LEADS, RATE_HZ, SECONDS, ecg_samples
from huitong.cli.phantom.us import FRAMES, cine

#: Attributes of type 1 of the IODs' mandatory modules (PS3.3 A.26, A.7, A.34.3, A.45.1, A.3), beyond those of all.
TYPE_1 = {
    "ct": "ImageType KVP AcquisitionNumber Rows Columns PixelSpacing ImagePositionPatient ImageOrientationPatient "
    "FrameOfReferenceUID RescaleIntercept RescaleSlope SamplesPerPixel PhotometricInterpretation BitsAllocated "
    "BitsStored HighBit PixelRepresentation",
    "dx": "PresentationIntentType ImageType PixelIntensityRelationship PixelIntensityRelationshipSign RescaleIntercept "
    "RescaleSlope RescaleType PresentationLUTShape LossyImageCompression BurnedInAnnotation ImagerPixelSpacing "
    "DetectorType PatientOrientation ImageLaterality AnatomicRegionSequence ViewCodeSequence ViewPosition",
    "us": "ImageType NumberOfFrames FrameIncrementPointer FrameTime LossyImageCompression PlanarConfiguration "
    "SequenceOfUltrasoundRegions PhotometricInterpretation LossyImageCompressionRatio LossyImageCompressionMethod",
    "ecg": "AcquisitionDateTime WaveformSequence AcquisitionContextSequence InstanceNumber ContentDate ContentTime",
    "report": "MIMETypeOfEncapsulatedDocument EncapsulatedDocument BurnedInAnnotation ConversionType InstanceNumber",
}
ALL = "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality Manufacturer PatientName PatientID"
MAKERS = {"dx": dx_file, "us": us_file, "ecg": ecg_file, "report": report_file, "ct": lambda: next(ct_study(1, 8, 64))}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return {kind: make() for kind, make in MAKERS.items()}


@pytest.fixture(scope="module")
def read(made: dict[str, bytes]) -> dict[str, pydicom.FileDataset]:
    return {kind: pydicom.dcmread(io.BytesIO(file)) for kind, file in made.items()}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_attribute_of_type_1_has_a_value(kind: str, read: dict[str, pydicom.FileDataset]) -> None:
    empty = [keyword for keyword in f"{ALL} {TYPE_1[kind]}".split() if read[kind].get(keyword) in (None, "", [], b"")]
    assert [keyword for keyword in empty if keyword != "AcquisitionContextSequence"] == []


@pytest.mark.parametrize("kind", ["ecg", "report"])
def test_making_it_again_gives_the_same_bytes(kind: str, made: dict[str, bytes]) -> None:
    assert MAKERS[kind]() == made[kind]


@pytest.mark.parametrize("kind", MAKERS)
def test_no_value_is_too_long_or_of_a_wrong_form(
    kind: str, made: dict[str, bytes], recwarn: pytest.WarningsRecorder
) -> None:
    pydicom.dcmread(io.BytesIO(made[kind])).walk(lambda dataset, element: str(element))
    assert not recwarn.list


def test_the_loop_is_the_same_again() -> None:
    first, second = (next(cine()) for _ in range(2))
    assert (first == second).all()


def test_limb_leads_obey_einthoven_and_goldberger(read: dict[str, pydicom.FileDataset]) -> None:
    group = read["ecg"].waveform_array(0)
    lead = dict(zip(LEADS, np.round(group.T / 0.0025).astype(int), strict=True))
    assert (lead["II"] == lead["I"] + lead["III"]).all()
    assert (2 * lead["aVR"] == -(lead["I"] + lead["II"])).all()
    assert (2 * lead["aVL"] == lead["I"] - lead["III"]).all()
    assert (2 * lead["aVF"] == lead["II"] + lead["III"]).all()
    assert (lead["aVR"] + lead["aVL"] + lead["aVF"] == 0).all()


def test_the_ecg_has_twelve_leads_a_normal_rate_and_r_waves_that_grow(read: dict[str, pydicom.FileDataset]) -> None:
    item = read["ecg"].WaveformSequence[0]
    assert (item.NumberOfWaveformChannels, item.NumberOfWaveformSamples) == (12, RATE_HZ * SECONDS)
    assert [channel.ChannelLabel for channel in item.ChannelDefinitionSequence] == list(LEADS)
    samples = ecg_samples()
    second = samples[:, 1]
    peaks = np.flatnonzero(
        (second[1:-1] > second.max() * 0.6) & (second[1:-1] >= second[:-2]) & (second[1:-1] > second[2:])
    )
    beats = 1 + int((np.diff(peaks) > RATE_HZ * 0.3).sum())
    assert 60 <= beats * 60 / SECONDS <= 84
    v1, v4, v6 = samples[:, 6], samples[:, 9], samples[:, 11]
    assert abs(v1.min()) > v1.max()
    assert v4.max() > v1.max()
    assert v6.max() > abs(v6.min())


def test_the_loop_is_of_colour_frames_that_move(read: dict[str, pydicom.FileDataset]) -> None:
    from PIL import Image

    loop = read["us"]
    frames = [np.asarray(Image.open(io.BytesIO(frame))).astype(int) for frame in generate_frames(loop.PixelData)]
    assert len(frames) == loop.NumberOfFrames == FRAMES
    assert all(frame.shape == (loop.Rows, loop.Columns, 3) for frame in frames)
    assert np.abs(frames[0] - frames[FRAMES // 2]).mean() > 2
    redness = [(frame[..., 0] - frame[..., 2] > 80).sum() for frame in frames]
    blueness = [(frame[..., 2] - frame[..., 0] > 80).sum() for frame in frames]
    assert max(redness) > 4 * (min(redness) + 1)  # blood comes in diastole
    assert max(blueness) > 2 * (min(blueness) + 1)  # and leaves in systole


def test_the_radiograph_shows_dark_lungs_beside_a_bright_spine(read: dict[str, pydicom.FileDataset]) -> None:
    picture = read["dx"].pixel_array.astype(float)
    height, width = picture.shape
    band = picture[height // 3 : height // 2]
    spine = band[:, int(width * 0.47) : int(width * 0.53)].mean()
    lungs = [band[:, int(width * part) - 20 : int(width * part) + 20].mean() for part in (0.3, 0.7)]
    assert spine > 1.4 * max(lungs)
    assert picture[:, :30].mean() < min(lungs)


def test_the_pdf_is_one_page_whose_table_of_objects_is_right(read: dict[str, pydicom.FileDataset]) -> None:
    document = read["report"]
    pdf = document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]
    _check_pdf(pdf)
    assert document.StudyInstanceUID == read["ct"].StudyInstanceUID


def test_without_a_chinese_font_the_pdf_has_its_text_as_characters() -> None:
    pdf = report._pdf(report._typed())
    _check_pdf(pdf)
    assert "影像所见".encode("utf-16-be").hex().encode() in pdf


def _check_pdf(pdf: bytes) -> None:
    assert pdf.startswith(b"%PDF-1.4")
    assert pdf.endswith(b"%%EOF\n")
    (table,) = re.findall(rb"startxref\n(\d+)\n", pdf)
    assert pdf[int(table) :].startswith(b"xref")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n", pdf)]
    for number, place in enumerate(places, 1):
        assert pdf[place:].startswith(b"%d 0 obj" % number)
    assert pdf.count(b"/Type/Page/") == 1
    for length, body in re.findall(rb"/Length (\d+)>>\nstream\n(.*?)\nendstream", pdf, re.DOTALL):
        assert int(length) == len(body)
