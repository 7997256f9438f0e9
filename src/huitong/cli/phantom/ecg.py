"""A resting 12-lead ECG: a heart vector that turns through P, QRS and T, seen from the leads' directions.

The limb leads are made from I and II by Einthoven's and Goldberger's equations, so they hold sample by sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from huitong.cli.phantom.header import TAIYUAN, Patient, code, dataset, part10, patient_module, study_module, uid

RATE_HZ = 500
SECONDS = 10
#: Millivolts of one unit of the stored samples.
UNIT_MV = 0.0025
PATIENT = Patient("Shan^Guoqiang=单^国强", "TY20260051", "19560709", "M", "069Y", "1.71", "70")
DESCRIPTION = "常规12导联心电图"

#: Lead: SCP-ECG code and meaning (PS3.16 CID 3001).
LEADS: dict[str, tuple[str, str]] = {
    "I": ("5.6.3-9-1", "Lead I"),
    "II": ("5.6.3-9-2", "Lead II"),
    "III": ("5.6.3-9-61", "Lead III"),
    "aVR": ("5.6.3-9-62", "aVR, augmented voltage, right"),
    "aVL": ("5.6.3-9-63", "aVL, augmented voltage, left"),
    "aVF": ("5.6.3-9-64", "aVF, augmented voltage, foot"),
    **{f"V{number}": (f"5.6.3-9-{number + 2}", f"Lead V{number}") for number in range(1, 7)},
}

#: Inverse Dower matrix: what a lead sees of the heart vector (x to the left, y to the feet, z to the back).
#: Dower et al. 1980, as given by Edenbrandt and Pahlm, J Electrocardiol 1988;21:361.
DOWER: dict[str, tuple[float, float, float]] = {
    "I": (0.632, -0.235, 0.059),
    "II": (0.235, 1.066, -0.132),
    "V1": (-0.515, 0.157, -0.917),
    "V2": (0.044, 0.164, -1.387),
    "V3": (0.882, 0.098, -1.277),
    "V4": (1.213, 0.127, -0.601),
    "V5": (1.125, 0.127, -0.086),
    "V6": (0.831, 0.076, 0.230),
}

#: Wave: centre and width in ms from the R peak, heart vector in mV.
WAVES: tuple[tuple[float, float, tuple[float, float, float]], ...] = (
    (-168, 22, (0.05, 0.11, -0.05)),
    (-150, 20, (0.07, 0.08, 0.05)),
    (-22, 7, (-0.14, -0.05, -0.28)),
    (-3, 9, (0.95, 0.78, -0.12)),
    (10, 9, (0.62, 0.28, 0.78)),
    (30, 9, (-0.22, -0.12, 0.42)),
    (215, 46, (0.18, 0.14, -0.12)),
    (262, 34, (0.20, 0.16, -0.16)),
)


def ecg_samples(seed: int = 1) -> NDArray[np.int16]:
    """Samples of shape (RATE_HZ * SECONDS, 12) in the order of `LEADS`, in units of `UNIT_MV`."""
    rng = np.random.default_rng([seed, 12])
    time = np.arange(RATE_HZ * SECONDS) / RATE_HZ
    heart = np.zeros((len(time), 3))
    peak = 0.35
    while peak < SECONDS + 0.5:
        breath = 1 + 0.05 * np.sin(2 * np.pi * peak / 4.1)
        for centre, width, vector in WAVES:
            heart += np.exp(-0.5 * ((time - peak - centre / 1000) / (width / 1000)) ** 2)[:, None] * vector * breath
        peak += 60 / 72 + 0.025 * np.sin(2 * np.pi * peak / 4.1) + rng.normal(0, 0.006)
    wander = np.sin(2 * np.pi * time[:, None] / [5.3, 4.1, 6.7] + [0.4, 1.9, 3.0]) * 0.02
    heart += wander + rng.normal(0, 0.004, heart.shape)
    seen = {lead: heart @ np.array(row) / UNIT_MV for lead, row in DOWER.items()}
    # Even numbers, so that halves in Goldberger's equations are whole.
    first, second = (2 * np.rint(seen[lead] / 2) for lead in ("I", "II"))
    limbs = [first, second, second - first, -(first + second) / 2, first - second / 2, second - first / 2]
    return np.stack([*limbs, *(np.rint(seen[f"V{number}"]) for number in range(1, 7))], axis=1).astype(np.int16)


def ecg_file(seed: int = 1) -> bytes:
    """The ECG as a Part 10 file, SOP class 12-lead ECG Waveform Storage (PS3.3 A.34.3)."""
    date, time = "20260316", "152210.000"
    return part10(
        dataset(
            **patient_module(PATIENT, TAIYUAN),
            **study_module(seed, "ECG", date, time, DESCRIPTION, TAIYUAN),
            SOPClassUID="1.2.840.10008.5.1.4.1.1.9.1.1",
            SOPInstanceUID=uid("ECG", seed, "instance"),
            SeriesInstanceUID=uid("ECG", seed, "series"),
            Modality="ECG",
            SeriesNumber=1,
            SeriesDate=date,
            SeriesTime=time,
            SeriesDescription="静息12导联 10 s",
            InstanceNumber=1,
            ContentDate=date,
            ContentTime=time,
            AcquisitionDateTime="20260316152200.000+0800",
            ManufacturerModelName="Vector Phantom 12",
            DeviceSerialNumber="HP12-0001",
            SoftwareVersions="1.0",
            OperatorsName="Sun^Li=孙^丽",
            AcquisitionContextSequence=[
                {
                    "ValueType": "CODE",
                    "ConceptNameCodeSequence": _scp_code("5.4.5-33-1", "Electrode Placement"),
                    "ConceptCodeSequence": _scp_code("5.4.5-33-1-1", "Standard 12-lead"),
                }
            ],
            WaveformSequence=_waveform(ecg_samples(seed)),
            WaveformAnnotationSequence=[
                _measured("2:16016", "Heart rate", "72", "/min"),
                _measured("2:15872", "PR interval", "164", "ms"),
                _measured("2:16156", "QRS duration", "92", "ms"),
                {
                    "UnformattedTextValue": "窦性心律，正常心电图",
                    "AnnotationGroupNumber": 1,
                    "ReferencedWaveformChannels": [1, 0],
                },
            ],
        )
    )


def _measured(value: str, meaning: str, number: str, unit: str) -> dict[str, Any]:
    return {
        "ReferencedWaveformChannels": [1, 0],
        "ConceptNameCodeSequence": code(value, "MDC", meaning),
        "NumericValue": number,
        "MeasurementUnitsCodeSequence": code(unit, "UCUM", unit),
        "AnnotationGroupNumber": 0,
    }


def _scp_code(value: str, meaning: str) -> dict[str, str]:
    return {**code(value, "SCPECG", meaning), "CodingSchemeVersion": "1.3"}


def _waveform(samples: NDArray[np.int16]) -> dict[str, Any]:
    """One multiplex group (PS3.3 C.10.9)."""
    return {
        "WaveformOriginality": "ORIGINAL",
        "NumberOfWaveformChannels": samples.shape[1],
        "NumberOfWaveformSamples": samples.shape[0],
        "SamplingFrequency": str(RATE_HZ),
        "MultiplexGroupLabel": "RHYTHM",
        "ChannelDefinitionSequence": [_channel(number, lead) for number, lead in enumerate(LEADS, 1)],
        "WaveformBitsAllocated": 16,
        "WaveformSampleInterpretation": "SS",
        "WaveformData": samples.astype("<i2").tobytes(),
    }


def _channel(number: int, lead: str) -> dict[str, Any]:
    scp, meaning = LEADS[lead]
    return {
        "WaveformChannelNumber": number,
        "ChannelLabel": lead,
        "ChannelSourceSequence": _scp_code(scp, meaning),
        "ChannelSensitivity": str(UNIT_MV),
        "ChannelSensitivityUnitsSequence": code("mV", "UCUM", "millivolt"),
        "ChannelSensitivityCorrectionFactor": "1",
        "ChannelBaseline": "0",
        "ChannelTimeSkew": "0",
        "WaveformBitsStored": 16,
        "FilterLowFrequency": "0.05",
        "FilterHighFrequency": "150",
    }
