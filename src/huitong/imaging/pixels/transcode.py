"""Stored objects and frames for peers that cannot read their transfer syntax: uncompressed, little endian.

Lossless sources keep their UIDs and meaning; lossy ones keep saying so (LossyImageCompression, PS3.3 C.7.6.1.1.5).
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.decode import DECODERS, NATIVE, decode_frame
from huitong.imaging.pixels.elements import EXPLICIT_BIG_ENDIAN, Header
from huitong.imaging.pixels.module import image_pixel

_EXPLICIT_LITTLE_ENDIAN = str(ExplicitVRLittleEndian)
#: JPEG with the cosine transform is always lossy; objects that do not say so are made to.
_ALWAYS_LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55)}
#: Word length in bytes of binary value representations (PS3.5 6.2), swapped out of big endian.
_WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
#: All native pixel data of one object; what is larger is for a client that reads it compressed.
MAX_OBJECT_BYTES = 4 * 1024**3 - 2


def frame_as_native(header: Header, frame: bytes, transfer_syntax_uid: str, frame_number: int = 1) -> bytes:
    """One frame uncompressed and little endian, as PS3.5 8.1.1 stores it; compressed colour becomes RGB by pixel.

    Native little-endian frames come back as they are. Raises CannotRender.
    """
    pixel = image_pixel(header)
    if transfer_syntax_uid in NATIVE and pixel.bits_allocated > 1:
        if transfer_syntax_uid != EXPLICIT_BIG_ENDIAN:
            return frame
        return swapped(frame, _pixel_word(pixel.bits_allocated, pixel.vr))
    samples = decode_frame(header, frame, transfer_syntax_uid, frame_number)
    if pixel.bits_allocated == 1:
        return np.packbits(samples.reshape(-1), bitorder="little").tobytes()
    return _contained(samples, pixel.dtype.itemsize).tobytes()


def _contained(samples: np.ndarray[Any, np.dtype[Any]], size: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Samples in containers of `size` bytes. CannotRender when they do not fit."""
    kind = samples.dtype.kind
    if samples.dtype.itemsize > size and kind in "iu":
        limits = np.iinfo(np.dtype(f"{kind}{size}"))
        if samples.min() < limits.min or samples.max() > limits.max:
            raise CannotRender("the codestream holds larger values than BitsAllocated allows")
    return samples.astype(f"<{kind}{size}")


def _pixel_word(bits_allocated: int, vr: str) -> int:
    if bits_allocated > 8:
        return bits_allocated // 8
    return 2 if vr == "OW" else 1


