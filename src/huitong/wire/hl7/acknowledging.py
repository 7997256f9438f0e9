"""Acknowledgements: ACK with MSA, and ERR where something is wrong (HL7 v2.5 2.9.2, 2.15.5, 2.15.8)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from huitong.wire.hl7.charset import UTF8
from huitong.wire.hl7.errors import CONDITIONS, BadMessage
from huitong.wire.hl7.message import Delimiters, Field, Message, Segment, field_of
from huitong.wire.hl7.times import stamp

#: Conditions of the message as a whole, or of ours, for which the same message may be taken another time or elsewhere:
#: rejected (AR). All others are errors of its content (AE).
_REJECTING = frozenset({200, 201, 202, 203, 207})
#: Name of the coding system of `CONDITIONS`.
_SYSTEM = "HL70357"


@dataclass(frozen=True, slots=True)
class Fault:
    """What an ERR segment says."""

    #: A key of `CONDITIONS`.
    condition: int
    #: Of our own table of errors.
    code: str
    #: For whoever looks after the sender. Never values of the message.
    text: str
    #: As in `BadMessage`.
    location: str = ""

    @classmethod
    def of(cls, error: BadMessage) -> Fault:
        return cls(error.condition, "invalid", str(error), error.location)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who answers, where the sender calls us by no name."""

    application: str
    facility: str


def code_of(fault: Fault | None) -> str:
    """AA, AE or AR (HL7 table 0008)."""
    if fault is None:
        return "AA"
    return "AR" if fault.condition in _REJECTING else "AE"


def acknowledge(asked: Message | None, fault: Fault | None, we: Sender, control_id: str, at: datetime) -> Message:
    """The answer to `asked` (None: not even its header could be read). `control_id` is the answer's own."""
    version = asked.version if asked else ""
    code = _in_mode(code_of(fault), asked)
    about = (fault.text,) if fault else ()
    msa = Segment("MSA", tuple(map(field_of, (code, asked.control_id if asked else "", *about))))
    errors = [] if fault is None else [_err(fault, version)]
    header = _header(asked, we, control_id, at)
    return Message((header, msa, *errors), _delimiters(asked))


def is_wanted(asked: Message | None, fault: Fault | None) -> bool:
    """Whether the sender wants an answer: in enhanced mode MSH-15 and MSH-16 say so (HL7 table 0155)."""
    if asked is None or not asked.header.value(15):
        return True
    wants = {asked.header.value(15), asked.header.value(16)} - {"", "NE"}
    return "AL" in wants or ("ER" if fault else "SU") in wants


def _in_mode(code: str, asked: Message | None) -> str:
    """CA, CE or CR where the sender wants to know of acceptance alone (enhanced mode)."""
    enhanced = asked is not None and asked.header.value(15) and asked.header.value(16) in ("", "NE")
    return f"C{code[1]}" if enhanced else code


def _header(asked: Message | None, we: Sender, control_id: str, at: datetime) -> Segment:
    d = _delimiters(asked)
    theirs = asked.header if asked else Segment("MSH", ())
    event = theirs.value(9, 2)
    kind: Field = ((("ACK",), (event,), ("ACK",)),) if event else field_of("ACK")
    fields: tuple[Field, ...] = (
        field_of(d.field), field_of(d.encoding_characters),
        theirs.repetitions(5) or field_of(we.application), theirs.repetitions(6) or field_of(we.facility),
        theirs.repetitions(3), theirs.repetitions(4),
        field_of(stamp(at)), (), kind, field_of(control_id), theirs.repetitions(11) or field_of("P"),
        theirs.repetitions(12) or field_of("2.5"), (), (), (), (), (), theirs.repetitions(18)[:1] or field_of(UTF8),
    )  # fmt: skip
    return Segment("MSH", fields)


def _delimiters(asked: Message | None) -> Delimiters:
    """Those of the sender, where all that is needed has one."""
    return asked.delimiters if asked and asked.delimiters.subcomponent else Delimiters()


def _err(fault: Fault, version: str) -> Segment:
    """From v2.5 on the fields are others; before, ERR-1 had place and code together."""
    place = tuple((each,) if each else () for each in fault.location.split("^")) if fault.location else ()
    condition: Field = (((str(fault.condition),), (CONDITIONS[fault.condition],), (_SYSTEM,)),)
    if _before_2_5(version):
        old = (*place, *((),) * (3 - len(place)))[:3]
        return Segment("ERR", (((*old, (str(fault.condition), CONDITIONS[fault.condition], _SYSTEM)),),))
    return Segment("ERR", tuple(_fields_of_2_5(fault, (place,) if place else (), condition)))


def _fields_of_2_5(fault: Fault, place: Field, condition: Field) -> Iterator[Field]:
    yield ()
    yield place
    yield condition
    yield field_of("E")
    yield (((fault.code,),),)
    yield ()
    yield ()
    yield field_of(fault.text)


def _before_2_5(version: str) -> bool:
    return version.split(".")[:2] in (["2", minor] for minor in "01234")
