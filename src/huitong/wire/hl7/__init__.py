"""HL7 version 2 messages (2.3 to 2.8) and their framing by MLLP: octets in, values out, and back."""

from huitong.wire.hl7.acknowledging import Fault, Sender, acknowledge, code_of, is_wanted
from huitong.wire.hl7.charset import codec_of
from huitong.wire.hl7.errors import CONDITIONS, BadMessage
from huitong.wire.hl7.message import NULL, Delimiters, Message, Repetition, Segment, part
from huitong.wire.hl7.mllp import Frame, Framer, framed
from huitong.wire.hl7.reading import parse, parse_header
from huitong.wire.hl7.times import date, moment
from huitong.wire.hl7.writing import write

__all__ = [
    "CONDITIONS",
    "NULL",
    "BadMessage",
    "Delimiters",
    "Fault",
    "Frame",
    "Framer",
    "Message",
    "Repetition",
    "Segment",
    "Sender",
    "acknowledge",
    "code_of",
    "codec_of",
    "date",
    "framed",
    "is_wanted",
    "moment",
    "parse",
    "parse_header",
    "part",
    "write",
]
