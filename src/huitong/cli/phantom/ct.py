"""A contrast-enhanced CT of chest and upper abdomen: a few hundred axial slices of the phantom's trunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from huitong.cli.phantom.body import LENGTH_MM, Body
from huitong.cli.phantom.canvas import Plane
from huitong.cli.phantom.fields import Noise
from huitong.cli.phantom.header import (
    PRIVATE_CREATOR,
    TAIYUAN,
    Patient,
    code,
    dataset,
    part10,
    patient_module,
    study_module,
    uid,
)

SLICES = 320
FOV_MM = 380.0
INTERCEPT = -1024
#: Where the topmost slice lies in the scanner's coordinates.
TOP_Z_MM = -612.5
PATIENT = Patient("Wang^Xiaodong=王^晓东", "TY20260317", "19680214", "M", "058Y", "1.75", "76", "149999196802141233")
STUDY = ("20260317", "092814.250")
DESCRIPTION = "胸部+上腹部CT平扫+增强"


def ct_study(seed: int = 1, slices: int = SLICES, size: int = 512) -> Iterator[bytes]:
    """Part 10 files of the axial series, from the top downwards; the same for the same arguments."""
    template = _header(seed, slices, size)
    for number, hu in enumerate(hounsfield_slices(seed, slices, size), 1):
        yield part10(_instance(template, seed, slices, number, hu))


def hounsfield_slices(seed: int, slices: int, size: int) -> Iterator[Plane]:
    """The slices in HU with the noise of the beam, as reconstructed."""
    rng = np.random.default_rng([seed, 77])
    body = Body(seed, size, FOV_MM)
    beam, streak = Noise(rng, size, "beam"), Noise(rng, size, "streak", tiles=3)
    axis = body.canvas.axis
    square = axis[None, :] ** 2 + axis[:, None] ** 2
    outside = square > (FOV_MM / 2) ** 2
    # More noise where the beam has come through more of the body.
    strength = (5.5 + 5.0 * np.exp(-square / (2 * 95.0**2))).astype(np.float32)
    before = beam.next()
    for number in range(slices):
        s_mm = (number + 0.5) * LENGTH_MM / slices
        hu = body.draw(s_mm)
        fresh = beam.next()
        hu += (
            strength * np.float32(1 + 0.45 * np.exp(-s_mm / 30)) * (np.float32(0.8) * fresh + np.float32(0.6) * before)
        )
        if s_mm < 50:  # shoulders
            rows = body.canvas.rows
            hu[rows] += np.float32(9 * (1 - s_mm / 50)) * streak.next()[rows]
        before = fresh
        hu[outside] = INTERCEPT
        yield hu


def _instance(template: Dataset, seed: int, slices: int, number: int, hu: Plane) -> Dataset:
    spacing = LENGTH_MM / slices
    z = TOP_Z_MM - (number - 1) * spacing
    size = len(hu)
    first = -(size - 1) / 2 * FOV_MM / size
    template.SOPInstanceUID = uid("CT", seed, slices, size, number)
    template.InstanceNumber = number
    template.ImagePositionPatient = [_ds(first), _ds(first - 12.5), _ds(z)]
    template.SliceLocation = _ds(z)
    current = int(230 + 70 * np.sin(number / slices * 5.1))
    template.XRayTubeCurrent = current
    template.Exposure = int(current * 0.5 / 0.984)
    template.AcquisitionTime = f"093102.{number * 25 % 1_000_000:06d}"
    template.ContentTime = f"0932{number % 60:02d}.000"
    stored = np.clip(np.rint(hu - INTERCEPT), 0, 4095).astype("<u2")
    template.SmallestImagePixelValue = int(stored.min())
    template.LargestImagePixelValue = int(stored.max())
    template.PixelData = stored.tobytes()
    return template


def _ds(value: float) -> str:
    """A decimal string of at most 16 characters (PS3.5 6.2)."""
    return f"{value:.6g}"


def _header(seed: int, slices: int, size: int) -> Dataset:
    date, time = STUDY
    made = dataset(
        **patient_module(PATIENT, TAIYUAN),
        **study_module(seed, "CT", date, time, DESCRIPTION, TAIYUAN),
        **_series(seed, slices),
        **_acquisition(),
        **_contrast(),
        **_pixels(slices, size),
    )
    _private(made, seed, slices)
    return made


def _series(seed: int, slices: int) -> dict[str, Any]:
    """General series, equipment, frame of reference, order (PS3.3 C.7.3.1, C.7.4.1, C.7.5.1)."""
    date, _ = STUDY
    procedure = code("CT-CHAB-CE", "99HUITONG", "胸部+上腹部增强CT")
    return {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": "",
        "SeriesInstanceUID": uid("CT", seed, slices, "series"),
        "FrameOfReferenceUID": uid("CT", seed, "frame"),
        "PositionReferenceIndicator": None,
        "Modality": "CT",
        "SeriesNumber": 3,
        "SeriesDate": date,
        "SeriesTime": "093055.120",
        "SeriesDescription": "门静脉期 1.25mm STND",
        "ProtocolName": "5.12 Chest+Abdomen CE",
        "BodyPartExamined": "CHESTABDOMEN",
        "AnatomicRegionSequence": code("416775004", "SCT", "Chest, abdomen and pelvis"),
        "PatientPosition": "HFS",
        "OperatorsName": "Zhao^Min=赵^敏",
        "PerformingPhysicianName": "Chen^Jing=陈^静",
        "PhysiciansOfRecord": "Li^Guohua=李^国华",
        "ProcedureCodeSequence": procedure,
        "RequestingService": "呼吸内科",
        "RequestedProcedureDescription": DESCRIPTION,
        "AdmittingDiagnosesDescription": "咳嗽待查；肝占位待查",
        "PerformedProcedureStepStartDate": date,
        "PerformedProcedureStepStartTime": "092814.250",
        "PerformedProcedureStepID": "PPS0317-009",
        "PerformedProcedureStepDescription": DESCRIPTION,
        "PerformedProtocolCodeSequence": procedure,
        "ReferencedPerformedProcedureStepSequence": {
            "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3",
            "ReferencedSOPInstanceUID": uid("CT", seed, "step"),
        },
        "RequestAttributesSequence": {
            "AccessionNumber": f"CT{date}{seed % 1000:03d}",
            "RequestedProcedureID": "RP0317-118",
            "RequestedProcedureDescription": DESCRIPTION,
            "ScheduledProcedureStepID": "SPS0317-118",
            "ScheduledProcedureStepDescription": DESCRIPTION,
            "ScheduledProtocolCodeSequence": procedure,
            "ReasonForTheRequestedProcedure": "咳嗽两周，右上肺结节复查",
        },
        "StationName": "CT02",
        "ManufacturerModelName": "Trunk Phantom 128",
        "DeviceSerialNumber": "HP128-0001",
        "SoftwareVersions": ["1.0", "recon 1.0"],
        "SpatialResolution": "0.6",
        "DateOfLastCalibration": "20260316",
        "TimeOfLastCalibration": "181500",
        "ContributingEquipmentSequence": {
            "PurposeOfReferenceCodeSequence": code("109101", "DCM", "Acquisition Equipment"),
            "Manufacturer": "HUITONG PHANTOM",
            "InstitutionName": TAIYUAN.name,
            "StationName": "CT02",
            "ManufacturerModelName": "Trunk Phantom 128",
            "SoftwareVersions": "1.0",
            "ContributionDateTime": "20260317093055.120+0800",
        },
    }


def _acquisition() -> dict[str, Any]:
    """CT image module (PS3.3 C.8.2.1)."""
    date, _ = STUDY
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "AcquisitionDate": date,
        "ContentDate": date,
        "InstanceCreationDate": date,
        "InstanceCreationTime": "093240.000",
        "AcquisitionNumber": 2,
        "AcquisitionUID": uid("CT", "acquisition"),
        "ScanOptions": "HELICAL MODE",
        "KVP": "120",
        "ExposureTime": 500,
        "ExposureInuAs": 117000,
        "ExposureModulationType": "XYZ_EC",
        "FilterType": "BODY FILTER",
        "GeneratorPower": 42,
        "FocalSpots": ["0.9"],
        "DataCollectionDiameter": "500",
        "ReconstructionDiameter": _ds(FOV_MM),
        "DistanceSourceToDetector": "1085.6",
        "DistanceSourceToPatient": "595",
        "GantryDetectorTilt": "0",
        "TableHeight": "162.5",
        "RotationDirection": "CW",
        "ConvolutionKernel": "STANDARD",
        "RevolutionTime": 0.5,
        "SingleCollimationWidth": 0.625,
        "TotalCollimationWidth": 40.0,
        "TableSpeed": 78.72,
        "TableFeedPerRotation": 39.36,
        "SpiralPitchFactor": 0.984,
        "CTDIvol": 9.84,
        "CTDIPhantomTypeCodeSequence": code("113691", "DCM", "IEC Body Dosimetry Phantom"),
        "DataCollectionCenterPatient": [0.0, -12.5, TOP_Z_MM - LENGTH_MM / 2],
        "ReconstructionTargetCenterPatient": [0.0, -12.5, TOP_Z_MM - LENGTH_MM / 2],
        "WaterEquivalentDiameter": 268.0,
        "WaterEquivalentDiameterCalculationMethodCodeSequence": code("113987", "DCM", "AAPM 220"),
        "MultienergyCTAcquisition": "NO",
    }


def _contrast() -> dict[str, Any]:
    """Contrast/bolus module (PS3.3 C.7.6.4)."""
    return {
        "ContrastBolusAgent": "碘海醇 350mgI/ml",
        "ContrastBolusAgentSequence": code("109218007", "SCT", "Iohexol"),
        "ContrastBolusRoute": "IV",
        "ContrastBolusAdministrationRouteSequence": code("47625008", "SCT", "Intravenous route"),
        "ContrastBolusVolume": "80",
        "ContrastBolusStartTime": "092950",
        "ContrastBolusStopTime": "093017",
        "ContrastBolusTotalDose": "80",
        "ContrastFlowRate": "3",
        "ContrastFlowDuration": "26.7",
        "ContrastBolusIngredient": "IODINE",
        "ContrastBolusIngredientConcentration": "350",
    }


def _pixels(slices: int, size: int) -> dict[str, Any]:
    """Image plane, image pixel, modality and VOI LUT (PS3.3 C.7.6.2, C.7.6.3, C.11.1, C.11.2)."""
    return {
        "PixelSpacing": [_ds(FOV_MM / size)] * 2,
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "SliceThickness": _ds(LENGTH_MM / slices),
        "SpacingBetweenSlices": _ds(LENGTH_MM / slices),
        "ImagesInAcquisition": slices,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": size,
        "Columns": size,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "WindowCenter": ["45", "-600"],
        "WindowWidth": ["400", "1500"],
        "WindowCenterWidthExplanation": ["软组织", "肺"],
        "RescaleIntercept": str(INTERCEPT),
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "PresentationLUTShape": "IDENTITY",
    }


def _private(made: Dataset, seed: int, slices: int) -> None:
    """Private elements such as scanners write (PS3.5 7.8): numbers, Chinese text, a blob, a nested sequence."""
    block = made.private_block(0x0029, PRIVATE_CREATOR, create=True)
    block.add_new(0x01, "LO", "CT 模体")
    block.add_new(0x02, "UL", seed)
    block.add_new(0x03, "US", slices)
    block.add_new(0x04, "FD", [LENGTH_MM, FOV_MM])
    block.add_new(0x10, "OB", bytes(range(256)) * 4)
    inner = dataset(CodeMeaning="重建参数")
    inner_block = inner.private_block(0x0029, PRIVATE_CREATOR, create=True)
    inner_block.add_new(0x21, "SH", "STND")
    inner_block.add_new(0x22, "DS", "0.60")
    block.add_new(0x20, "SQ", [inner])
    other = made.private_block(0x0043, PRIVATE_CREATOR, create=True)
    other.add_new(0x27, "SH", "/i40:1")
    other.add_new(0x5D, "DS", ["1.0", "0.0", "-0.5"])
