"""From a message to octets: segments end with CR, delimiters and control characters within texts are escaped."""

from __future__ import annotations

from huitong.wire.hl7.escapes import escaper
from huitong.wire.hl7.message import Delimiters, Field, Message, Segment


def write(message: Message, codec: str = "utf-8") -> bytes:
    """The message, without an MLLP frame. What the codec has no character for becomes a question mark."""
    return "".join(f"{_segment(each, message.delimiters)}\r" for each in message.segments).encode(codec, "replace")


def _segment(segment: Segment, d: Delimiters) -> str:
    if segment.name == "MSH":
        start = f"MSH{d.field}{d.encoding_characters}"
        return d.field.join((start, *(_field(each, d) for each in segment.fields[2:])))
    return d.field.join((segment.name, *(_field(each, d) for each in segment.fields)))


def _field(field: Field, d: Delimiters) -> str:
    escaped = escaper(d)
    return d.repetition.join(
        d.component.join(d.subcomponent.join(map(escaped, component)) for component in repetition)
        for repetition in field
    )