def swapped(data: bytes, word: int) -> bytes:
    """Big-endian words as little-endian ones; an odd rest is left alone."""
    if word == 1:
        return data
    whole = len(data) // word * word
    return np.frombuffer(data, dtype=f">u{word}", count=whole // word).astype(f"<u{word}").tobytes() + data[whole:]


def transcode_to_explicit_le(part10: bytes) -> bytes:
    """The whole instance in Explicit VR Little Endian, pixel data uncompressed; the same UIDs.

    One frame is decoded at a time, straight into the new Pixel Data. Raises CannotRender when a frame cannot be
    decoded or the object cannot be written in that syntax.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(part10), force=True)
        syntax = _syntax(dataset)
    except Exception as error:  # pydicom raises many kinds on broken files
        raise CannotRender(f"the object cannot be read: {error}") from error
    if syntax == _EXPLICIT_LITTLE_ENDIAN and part10[128:132] == b"DICM":
        return part10
    if syntax not in DECODERS:
        raise CannotRender(f"no decoder for transfer syntax {syntax}")
    out = io.BytesIO()
    try:
        if "PixelData" in dataset and syntax not in NATIVE:
            _decompress(dataset, syntax)
        if syntax == EXPLICIT_BIG_ENDIAN:
            _swap_words(dataset)
        _complete_meta(dataset)
        if any(dataset.get_item(tag).VR is None for tag in tuple(dataset.keys())):
            list(dataset.iterall())  # implicit VR, whatever the meta information says: gives every element its VR
        pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    except CannotRender:
        raise
    except Exception as error:  # an element that pydicom cannot read shows only when it is touched
        raise CannotRender(f"the object cannot be written: {error}") from error
    return out.getvalue()


def _syntax(dataset: pydicom.Dataset) -> str:
    """The transfer syntax stated, or for files without meta information the one pydicom found it to be."""
    stated = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    if stated:
        return str(stated)
    if not len(dataset):
        raise ValueError("no data set")
    implicit, little = dataset.original_encoding
    return "1.2.840.10008.1.2" if implicit else (_EXPLICIT_LITTLE_ENDIAN if little else EXPLICIT_BIG_ENDIAN)


def _complete_meta(dataset: pydicom.Dataset) -> None:
    """File meta information of PS3.10 7.1 for the new syntax; what was there stays."""
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    meta = dataset.file_meta
    meta.FileMetaInformationGroupLength = 0  # counted while writing
    if "FileMetaInformationVersion" not in meta:
        meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = meta.get("MediaStorageSOPClassUID") or dataset.get("SOPClassUID", "")
    meta.MediaStorageSOPInstanceUID = meta.get("MediaStorageSOPInstanceUID") or dataset.get("SOPInstanceUID", "")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if "ImplementationClassUID" not in meta:
        meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.preamble = getattr(dataset, "preamble", None) or b"\0" * 128


def _decompress(dataset: pydicom.Dataset, syntax: str) -> None:
    """Pixel Data decoded in place, and the Image Pixel attributes that describe it."""
    header = _image_header(dataset)
    pixel = image_pixel(header)
    length = pixel.frame_samples * pixel.dtype.itemsize if pixel.bits_allocated > 1 else 0
    if length * pixel.frames > MAX_OBJECT_BYTES:
        raise CannotRender("the object is larger than explicit little endian can hold")
    # Grown frame by frame: NumberOfFrames is what the sender says, memory goes by what is there.
    native, seen, signed = bytearray(), 0, pixel.signed
    try:
        for frame in generate_frames(dataset.PixelData, number_of_frames=pixel.frames):
            if seen == pixel.frames:
                break
            samples = decode_frame(header, frame, syntax, seen + 1)
            signed = samples.dtype.kind == "i"
            native += (
                _contained(samples, pixel.dtype.itemsize).tobytes()
                if length
                else np.packbits(samples.reshape(-1), bitorder="little").tobytes()
            )
            seen += 1
    except ValueError as error:
        raise CannotRender(f"the pixel data are broken: {error}") from error
    if seen != pixel.frames:
        raise CannotRender(f"there are {seen} of {pixel.frames} frames")
    if len(native) % 2:
        native += b"\0"
    _describe(dataset, bytes(native), signed, syntax)


def _describe(dataset: pydicom.Dataset, native: bytes, signed: bool, syntax: str) -> None:
    vr = "OW" if dataset.BitsAllocated > 8 else "OB"
    del dataset["PixelData"]
    dataset.add_new("PixelData", vr, native)
    if dataset.get("SamplesPerPixel", 1) == 3:
        dataset.PhotometricInterpretation = "RGB"
        dataset.PlanarConfiguration = 0
    if "PixelRepresentation" in dataset:
        dataset.PixelRepresentation = int(signed)
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in dataset:
            del dataset[keyword]
    if syntax in _ALWAYS_LOSSY and not dataset.get("LossyImageCompression"):
        dataset.LossyImageCompression = "01"


def _image_header(dataset: pydicom.Dataset) -> dict[str, Any]:
    """What decoding needs of the data set, as DICOM JSON."""
    header: dict[str, Any] = {"7FE00010": {"vr": "OB"}}
    for element in dataset.group_dataset(0x0028):
        if element.VR in ("US", "CS", "SS", "IS"):
            value = element.value
            header[f"{int(element.tag):08X}"] = {
                "vr": element.VR,
                "Value": [str(value) if element.VR == "CS" else value],
            }
    return header


def _swap_words(dataset: pydicom.Dataset) -> None:
    """Binary values of a big-endian data set turned, at every depth; numbers pydicom turns itself."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _swap_words(item)
        elif element.keyword == "PixelData":
            element.value = swapped(element.value, _pixel_word(dataset.BitsAllocated, element.VR))
        elif element.VR in _WORDS and isinstance(element.value, bytes):
            element.value = swapped(element.value, _WORDS[element.VR])
