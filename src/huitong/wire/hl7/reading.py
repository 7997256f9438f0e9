"""From octets to a message, tolerant of what is met (v2.3 to 2.8) and strict about what cannot be understood.

Met and borne: segments ended by CR, LF or both; a byte order mark or blanks before MSH; a line break in the middle of a
text; anything after the last segment; a character set that is not the declared one. Refused, with HL7's own code for
it: what does not begin with MSH, batches and files (BHS, FHS), and what exceeds the limits below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from huitong.wire.dicom.charset import Decode
from huitong.wire.hl7.charset import decoder_of
from huitong.wire.hl7.errors import BadMessage
from huitong.wire.hl7.escapes import unescaped
from huitong.wire.hl7.message import Component, Delimiters, Field, Message, Repetition, Segment, field_of

#: A message of more is not an administrative one.
MAX_SEGMENTS = 10_000
#: Fields, repetitions, components and subcomponents together: each costs memory, delimiters alone cost none to send.
MAX_PARTS = 200_000
_BLANK = b"\xef\xbb\xbf \t\r\n\x00\x0b\x1c"
_LINE = re.compile(rb"\r\n|\r|\n")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}")
_BATCH = (b"FHS", b"BHS")


def parse(data: bytes) -> Message:
    """The message in `data`, one without its MLLP frame. Raises BadMessage and nothing else."""
    delimiters, header = _start(data)
    decode = decoder_of(_declared(header, delimiters))
    lines = _lines(data.lstrip(_BLANK), delimiters, decode)
    if len(lines) > MAX_SEGMENTS:
        raise BadMessage(f"more than {MAX_SEGMENTS} segments", 104)
    if sum(_parts(line, delimiters) for line in lines) > MAX_PARTS:
        raise BadMessage(f"more than {MAX_PARTS} fields and components", 104)
    if any(line.startswith("MSH") for line in lines[1:]):
        raise BadMessage("a second MSH: send each message by itself", 100, "MSH^2")
    reader = _Reader(delimiters, decode)
    return Message(tuple(reader.segment(line) for line in lines), delimiters)


def parse_header(data: bytes) -> Message | None:
    """MSH alone, of a message of which the rest need not be readable; None where there is none either."""
    try:
        return parse(_LINE.split(data.lstrip(_BLANK), maxsplit=1)[0][:_HEADER_BYTES])
    except BadMessage:
        return None


#: Of a message that is too long, as much as is looked at to answer it.
_HEADER_BYTES = 4096


def _start(data: bytes) -> tuple[Delimiters, bytes]:
    """The delimiters and the octets of MSH."""
    header = _LINE.split(data.lstrip(_BLANK)[: 2 * _HEADER_BYTES], maxsplit=1)[0]
    if header[:3] in _BATCH:
        raise BadMessage("batches and files are not taken: send each message by itself", 200)
    if header[:3] != b"MSH":
        raise BadMessage("a message begins with MSH", 100, "MSH^1")
    return _delimiters(header), header


def _delimiters(header: bytes) -> Delimiters:
    field = header[3:4].decode("latin-1")
    characters = header[4:].partition(field.encode("latin-1"))[0].decode("latin-1") if field else ""
    every = field + characters
    usable = all("!" <= each <= "~" and not each.isalnum() for each in every)
    if not 1 <= len(characters) <= 5 or not usable or len(set(every)) < len(every) or '"' in every:
        raise BadMessage("MSH-1 and MSH-2 are not the delimiters of a message, such as |^~\\&", 102, "MSH^1^2")
    return Delimiters(*every, *[""] * (6 - len(every)))


def _declared(header: bytes, delimiters: Delimiters) -> str:
    """MSH-18, its first repetition."""
    fields = header.split(delimiters.field.encode())
    said = fields[17] if len(fields) > 17 else b""
    return said.decode("latin-1").split(delimiters.repetition or "~")[0].split(delimiters.component)[0]


def _lines(data: bytes, delimiters: Delimiters, decode: Decode) -> list[str]:
    """The text of each segment. A line that begins none continues the one before; at the end it is nothing."""
    lines: list[str] = []
    continued: list[str] = []
    for raw in _LINE.split(data):
        line = decode(raw)
        if _begins_segment(line, delimiters):
            if continued:
                lines[-1] = "\n".join((lines[-1], *continued))
                continued = []
            lines.append(line)
        else:
            continued.append(line)
    return lines


def _begins_segment(line: str, delimiters: Delimiters) -> bool:
    return _SEGMENT.fullmatch(line[:3]) is not None and line[3:4] in ("", delimiters.field)


def _parts(line: str, delimiters: Delimiters) -> int:
    every = delimiters.field + delimiters.component + delimiters.repetition + delimiters.subcomponent
    return 1 + sum(line.count(each) for each in every)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Cuts the text of segments."""

    delimiters: Delimiters
    decode: Decode

    def segment(self, line: str) -> Segment:
        d = self.delimiters
        name, _, rest = line.partition(d.field)
        texts = rest.split(d.field)
        if name == "MSH":  # its second field has the delimiters themselves
            first = (field_of(d.field), field_of(d.encoding_characters))
            return Segment(name, _trimmed((*first, *map(self.field, texts[1:]))))
        return Segment(name, _trimmed(tuple(map(self.field, texts))))

    def field(self, text: str) -> Field:
        return _trimmed(tuple(self.repetition(each) for each in _split(text, self.delimiters.repetition)))

    def repetition(self, text: str) -> Repetition:
        return _trimmed(tuple(self.component(each) for each in _split(text, self.delimiters.component)))

    def component(self, text: str) -> Component:
        d = self.delimiters
        return _trimmed(tuple(unescaped(each, d, self.decode) for each in _split(text, d.subcomponent)))


def _split(text: str, delimiter: str) -> list[str]:
    return text.split(delimiter) if delimiter else [text]


def _trimmed(parts: tuple) -> tuple:  # type: ignore[type-arg]
    """Without empty parts at the end: they say nothing."""
    end = len(parts)
    while end and not parts[end - 1]:
        end -= 1
    return parts[:end]
