"""A cine loop of the beating heart with colour Doppler, as an ultrasound scanner would store it: JPEG, many frames."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydicom.encaps import encapsulate

from huitong.cli.phantom.canvas import Plane
from huitong.cli.phantom.header import YUNCHENG, Patient, code, dataset, part10, patient_module, study_module, uid

FRAMES, FRAME_MS = 36, 25.0
WIDTH, HEIGHT = 640, 480
#: The sector: apex in the picture, depth in pixels and centimetres, half the angle.
APEX_X, APEX_Y, DEPTH_PX, DEPTH_CM, HALF_ANGLE = 320, 24, 420, 16.0, 0.72
PATIENT = Patient("Ouyang^Na=欧阳^娜", "YC0091457", "19790523", "F", "046Y", "1.62", "55")
DESCRIPTION = "心脏彩色多普勒超声"
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

RGB = NDArray[np.uint8]


def us_file(seed: int = 3) -> bytes:
    """The loop as a Part 10 file, SOP class Ultrasound Multi-frame Image Storage (PS3.3 A.7)."""
    frames = [_jpeg(frame) for frame in cine(seed)]
    date, time = "20260318", "143355.000"
    made = dataset(
        **patient_module(PATIENT, YUNCHENG),
        **study_module(seed, "US", date, time, DESCRIPTION, YUNCHENG),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.3.1",
        SOPInstanceUID=uid("US", seed, "instance"),
        SeriesInstanceUID=uid("US", seed, "series"),
        Modality="US",
        SeriesNumber=1,
        SeriesDate=date,
        SeriesTime=time,
        SeriesDescription="心尖四腔 CDFI",
        BodyPartExamined="HEART",
        InstanceNumber=1,
        ImageType=["ORIGINAL", "PRIMARY", "TTE", "0011"],
        AcquisitionDateTime=f"{date}{time}+0800",
        ContentDate=date,
        ContentTime=time,
        PatientOrientation=None,
        ManufacturerModelName="Heart Phantom US",
        SoftwareVersions="1.0",
        TransducerData=["S5-1", "", ""],
        TransducerType="SECTOR_PHASED",
        HeartRate=67,
        NumberOfStages=1,
        NumberOfViewsInStage=1,
        StageNumber=1,
        ViewName="A4C",
        ViewCodeSequence=code("399214001", "SCT", "Apical four chamber"),
        SequenceOfUltrasoundRegions=_region(),
        SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422",
        PlanarConfiguration=0,
        NumberOfFrames=FRAMES,
        FrameIncrementPointer=0x00181063,
        FrameTime=f"{FRAME_MS:g}",
        CineRate=round(1000 / FRAME_MS),
        RecommendedDisplayFrameRate=round(1000 / FRAME_MS),
        Rows=HEIGHT,
        Columns=WIDTH,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        BurnedInAnnotation="NO",
        LossyImageCompression="01",
        LossyImageCompressionRatio=f"{WIDTH * HEIGHT * 3 * FRAMES / sum(map(len, frames)):.1f}",
        LossyImageCompressionMethod="ISO_10918_1",
        PixelData=encapsulate(frames),
    )
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return part10(made, _JPEG_BASELINE)


def cine(seed: int = 3) -> Iterator[RGB]:
    """Frames of shape (HEIGHT, WIDTH, 3) over one heart beat."""
    rng = np.random.default_rng([seed, 9])
    across, down = np.meshgrid(np.arange(WIDTH) - APEX_X, np.arange(HEIGHT) - APEX_Y)
    depth = np.hypot(across, down).astype(np.float32)
    angle = np.arctan2(across, down).astype(np.float32)
    sector = (depth < DEPTH_PX) & (np.abs(angle) < HALF_ANGLE) & (depth > 6)
    speckle = [_speckle(rng) for _ in range(2)]
    for number in range(FRAMES):
        phase = number / FRAMES
        squeeze = _systole(phase)
        x, y = across / DEPTH_PX, down / DEPTH_PX
        echo, flow = _heart(x, y, squeeze, phase)
        grain = _sample(speckle[0], depth * (1 + 0.05 * squeeze), angle)
        drift = _sample(speckle[1], depth + 40 * phase, angle + phase)
        shown = 20 * np.log10(np.maximum(echo * (0.75 * grain + 0.25 * drift), 1e-4))
        grey = np.clip((shown + 52) / 52, 0, 1) * np.clip(1.15 - 0.35 * depth / DEPTH_PX, 0, 1)
        frame = np.repeat((grey * 235 * sector)[:, :, None], 3, axis=2)
        _colour(frame, flow * (0.7 + 0.3 * drift), sector & (np.abs(angle) < 0.42) & (depth > 60) & (depth < 390))
        yield _annotated(frame.astype(np.uint8), phase)


def _systole(phase: float) -> float:
    """How far the ventricles are contracted, 0 to 1."""
    return float(np.exp(-(((phase - 0.30) / 0.14) ** 2)))


def _heart(x: Plane, y: Plane, squeeze: float, phase: float) -> tuple[Plane, Plane]:
    """Echo strength (1 is bright tissue) and blood velocity towards the probe (-1 to 1), apex of the heart on top."""
    small, atrial = 1 - 0.24 * squeeze, 1 + 0.05 * squeeze
    left = ((x - 0.09) / (0.115 * small)) ** 2 + ((y - 0.42) / (0.24 * (1 - 0.12 * squeeze))) ** 2
    right = ((x + 0.135) / (0.085 * small)) ** 2 + ((y - 0.46) / (0.19 * (1 - 0.1 * squeeze))) ** 2
    left_atrium = ((x - 0.085) / (0.115 * atrial)) ** 2 + ((y - 0.80) / (0.115 * atrial)) ** 2
    right_atrium = ((x + 0.125) / (0.105 * atrial)) ** 2 + ((y - 0.80) / (0.105 * atrial)) ** 2
    whole = ((x + 0.0) / 0.31) ** 2 + ((y - 0.55) / 0.47) ** 2
    echo = np.full_like(x, 0.05, dtype=np.float32)
    echo += 0.13 * _edge(1 - whole) + 0.7 * np.exp(-(((np.sqrt(whole) - 1) / 0.03) ** 2))
    opened = max(0.0, 1 - 1.8 * squeeze) * (1 if phase > 0.42 or phase < 0.1 else 0.1)
    mitral = ((x - 0.09) / (0.01 + 0.075 * opened)) ** 2 + ((y - 0.67) / 0.09) ** 2
    tricuspid = ((x + 0.13) / (0.01 + 0.07 * opened)) ** 2 + ((y - 0.67) / 0.09) ** 2
    walls = np.minimum.reduce([left, right, left_atrium, right_atrium])
    echo = echo + 0.16 * np.exp(-(((np.sqrt(walls) - 1.07) / 0.05) ** 2))
    inside = _edge(1 - np.minimum.reduce([walls, mitral, tricuspid]))
    echo = echo * (1 - inside) + 0.0055 * inside
    for hinge, reach in ((-0.02, 1), (0.20, -1), (-0.23, 1), (-0.04, -1)):
        tip_x, tip_y = hinge + reach * (0.10 - 0.075 * opened), 0.665 - 0.09 * opened
        echo += 0.55 * _leaflet(x, y, (hinge, 0.675), (tip_x, tip_y))
    return echo, _flow(x, y, phase, (walls, mitral, tricuspid))


def _flow(x: Plane, y: Plane, phase: float, cavities: tuple[Plane, ...]) -> Plane:
    """Filling through both valves in diastole (E and A wave), outflow in systole."""
    early, late = np.exp(-(((phase - 0.58) / 0.07) ** 2)), 0.7 * np.exp(-(((phase - 0.90) / 0.05) ** 2))
    out = np.exp(-(((phase - 0.26) / 0.10) ** 2))
    inside = np.maximum.reduce([_edge(1.05 - cavity) for cavity in cavities])
    filling = np.exp(-(((x - 0.09) / 0.055) ** 2)) + 0.8 * np.exp(-(((x + 0.135) / 0.05) ** 2))
    filling = filling * np.exp(-(((y - 0.60) / 0.17) ** 2))
    leaving = np.exp(-(((x - 0.035 + 0.16 * (y - 0.6)) / 0.04) ** 2)) * np.exp(-(((y - 0.56) / 0.16) ** 2))
    return np.asarray(inside * (filling * (early + late) - 1.1 * leaving * out), np.float32)


def _leaflet(x: Plane, y: Plane, start: tuple[float, float], end: tuple[float, float]) -> Plane:
    vx, vy = end[0] - start[0], end[1] - start[1]
    t = np.clip(((x - start[0]) * vx + (y - start[1]) * vy) / (vx * vx + vy * vy), 0, 1)
    gap = np.hypot(x - start[0] - t * vx, y - start[1] - t * vy)
    return np.asarray(np.exp(-((gap / 0.007) ** 2)), np.float32)


def _edge(inside: Plane) -> Plane:
    return np.asarray(np.clip(inside / 0.12 + 0.5, 0, 1))


def _speckle(rng: np.random.Generator) -> Plane:
    """Speckle over depth and angle: the envelope of echoes that add up at random (Rayleigh), finer along the beam."""
    shape = (480, 256)
    field = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    spectrum = np.exp(-((np.fft.fftfreq(480)[:, None] / 0.22) ** 2 + (np.fft.fftfreq(256)[None, :] / 0.13) ** 2))
    envelope = np.abs(np.fft.ifft2(np.fft.fft2(field) * spectrum))
    return np.asarray(envelope / envelope.mean(), np.float32)


def _sample(speckle: Plane, depth: Plane, angle: Plane) -> Plane:
    rows = depth.astype(np.intp) % speckle.shape[0]
    columns = ((angle / HALF_ANGLE + 1) / 2 * 200).astype(np.intp) % speckle.shape[1]
    return np.asarray(speckle[rows, columns])


def _colour(frame: Plane, flow: Plane, box: NDArray[np.bool_]) -> None:
    """Red towards the probe, blue away from it, where it is faster than the wall filter."""
    seen = box & (np.abs(flow) > 0.16)
    fast = np.clip(np.abs(flow), 0, 1)[seen]
    towards = (flow > 0)[seen]
    frame[seen, 0] = np.where(towards, 120 + 135 * fast, 10 + 30 * fast)
    frame[seen, 1] = np.where(towards, 200 * fast**2, 20 + 190 * fast**2)
    frame[seen, 2] = np.where(towards, 10, 120 + 135 * fast)


def _annotated(frame: RGB, phase: float) -> RGB:
    """Colour scale, depth marks and a trace of the heart beat, as on a scanner's screen."""
    scale = np.linspace(1, -1, 120)[:, None].repeat(14, axis=1).astype(np.float32)
    bar = np.zeros((*scale.shape, 3), np.float32)
    _colour(bar, scale, np.ones(scale.shape, bool))
    frame[40:160, 600:614] = bar.astype(np.uint8)
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    for centimetre in range(0, int(DEPTH_CM) + 1, 2):
        y = APEX_Y + centimetre / DEPTH_CM * DEPTH_PX
        draw.line([(584, y), (590 if centimetre % 4 else 594, y)], fill=(190, 190, 190))
    draw.text((596, 26), "+64", fill=(220, 220, 220))
    draw.text((596, 164), "-64 cm/s", fill=(220, 220, 220), anchor="ma")
    draw.text((12, 12), "HUITONG PHANTOM  TTE  Ap4C  CDFI", fill=(200, 200, 120))
    draw.text((12, 28), "2.5 MHz  16 cm  40 Hz  67 bpm", fill=(170, 170, 170))
    times = np.arange(0, 200)
    beat = (times / 200.0) % 1
    trace = 462 - 26 * np.exp(-(((beat - 0.14) / 0.012) ** 2)) - 5 * np.exp(-(((beat - 0.04) / 0.03) ** 2))
    trace -= 8 * np.exp(-(((beat - 0.42) / 0.05) ** 2))
    draw.line([(14 + int(x), float(y)) for x, y in zip(times, trace, strict=True)], fill=(70, 210, 90))
    at = 14 + int(phase * 200)
    draw.line([(at, 430), (at, 470)], fill=(220, 60, 60))
    return np.asarray(picture)


def _jpeg(frame: RGB) -> bytes:
    written = io.BytesIO()
    Image.fromarray(frame).save(written, "JPEG", quality=86, subsampling="4:2:2")
    data = written.getvalue()
    return data + b"\0" * (len(data) % 2)


def _region() -> dict[str, object]:
    """Where the sector is and how large its pixels are (PS3.3 C.8.5.5)."""
    return {
        "RegionSpatialFormat": 1,
        "RegionDataType": 2,
        "RegionFlags": 2,
        "RegionLocationMinX0": 40,
        "RegionLocationMinY0": APEX_Y,
        "RegionLocationMaxX1": 600,
        "RegionLocationMaxY1": APEX_Y + DEPTH_PX,
        "ReferencePixelX0": APEX_X - 40,
        "ReferencePixelY0": 0,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": DEPTH_CM / DEPTH_PX,
        "PhysicalDeltaY": DEPTH_CM / DEPTH_PX,
        "TransducerFrequency": 2500,
    }
