"""A chest radiograph: the phantom's chest as a flat detector behind it would see it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from huitong.cli.phantom.body import Body
from huitong.cli.phantom.canvas import Plane
from huitong.cli.phantom.header import YUNCHENG, Patient, code, dataset, part10, patient_module, study_module, uid

PATIENT = Patient("Zhang^Wei=张^伟", "YC0088123", "19831102", "F", "042Y", "1.68", "57")
DESCRIPTION = "胸部正位DR"
CHEST_MM, ROW_MM, COLUMNS, FOV_MM = 285.0, 1.9, 400, 400.0
#: Linear attenuation of water at the beam's mean energy, per mm.
WATER_PER_MM = 0.0195


def projection(seed: int = 2) -> Plane:
    """Attenuation of the beam through the chest (natural logarithm), square pixels of half a millimetre."""
    body = Body(seed, COLUMNS, FOV_MM)
    rows = []
    for row in range(int(CHEST_MM / ROW_MM)):
        hu = body.draw((row + 0.5) * ROW_MM, table=False)
        rows.append(np.maximum(hu + 1000, 0).sum(0) * np.float32(WATER_PER_MM / 1000 * FOV_MM / COLUMNS))
    height = int(CHEST_MM / FOV_MM * COLUMNS * 2)
    return np.asarray(Image.fromarray(np.stack(rows)).resize((COLUMNS * 2, height), Image.Resampling.BICUBIC))


def _harmonised(attenuation: Plane) -> Plane:
    """Fine detail raised against broad shadows, as the processing of digital radiography does."""
    down, across = (_blur_matrix(length) for length in attenuation.shape)
    broad = down @ attenuation @ across.T
    return np.asarray(0.75 * broad + 1.7 * (attenuation - broad), np.float32)


def _blur_matrix(length: int, width: float = 32.0) -> Plane:
    """Weights that blur along an axis; at the ends only what is there counts."""
    place = np.arange(length)
    weights = np.exp(-(((place[:, None] - place) / width) ** 2))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def dx_file(seed: int = 2) -> bytes:
    """The radiograph as a Part 10 file, SOP class Digital X-Ray Image Storage For Presentation (PS3.3 A.26)."""
    rng = np.random.default_rng([seed, 5])
    attenuation = projection(seed)
    photons = 9000 * np.exp(-attenuation) + 20
    attenuation = attenuation + rng.standard_normal(attenuation.shape) / np.sqrt(photons)
    # The curve of a film: most contrast in the middle, nothing ever quite black or white.
    attenuation = _harmonised(attenuation)
    middle, spread = np.percentile(attenuation, 42), 0.8
    stored = np.rint(4095 / (1 + np.exp(-(attenuation - middle) / spread))).astype("<u2")
    date, time = "20260318", "101502.000"
    return part10(
        dataset(
            **patient_module(PATIENT, YUNCHENG),
            **study_module(seed, "DX", date, time, DESCRIPTION, YUNCHENG),
            SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
            SOPInstanceUID=uid("DX", seed, "instance"),
            SeriesInstanceUID=uid("DX", seed, "series"),
            Modality="DX",
            PresentationIntentType="FOR PRESENTATION",
            SeriesNumber=1,
            SeriesDate=date,
            SeriesTime=time,
            SeriesDescription="胸部后前位",
            InstanceNumber=1,
            ImageType=["ORIGINAL", "PRIMARY"],
            AcquisitionDate=date,
            AcquisitionTime=time,
            ContentDate=date,
            ContentTime=time,
            AcquisitionNumber=1,
            BodyPartExamined="CHEST",
            ViewPosition="PA",
            ViewCodeSequence=code("272479007", "SCT", "postero-anterior"),
            AnatomicRegionSequence=code("43799004", "SCT", "Chest"),
            PatientOrientation=["L", "F"],
            ImageLaterality="U",
            AcquisitionContextSequence=[],
            KVP="125",
            Exposure=2,
            ExposureTime=8,
            XRayTubeCurrent=250,
            DistanceSourceToDetector="1800",
            Grid="FIXED",
            PositionerType="NONE",
            DetectorType="DIRECT",
            DetectorTemperature="28.5",
            DetectorID="HPDX-0001",
            ManufacturerModelName="Chest Phantom DR",
            SoftwareVersions="1.0",
            ImagerPixelSpacing=["0.5", "0.5"],
            PixelSpacing=["0.5", "0.5"],
            SamplesPerPixel=1,
            PhotometricInterpretation="MONOCHROME2",
            Rows=stored.shape[0],
            Columns=stored.shape[1],
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            PixelRepresentation=0,
            PixelIntensityRelationship="LOG",
            PixelIntensityRelationshipSign=1,
            RescaleIntercept="0",
            RescaleSlope="1",
            RescaleType="US",
            PresentationLUTShape="IDENTITY",
            LossyImageCompression="00",
            BurnedInAnnotation="NO",
            WindowCenter="2048",
            WindowWidth="4096",
            PixelData=stored.tobytes(),
        )
    )
