"""An ECG on millimetre paper as cardiologists read it: 25 mm/s, 10 mm/mV, A4 across, twelve leads or what there is.

Layouts: "3x4" prints the twelve leads in four columns of 2.5 s, running on in time, over a rhythm strip of lead II;
"12x1" prints every lead over the whole width. Other recordings get one row a channel.
PS3.3 A.34.3 to A.34.8, C.10.9; the sheet itself follows AHA/ACCF/HRS 2007 (recommendations on display).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huitong.imaging.pixels.elements import BulkReader, Header, first_item, items, numbers, person_name, text, values
from huitong.imaging.pixels.sheet import FAINT, INK, Curve, Sheet, Words, png, svg
from huitong.imaging.pixels.waveform import STANDARD_LEADS, Channel, Recording, main_recording, recordings

MM_PER_SECOND, MM_PER_MILLIVOLT = 25.0, 10.0

#: A4 across; the grid and the first sample lie on a 5 mm line.
_WIDTH, _HEIGHT = 297.0, 210.0
_GRID = (6.0, 39.0, 285.0, 160.0)
_START = 31.0
_STRIP_MM = 250.0
_STRIP_SECONDS = _STRIP_MM / MM_PER_SECOND
_PULSE_X = 16.0
_MAX_ROWS = 16

#: The column of a lead in the 3x4 layout is its place here divided by three.
_COLUMNS = 4
_RHYTHM = "II"

#: Measurements in the order in which they are printed (SCP-ECG and MDC codes, PS3.16 CID 3228, 3229).
_MEASUREMENTS = (
    (("5.10.2.5-1", "2:16016", "Ventricular Heart Rate", "Heart Rate"), "HR"),
    (("5.13.5-7", "2:15872", "PR Interval"), "PR"),
    (("5.13.5-9", "2:16156", "QRS Duration"), "QRS"),
    (("5.13.5-11", "2:16160", "QT Interval"), "QT"),
    (("5.10.2.5-5", "2:15876", "QTc Interval"), "QTc"),
    (("5.10.3-11", "P Axis"), "P axis"),
    (("5.10.3-13", "QRS Axis"), "QRS axis"),
    (("5.10.3-15", "T Axis"), "T axis"),
)
_RR_INTERVAL = ("5.10.2.1-3", "2:16168", "RR Interval")


def ecg_svg(header: Header, bulk: BulkReader | None, transfer_syntax_uid: str = "", *, layout: str = "3x4") -> str:
    """The recording as a stand-alone SVG document, A4 across in true size. CannotRender without a drawable waveform."""
    return svg(_sheet(header, bulk, transfer_syntax_uid, layout))


def ecg_png(
    header: Header,
    bulk: BulkReader | None,
    transfer_syntax_uid: str = "",
    *,
    layout: str = "3x4",
    width_px: int = 2376,
) -> bytes:
    """The same sheet as a PNG file `width_px` wide."""
    return png(_sheet(header, bulk, transfer_syntax_uid, layout), max(256, min(width_px, 4752)))


def _sheet(header: Header, bulk: BulkReader | None, transfer_syntax_uid: str, layout: str) -> Sheet:
    recording = main_recording(recordings(header, bulk, transfer_syntax_uid))
    name = person_name(header)
    sheet = Sheet(_WIDTH, _HEIGHT, f"ECG {name}".strip(), _GRID)
    _heading(sheet, header, name)
    leads = {channel.name: channel for channel in recording.channels}
    if layout == "3x4" and all(lead in leads for lead in STANDARD_LEADS):
        _three_by_four(sheet, recording, leads)
        gain = MM_PER_MILLIVOLT
    else:
        ordered = [leads[lead] for lead in STANDARD_LEADS if lead in leads]
        ordered += [channel for channel in recording.channels if channel.name not in STANDARD_LEADS]
        ordered = ordered[:_MAX_ROWS]
        _one_row_each(sheet, recording, ordered)
        gain = _gain(len(ordered)) if any(channel.unit == "mV" for channel in ordered) else 0.0
    _footing(sheet, header, recording, gain)
    return sheet


# curves ---------------------------------------------------------------------------------------------------------------


def _three_by_four(sheet: Sheet, recording: Recording, leads: dict[str, Channel]) -> None:
    _, top, _, height = _GRID
    pitch = height / 4
    column_seconds = _STRIP_SECONDS / _COLUMNS
    for row in range(4):
        baseline = top + pitch * (row + 0.5)
        _pulse(sheet, baseline, MM_PER_MILLIVOLT)
        if row == 3:
            _trace(sheet, recording, leads[_RHYTHM], _START, baseline, 0.0, _STRIP_SECONDS, MM_PER_MILLIVOLT)
            _label(sheet, _RHYTHM, _START, baseline)
            break
        for column in range(_COLUMNS):
            lead = STANDARD_LEADS[3 * column + row]
            x = _START + column * column_seconds * MM_PER_SECOND
            since = min(column * column_seconds, max(0.0, recording.seconds - column_seconds))
            _trace(sheet, recording, leads[lead], x, baseline, since, column_seconds, MM_PER_MILLIVOLT)
            _label(sheet, lead, x, baseline)
            if column:
                _mark(sheet, x, baseline)


def _one_row_each(sheet: Sheet, recording: Recording, channels: list[Channel]) -> None:
    _, top, _, height = _GRID
    pitch = height / max(len(channels), 1)
    volts = _gain(len(channels))
    for row, channel in enumerate(channels):
        baseline = top + pitch * (row + 0.5)
        gain = volts if channel.unit == "mV" else _fitting_gain(channel, pitch)
        offset = 0.0 if channel.unit == "mV" else _middle(channel)
        if channel.unit == "mV":
            _pulse(sheet, baseline, volts)
        shifted = Channel(channel.name, channel.values - offset, channel.unit)
        _trace(sheet, recording, shifted, _START, baseline, 0.0, _STRIP_SECONDS, gain)
        name = channel.name if channel.unit in ("mV", "") else f"{channel.name} [{channel.unit}]"
        _label(sheet, name, _START, baseline, min(13.0, pitch * 0.4))


def _gain(rows: int) -> float:
    """Millimetres a millivolt: the usual ten, half of that where rows stand too close."""
    return MM_PER_MILLIVOLT if rows <= 8 else MM_PER_MILLIVOLT / 2


def _fitting_gain(channel: Channel, pitch: float) -> float:
    """Millimetres a unit so that the curve fills most of its row."""
    finite = channel.values[np.isfinite(channel.values)]
    span = float(np.ptp(finite)) if finite.size else 0.0
    return 0.8 * pitch / span if span > 0 else 1.0


def _middle(channel: Channel) -> float:
    finite = channel.values[np.isfinite(channel.values)]
    return float(finite.max() + finite.min()) / 2 if finite.size else 0.0


def _trace(
    sheet: Sheet,
    recording: Recording,
    channel: Channel,
    x: float,
    baseline: float,
    since_s: float,
    seconds: float,
    gain: float,
) -> None:
    first = round(since_s * recording.frequency_hz)
    curve = channel.values[first : first + round(seconds * recording.frequency_hz) + 1]
    times = np.arange(len(curve)) / recording.frequency_hz
    points = np.column_stack((x + times * MM_PER_SECOND, baseline - curve * gain))
    top, bottom = _GRID[1], _GRID[1] + _GRID[3]
    points[:, 1] = np.clip(points[:, 1], top, bottom)
    sheet.curves.append(Curve(_thinned(points)))


def _thinned(points: NDArray[np.float64], step_mm: float = 0.08) -> NDArray[np.float64]:
    """Fewer points, no lost peaks: of those within `step_mm` the lowest and the highest stay (pacing spikes)."""
    if len(points) < 3:
        return points
    bucket = int(step_mm / max(points[1, 0] - points[0, 0], 1e-9))
    if bucket < 3:
        return points
    whole = len(points) // bucket * bucket
    heights = points[:whole, 1].reshape(-1, bucket)
    if np.isnan(heights).any():
        return points
    start = np.arange(0, whole, bucket)
    chosen = np.column_stack((start + heights.argmin(axis=1), start + heights.argmax(axis=1)))
    index = np.unique(np.concatenate((chosen.reshape(-1), np.arange(whole, len(points)), [0, len(points) - 1])))
    thinned: NDArray[np.float64] = points[index]
    return thinned


def _pulse(sheet: Sheet, baseline: float, height: float) -> None:
    """The calibration pulse: 1 mV for 0.2 s."""
    x = _PULSE_X
    steps = [(x, 0), (x + 2.5, 0), (x + 2.5, height), (x + 7.5, height), (x + 7.5, 0), (x + 10, 0)]
    sheet.curves.append(Curve(np.array([(px, baseline - py) for px, py in steps])))


def _mark(sheet: Sheet, x: float, baseline: float) -> None:
    """A short line where one lead ends and the next begins."""
    for y in (baseline - 12.0, baseline + 9.0):
        sheet.curves.append(Curve(np.array([(x, y), (x, y + 3.0)]), width=0.3, colour=INK))


def _label(sheet: Sheet, name: str, x: float, baseline: float, above: float = 13.0) -> None:
    sheet.words.append(Words(x + 1.2, baseline - above + 2.0, name[:40], size=4.0, bold=True))


# words ----------------------------------------------------------------------------------------------------------------


def _heading(sheet: Sheet, header: Header, name: str) -> None:
    """Who and when on the left, measurements in the middle, statements on the right."""
    sheet.words.append(Words(6, 11, name, size=5.6, bold=True, latin=_latin_name(header)))
    person = (text(header, "PatientSex"), _age(text(header, "PatientAge")), _date(text(header, "PatientBirthDate")))
    lines = (
        " · ".join(part for part in (f"ID {text(header, 'PatientID')}", *person) if part),
        _moment(header),
        text(header, "InstitutionName"),
    )
    for row, line in enumerate(lines):
        sheet.words.append(Words(6, 18 + 5.2 * row, line[:64], colour=INK if row < 2 else FAINT))
    measured = _measurements(header)
    for row, (label, value) in enumerate(measured):
        x, y = 128 + 36 * (row // 4), 11 + 5.2 * (row % 4)
        sheet.words.append(Words(x, y, label, colour=FAINT))
        sheet.words.append(Words(x + 17, y, value))
    for row, line in enumerate(_statements(header)[:5]):
        sheet.words.append(Words(204, 11 + 5.2 * row, line[:52], bold=row == 0))


def _latin_name(header: Header) -> str:
    groups = values(header, "PatientName")
    shown = groups[0].get("Alphabetic", "") if groups and isinstance(groups[0], dict) else ""
    return " ".join(str(shown).replace("^", " ").split())


def _age(stated: str) -> str:
    """ "042Y" as "42 Y"."""
    return f"{int(stated[:3])} {stated[3]}" if len(stated) == 4 and stated[:3].isdecimal() else stated


def _date(stated: str) -> str:
    return f"{stated[:4]}-{stated[4:6]}-{stated[6:8]}" if len(stated) >= 8 and stated[:8].isdigit() else stated


def _moment(header: Header) -> str:
    """When the recording was made, in the local time of the device, as it says."""
    stamp = text(header, "AcquisitionDateTime") or text(header, "StudyDate") + text(header, "StudyTime")
    time = stamp[8:14]
    shown = ":".join(a + b for a, b in zip(time[::2], time[1::2], strict=False)) if time.isdigit() else ""
    return f"{_date(stamp)} {shown}".strip()


def _annotations(header: Header) -> list[Header]:
    return items(header, "WaveformAnnotationSequence")


def _measurements(header: Header) -> list[tuple[str, str]]:
    """Global measurements as (label, value with unit), in the usual order."""
    found: dict[str, str] = {}
    for annotation in _annotations(header):
        concept, value = first_item(annotation, "ConceptNameCodeSequence"), numbers(annotation, "NumericValue")
        if concept is None or not value:
            continue
        names = {text(concept, "CodeValue"), text(concept, "CodeMeaning")}
        units = first_item(annotation, "MeasurementUnitsCodeSequence")
        unit = text(units, "CodeValue") if units is not None else ""
        for codes, label in _MEASUREMENTS:
            if names & set(codes):
                found.setdefault(label, f"{value[0]:g} {_UNITS.get(unit, unit)}".strip())
        if names & set(_RR_INTERVAL) and value[0] > 0 and unit == "ms":
            found.setdefault("HR", f"{60000 / value[0]:.0f} bpm")
    return [(label, found[label]) for _, label in _MEASUREMENTS if label in found]


_UNITS = {"deg": "°", "/min": "bpm", "{H.B.}/min": "bpm", "{beats}/min": "bpm"}


def _statements(header: Header) -> list[str]:
    """The device's own words on the recording; not a physician's conclusion."""
    said = []
    for annotation in _annotations(header):
        words = text(annotation, "UnformattedTextValue")
        if words:
            said += [line.strip() for line in words.splitlines() if line.strip()]
    return said


def _footing(sheet: Sheet, header: Header, recording: Recording, gain: float) -> None:
    low, high, notch = recording.filters_hz
    parts = [f"{MM_PER_SECOND:g} mm/s", *([f"{gain:g} mm/mV"] if gain else []), f"{recording.frequency_hz:g} Hz"]
    if high:
        parts.append(f"{low:g}\N{EN DASH}{high:g} Hz" + (f", notch {notch:g} Hz" if notch else ""))
    device = " ".join(part for part in (text(header, "Manufacturer"), text(header, "ManufacturerModelName")) if part)
    sheet.words.append(Words(6, 205, " · ".join(parts), size=3.0, colour=FAINT))
    if recording.seconds > _STRIP_SECONDS + 0.5:
        shown = f"first {_STRIP_SECONDS:g} s of {recording.seconds:.0f} s"
        sheet.words.append(Words(_WIDTH / 2, 205, shown, size=3.0, anchor="middle", colour=FAINT))
    sheet.words.append(Words(291, 205, device[:70], size=3.0, anchor="end", colour=FAINT))
