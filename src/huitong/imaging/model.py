"""What the imaging room hands out: instances as kept, rows of the study list, series metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from huitong.wire.dicom.frames import Frames


class Outcome(Enum):
    """What became of an instance that arrived whole."""

    KEPT = "kept"
    #: The same bytes from the same institution were there before; nothing was written.
    ALREADY = "already there"
    #: The same UIDs with other bytes were there before; kept beside them and flagged.
    VARIANT = "variant"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the protocol said about the object before its bytes came (C-STORE-RQ, PS3.7 9.1.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    #: Of the presentation context; the data set alone was sent, without PS3.10 file meta information.
    transfer_syntax_uid: str
    #: Calling AE title, for (0002,0016) SourceApplicationEntityTitle.
    source_ae: str


@dataclass(frozen=True, slots=True)
class Kept:
    """The receipt: durable when it is handed out."""

    outcome: Outcome
    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance and where its bytes are."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    institution: str
    sha256: str
    size_bytes: int
    #: Blob name and the offset of the file's first byte in it.
    blob: str
    blob_offset: int
    #: None when there is no pixel data whose frames could be addressed.
    frames: Frames | None
    instance_number: int | None
    #: Deflated transfer syntax: `frames` counts from the inflated data set.
    deflated: bool = False
    #: Key of the index row, variant number (0: the first content under these UIDs), and length of the header kept
    #: behind the object's bytes.
    pk: int = 0
    variant: int = 0
    tail_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Bytes that the kernel can send: a descriptor that is valid while `keep` lives, and where in it they begin."""

    fd: int
    offset: int
    keep: object


@dataclass(frozen=True, slots=True)
class Link:
    """Where an instance can be fetched without us: bytes `blob_offset` to `+ size_bytes` of what the URL gives."""

    stored: StoredInstance
    #: None where the blob holds what the asker may not see, or where there is nobody but us to give it.
    url: str | None
    expires_at: datetime


class Slice(Protocol):
    """Bytes of one stored object, readable by range and sendable by the kernel."""

    @property
    def length(self) -> int:
        """Of the object, in bytes."""

    def at_hand(self, offset: int, length: int) -> bool:
        """Whether these bytes are on the local disk: otherwise `read` and `on_disk` wait for the network."""

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """`length` bytes from `offset` of the object. Raises StoreDamaged, StoreUnavailable."""

    def on_disk(self, offset: int, length: int) -> OnDisk:
        """The same, for the kernel. Raises as `read`."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Metadata:
    """DICOM JSON array of a series or study, made once and kept compressed."""

    #: gzip member (RFC 1952) of the UTF-8 JSON array.
    gzipped: bytes
    #: Strong validator, without quotes.
    etag: str


@dataclass(frozen=True, slots=True)
class Outline:
    """A series for a page that shows one picture after another."""

    #: SOP Instance UID and number of frames, in the order in which they are shown.
    images: tuple[tuple[str, int], ...]
    #: Of a picture in pixels, in its true proportions.
    width: int
    height: int
    #: Whether it has a window at all.
    grey: bool
    #: (explanation, centre, width) as the objects say them; the first is how they are shown.
    windows: tuple[tuple[str, float, float], ...]
    #: Centre and width from which to turn the window.
    start: tuple[float, float]
    #: Of a film; 0 where the object does not say.
    frame_ms: float


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A series as the study page shows it."""

    series_uid: str
    modality: str
    number: int | None
    description: str
    instance_count: int
    size_bytes: int
    #: Of the instance in the middle, for its thumbnail.
    representative_uid: str


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A line of the study list."""

    study_uid: str
    institution: str
    patient_id: str
    #: As shown: hanzi where the object has them, else the alphabetic group, carets as spaces.
    patient_name: str
    patient_sex: str
    patient_birth_date: str
    study_date: str
    study_time: str
    accession_number: str
    description: str
    modalities: tuple[str, ...]
    series_count: int
    instance_count: int
    size_bytes: int
    received_at: datetime
    settled: bool
    #: Reasons to look twice: "variant", "other-patient", "uid-elsewhere".
    flags: tuple[str, ...]
    #: The one of the studies of this UID that is meant where no institution is named.
    shown: bool = True
    #: Of the person; empty for a study without a patient number.
    exchange_id: str = ""
