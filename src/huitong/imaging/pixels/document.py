"""What an object encapsulates besides pictures: documents (PDF, CDA, models) and video streams."""

from __future__ import annotations

from dataclasses import dataclass

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import BulkReader, Header, binary, integer, tag_of, text

#: Storage SOP classes of encapsulated documents (PS3.3 A.45) and their media types.
DOCUMENT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.104.1": "application/pdf",
    "1.2.840.10008.5.1.4.1.1.104.2": "text/xml",  # CDA
    "1.2.840.10008.5.1.4.1.1.104.3": "model/stl",
    "1.2.840.10008.5.1.4.1.1.104.4": "model/obj",
    "1.2.840.10008.5.1.4.1.1.104.5": "model/mtl",
}

_UID = "1.2.840.10008.1.2.4"
_MPEG2, _MPEG4 = "video/mpeg", "video/mp4"

#: Media type of the stream by transfer syntax (PS3.18 table 8.7.3-5); fragmentable forms end in ".1".
VIDEO_SYNTAXES = {
    f"{_UID}.100": _MPEG2,
    f"{_UID}.101": _MPEG2,
    f"{_UID}.102": _MPEG4,
    f"{_UID}.103": _MPEG4,
    f"{_UID}.104": _MPEG4,
    f"{_UID}.105": _MPEG4,
    f"{_UID}.106": _MPEG4,
    f"{_UID}.107": _MPEG4,  # HEVC
    f"{_UID}.108": _MPEG4,  # HEVC
}
VIDEO_SYNTAXES |= {f"{uid}.1": media for uid, media in VIDEO_SYNTAXES.items()}


@dataclass(frozen=True, slots=True)
class Document:
    """An encapsulated document: where its bytes are and what they are."""

    media_type: str
    #: BulkDataURI of the bytes, None when they stand in the header.
    bulk_uri: str | None
    #: Without the padding to even length; None when the object does not say.
    length: int | None
    title: str


def is_document(header: Header) -> bool:
    """Whether the object encapsulates a document."""
    return tag_of("EncapsulatedDocument") in header


def document(header: Header) -> Document:
    """The document of the header. CannotRender when it has none."""
    element = header.get(tag_of("EncapsulatedDocument"))
    if not isinstance(element, dict):
        raise CannotRender("the object encapsulates no document")
    uri = element.get("BulkDataURI")
    return Document(
        media_type=_media_type(header),
        bulk_uri=uri if isinstance(uri, str) else None,
        length=integer(header, "EncapsulatedDocumentLength") or None,
        title=text(header, "DocumentTitle"),
    )


def _media_type(header: Header) -> str:
    """By SOP class; for other classes what the object says, if it is a kind known here (never text/html)."""
    by_class = DOCUMENT_CLASSES.get(text(header, "SOPClassUID"))
    stated = text(header, "MIMETypeOfEncapsulatedDocument").lower()
    if by_class is None and stated in DOCUMENT_CLASSES.values():
        return stated
    return by_class or "application/octet-stream"


def document_bytes(header: Header, bulk: BulkReader | None) -> bytes:
    """The document itself, without padding. CannotRender when there is none."""
    data = binary(header, "EncapsulatedDocument", bulk)
    if not data:
        raise CannotRender("the object encapsulates no document")
    length = document(header).length
    if length is not None and 0 < length <= len(data):
        return data[:length]
    # Without a length the pad byte stands behind the last line of a PDF, which readers expect at the end.
    return data[:-1] if data.endswith(b"\0") else data


def video_media_type(transfer_syntax_uid: str, head: bytes = b"") -> str | None:
    """Media type of a video stream, None for other transfer syntaxes. `head`: its first bytes, if at hand.

    MPEG-4 streams are allowed in an MP4 container or an MPEG-2 transport stream (PS3.5 8.2.7); only the bytes tell.
    """
    media = VIDEO_SYNTAXES.get(transfer_syntax_uid)
    if media is None:
        return None
    if head[4:8] == b"ftyp":
        return "video/mp4"
    if len(head) > 188 and head[0] == 0x47 and head[188] == 0x47:
        return "video/mp2t"
    return media
