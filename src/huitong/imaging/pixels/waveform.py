"""Waveforms of a header as physical values (PS3.3 C.10.9): channels with their lead names, units and sampling."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import (
    EXPLICIT_BIG_ENDIAN,
    BulkReader,
    Header,
    binary,
    first_item,
    integer,
    items,
    number,
    numbers,
    tag_of,
    text,
)

#: A sheet shows seconds, a Holter recording lasts days: no more than this is turned into values.
MAX_SECONDS = 60.0
_MAX_CHANNELS = 64

#: WaveformSampleInterpretation (PS3.3 C.10.9.1.5); companded audio (MB, AB) is not drawn.
_SAMPLES = {"SB": "i1", "UB": "u1", "SS": "i2", "US": "u2", "SL": "i4", "UL": "u4", "SV": "i8", "UV": "u8"}

#: UCUM units of voltage, in millivolts.
_MILLIVOLTS = {"uV": 1e-3, "µV": 1e-3, "mV": 1.0, "V": 1e3, "nV": 1e-6}

#: Numbers of leads in SCP-ECG (5.6.3-9-n) and MDC (2:n), the same by design (ISO/IEEE 11073-10102).
_LEAD_NUMBERS = {1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6"}
_LEAD_NUMBERS |= {61: "III", 62: "aVR", 63: "aVL", 64: "aVF"}

#: The standard leads in the order in which they are printed.
STANDARD_LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
_BY_NAME = {lead.upper(): lead for lead in STANDARD_LEADS}


@dataclass(frozen=True)
class Channel:
    """One curve."""

    #: A name of `STANDARD_LEADS`, or what the object calls the channel.
    name: str
    #: In millivolts when `unit` is "mV"; NaN where the recording has gaps (WaveformPaddingValue).
    values: NDArray[np.float64]
    unit: str


@dataclass(frozen=True)
class Recording:
    """A multiplex group: channels sampled together."""

    label: str
    #: WaveformOriginality is ORIGINAL; median beats and the like are DERIVED.
    original: bool
    frequency_hz: float
    #: Length of the whole recording; the channels may hold less (`MAX_SECONDS`).
    seconds: float
    channels: tuple[Channel, ...]
    #: (low, high, notch) filter in Hz; 0 where none is stated.
    filters_hz: tuple[float, float, float]


def recordings(header: Header, bulk: BulkReader | None, transfer_syntax_uid: str = "") -> list[Recording]:
    """Every multiplex group whose samples are of a kind that can be drawn. CannotRender when there is none."""
    groups = items(header, "WaveformSequence")
    if not groups:
        raise CannotRender("the object has no waveform")
    swapped = transfer_syntax_uid == EXPLICIT_BIG_ENDIAN
    found = [group for group in (_recording(item, bulk, swapped) for item in groups) if group is not None]
    if not found:
        raise CannotRender("the waveform is of a kind that is not drawn")
    return found


def main_recording(found: list[Recording]) -> Recording:
    """The one to show: original before derived, then most channels, then longest."""
    return max(found, key=lambda group: (group.original, len(group.channels), group.seconds))


def _recording(item: Header, bulk: BulkReader | None, swapped: bool) -> Recording | None:
    kind = _SAMPLES.get(text(item, "WaveformSampleInterpretation").upper())
    count, channels = integer(item, "NumberOfWaveformSamples"), integer(item, "NumberOfWaveformChannels")
    frequency = number(item, "SamplingFrequency", 0)
    if kind is None or count <= 0 or not 0 < channels <= _MAX_CHANNELS or frequency <= 0:
        return None
    data = binary(item, "WaveformData", bulk) or b""
    order = ">" if swapped else "<"
    sample = np.dtype(order + kind)
    shown = min(count, int(frequency * MAX_SECONDS) + 1, len(data) // (sample.itemsize * channels))
    if shown < 2:
        return None
    raw = np.frombuffer(data, dtype=sample, count=shown * channels).reshape(shown, channels).astype(np.float64)
    padding = _padding(item, sample)
    if padding is not None:
        raw[raw == padding] = np.nan
    definitions = items(item, "ChannelDefinitionSequence")
    return Recording(
        label=text(item, "MultiplexGroupLabel"),
        original=text(item, "WaveformOriginality", "ORIGINAL").upper() != "DERIVED",
        frequency_hz=frequency,
        seconds=count / frequency,
        channels=tuple(_channel(definitions[n] if n < len(definitions) else {}, n, raw[:, n]) for n in range(channels)),
        filters_hz=_filters(definitions[0] if definitions else {}),
    )


def _padding(item: Header, sample: np.dtype[np.generic]) -> float | None:
    """WaveformPaddingValue, stored as one sample (PS3.3 C.10.9.1.7) and so binary in the JSON model."""
    if tag_of("WaveformPaddingValue") not in item:
        return None
    stated = numbers(item, "WaveformPaddingValue")
    if stated:
        return stated[0]
    inline = item[tag_of("WaveformPaddingValue")].get("InlineBinary")
    data = binary(item, "WaveformPaddingValue", None) if inline else None
    if data is None or len(data) < sample.itemsize:
        return None
    return float(np.frombuffer(data, dtype=sample, count=1).astype(np.float64)[0])


def _channel(definition: Header, index: int, raw: NDArray[np.float64]) -> Channel:
    """Physical value = sample x sensitivity x correction + baseline (PS3.3 C.10.9.1.4.2 and following)."""
    name = _name(definition, index)
    if tag_of("ChannelSensitivity") not in definition:
        return Channel(name, raw, "")
    factor = number(definition, "ChannelSensitivity", 1) * number(definition, "ChannelSensitivityCorrectionFactor", 1)
    values = raw * factor + number(definition, "ChannelBaseline", 0)
    units = first_item(definition, "ChannelSensitivityUnitsSequence")
    unit = text(units, "CodeValue") if units is not None else ""
    if unit in _MILLIVOLTS:
        return Channel(name, values * _MILLIVOLTS[unit], "mV")
    return Channel(name, values, unit)


def _name(definition: Header, index: int) -> str:
    source = first_item(definition, "ChannelSourceSequence")
    code, meaning = (text(source, "CodeValue"), text(source, "CodeMeaning")) if source is not None else ("", "")
    numbered = re.fullmatch(r"(?:5\.6\.3-9-|2:)(\d+)", code)
    if numbered and int(numbered[1]) in _LEAD_NUMBERS:
        return _LEAD_NUMBERS[int(numbered[1])]
    label = text(definition, "ChannelLabel")
    for words in (code.replace("MDC_ECG_LEAD_", ""), meaning, label):
        for word in re.split(r"[\s_,()-]+", words.upper()):
            if word in _BY_NAME and words.upper().startswith((word, "LEAD", "ECG", "DERIVATION")):
                return _BY_NAME[word]
    return label or meaning or code or f"{index + 1}"


def _filters(definition: Header) -> tuple[float, float, float]:
    return (
        number(definition, "FilterLowFrequency", 0),
        number(definition, "FilterHighFrequency", 0),
        number(definition, "NotchFilterFrequency", 0),
    )
