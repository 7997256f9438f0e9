"""What an ADT message says, in our words (HL7 v2.5 chapter 3). Pure: a message in, changes out.

Tolerant of how hospitals fill the segments, strict about whose number a patient number is: one that may be another
institution's is never taken for the sender's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any

from huitong.people.identifiers import GB11643, HEALTH_CARD, HMT, PASSPORT, TWT
from huitong.people.model import Certificate, Registration
from huitong.wire.hl7 import NULL, BadMessage, Message, Repetition, Segment, date, moment, part
from huitong.wire.mending import mended


class Effect(Enum):
    """What becomes of the visit that a message names."""

    NONE = auto()
    OPENS = auto()
    #: It is open, since whenever it was opened.
    GOES_ON = auto()
    CLOSES = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """What a trigger event asks for."""

    #: The demographics of PID are those of the patient from now on.
    registers: bool = False
    visit: Effect = Effect.NONE
    #: The number of MRG-1 is, from now on, that of PID-3.
    merges: bool = False
    #: Two PID segments are (True) or are not (False) one person.
    links: bool | None = None


#: Trigger events of ADT (HL7 table 0003) that are taken; others are answered 201.
EVENTS: dict[str, Event] = {
    "A01": Event(registers=True, visit=Effect.OPENS),
    "A02": Event(visit=Effect.GOES_ON),
    "A03": Event(visit=Effect.CLOSES),
    "A04": Event(registers=True, visit=Effect.OPENS),
    "A05": Event(registers=True),
    "A06": Event(registers=True, visit=Effect.GOES_ON),
    "A07": Event(registers=True, visit=Effect.GOES_ON),
    "A08": Event(registers=True),
    "A11": Event(visit=Effect.CLOSES),
    "A12": Event(),
    "A13": Event(visit=Effect.GOES_ON),
    "A18": Event(merges=True),
    "A24": Event(links=True),
    "A28": Event(registers=True),
    "A31": Event(registers=True),
    "A34": Event(merges=True),
    "A36": Event(merges=True),
    "A37": Event(links=False),
    "A38": Event(),
    "A39": Event(merges=True),
    "A40": Event(merges=True),
    "A46": Event(merges=True),
    "A47": Event(merges=True),
}
#: Those that would take something away.
_DELETING = {"A23", "A29"}

#: Identifier types (HL7 table 0203; CV02.01.101 of WS 364.3, which Chinese systems write there) -> kind of certificate.
CERTIFICATES = {
    "NI": GB11643, "NNCHN": GB11643, "ID": GB11643, "IDCARD": GB11643, "SFZ": GB11643, "01": GB11643,
    "PPN": PASSPORT, "03": PASSPORT, "06": HMT, "07": TWT, "HC": HEALTH_CARD, "JHN": HEALTH_CARD,
}  # fmt: skip
#: Types that say: a number by which the institution knows the patient.
_NUMBERS = {"", "MR", "PI", "PT", "PN", "MRN", "PID", "PATID", "IDENTIFIER"}
#: Sexes as they are written (HL7 table 0001, GB/T 2261.1, words).
_SEXES = {"M": "M", "F": "F", "O": "O", "A": "O", "1": "M", "2": "F", "男": "M", "女": "F"}
#: Name types (HL7 table 0200) that are no name of this person.
_NO_NAMES = {"S", "U", "TEMP"}
_VERSION = re.compile(r"2\.[1-9](\.\d{1,2})?")
_PRODUCTION = {"", "P"}
#: Of a number; no system has longer ones, and no index takes them.
_MOST_CHARS = 256


@dataclass(frozen=True, slots=True)
class VisitChange:
    """What becomes of a visit."""

    effect: Effect
    patient_number: str
    #: PV1-19; empty where the sender gives none.
    number: str
    #: Patient class, HL7 table 0004: I, O, E …
    patient_class: str
    #: When it was opened or closed.
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """All that one message says."""

    event: Event
    #: When this was so: of two messages about one patient, that of the later time is right.
    effective_at: datetime
    #: One for each number by which the institution knows the patient: all say the same.
    registrations: tuple[Registration, ...] = ()
    #: All numbers by which the message knows the patient, as it names them.
    numbers: tuple[str, ...] = ()
    visit: VisitChange | None = None
    #: (number that goes, number that stays)
    merges: tuple[tuple[str, str], ...] = ()
    #: The two numbers of a link.
    linked: tuple[str, str] | None = None


def read(message: Message, institution: str, received_at: datetime, *, test_too: bool = False) -> Told:
    """What an institution's message says; `received_at` bounds times from clocks that run ahead.

    Raises BadMessage. `test_too`: messages for training and debugging are taken as well (MSH-11).
    """
    event = _event(message, test_too)
    at = _effective_at(message, received_at)
    own = frozenset({institution, message.header.value(3).upper(), message.header.value(4).upper(), ""})
    if event.merges:
        return Told(event, at, merges=tuple(_merges(message, own)))
    if event.links is not None:
        return Told(event, at, linked=_linked(message, own))
    pid = _pid(message)
    numbers = _numbers(pid, 3, own)
    said = _demographics(pid) if event.registers else {}
    registrations = [Registration(institution, number, at, **said) for number in numbers] if event.registers else []
    return Told(event, at, tuple(registrations), numbers, _visit(message, event, numbers[0], at))


def _event(message: Message, test_too: bool) -> Event:
    header = message.header
    if not message.control_id:
        raise BadMessage("the message has no control id", 101, "MSH^1^10")
    _check(message.control_id, "MSH^1^10")
    _check(header.value(3), "MSH^1^3")
    if header.value(12) and not _VERSION.fullmatch(message.version):
        raise BadMessage("versions 2.3 to 2.8 are taken", 203, "MSH^1^12")
    if header.value(11) not in _PRODUCTION and not test_too:
        raise BadMessage("messages for production (P) are taken", 202, "MSH^1^11")
    kind, trigger = message.kind
    trigger = trigger or message.first("EVN").value(1)
    if kind != "ADT":
        raise BadMessage("ADT messages are taken", 200, "MSH^1^9^1^1")
    if trigger in _DELETING:
        raise BadMessage("nothing is deleted here: merge the number (A40), or ask the exchange", 201, "MSH^1^9^1^2")
    if trigger not in EVENTS:
        raise BadMessage(f"of ADT, {', '.join(EVENTS)} are taken", 201, "MSH^1^9^1^2")
    return EVENTS[trigger]


def _effective_at(message: Message, received_at: datetime) -> datetime:
    """EVN-2, else EVN-6, else MSH-7; never later than the message came."""
    evn = message.first("EVN")
    said = (moment(text) for text in (evn.value(2), evn.value(6), message.header.value(7)))
    return min(next((each for each in said if each), received_at), received_at)


# --- numbers ---


def _pid(message: Message) -> Segment:
    pid = message.first("PID")
    if not pid.fields:
        raise BadMessage("there is no PID", 100, "PID^1")
    return pid


def _numbers(segment: Segment, field: int, own: frozenset[str]) -> tuple[str, ...]:
    """The sender's own patient numbers among the identifiers (CX) of this field, in their order."""
    place = f"{segment.name}^1^{field}"
    found = [each for each in segment.repetitions(field) if _kind(each) in _NUMBERS and part(each, 1) not in ("", NULL)]
    if not found:
        raise BadMessage("there is no patient number", 101, place)
    ours = [each for each in found if _authority(each) in own]
    if not ours and len({_authority(each) for each in found}) > 1:
        raise BadMessage("of several assigning authorities none is the sender's (MSH-4)", 204, place)
    return tuple(dict.fromkeys(_check(part(each, 1).strip(), place) for each in ours or found))


def _check(number: str, place: str) -> str:
    """The number, one that can be a key."""
    if len(number) > _MOST_CHARS:
        raise BadMessage(f"longer than {_MOST_CHARS} characters", 104, place)
    if not number.isprintable():
        raise BadMessage("a number with characters that cannot be seen", 102, place)
    return number


def _kind(identifier: Repetition) -> str:
    return part(identifier, 5).strip().upper()


def _authority(identifier: Repetition) -> str:
    """The namespace of CX-4, else its universal id."""
    return (part(identifier, 4, 1) or part(identifier, 4, 2)).strip().upper()


def _certificates(repetitions: tuple[Repetition, ...]) -> tuple[Certificate, ...]:
    known = ((CERTIFICATES.get(_kind(each)), part(each, 1).strip()) for each in repetitions)
    return tuple(dict.fromkeys((kind, value) for kind, value in known if kind and value not in ("", NULL)))


def _merges(message: Message, own: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Of each PID and the MRG after it: the number that goes, the number that stays."""
    stays = ""
    found = False
    for segment in message.segments:
        if segment.name == "PID":
            stays = _numbers(segment, 3, own)[0]
        elif segment.name == "MRG":
            if not stays:
                raise BadMessage("MRG comes after its PID", 100, "MRG^1")
            found = True
            yield from ((goes, stays) for goes in _numbers(segment, 1, own) if goes != stays)
    if not found:
        raise BadMessage("there is no MRG", 100, "MRG^1")


def _linked(message: Message, own: frozenset[str]) -> tuple[str, str]:
    numbers = [_numbers(pid, 3, own)[0] for pid in message.all("PID")]
    if len(numbers) != 2 or numbers[0] == numbers[1]:
        raise BadMessage("two PID with two patient numbers are linked", 100, "PID^2")
    return numbers[0], numbers[1]


# --- demographics ---


def _demographics(pid: Segment) -> dict[str, Any]:
    """Fields of a `Registration`."""
    said = pid.repetitions
    certificates = _certificates(said(3)) + _legacy(pid)
    return {
        "names": _several(said(5), _names(said(5))),
        "sex": _one(pid.value(8), _SEXES.get(pid.value(8).strip().upper(), "")),
        "birth_date": _one(pid.value(7), date(pid.value(7))),
        "phones": _several(said(13) or said(14), tuple(_phones((*said(13), *said(14))))),
        "address": _one(_first_part(said(11)), _address(said(11))),
        "mother_name": _one(_first_part(said(6)), next(iter(_names(said(6))), "")),
        "mother_certificates": _several(said(21), _mother(said(21))),
        "birth_order": _order(pid),
        "certificates": tuple(dict.fromkeys(certificates)) or None,
    }


def _one(said: str, value: str) -> str | None:
    """None where nothing was said; empty where it was null, or nothing that can be understood."""
    return value if said else None


def _several(said: tuple[Repetition, ...], values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    return values if said else None


def _first_part(repetitions: tuple[Repetition, ...]) -> str:
    """Any text of the first repetition."""
    return next((each for component in (repetitions or ((),))[0] for each in component if each), "")


def _legacy(pid: Segment) -> tuple[Certificate, ...]:
    """PID-19, where Chinese systems put the citizen's number."""
    value = pid.value(19).strip()
    return ((GB11643, value),) if value not in ("", NULL) else ()


def _mother(repetitions: tuple[Repetition, ...]) -> tuple[Certificate, ...]:
    """The mother's certificates; an identifier without a type that has the shape of a citizen's number is one."""
    plain = (part(each, 1).strip() for each in repetitions if not _kind(each))
    return _certificates(repetitions) + tuple((GB11643, each) for each in plain if re.fullmatch(r"\d{17}[\dXx]", each))


def _names(repetitions: tuple[Repetition, ...]) -> tuple[str, ...]:
    """family^given of each name, hanzi and pinyin in the order in which they came."""
    usable = (each for each in repetitions if part(each, 7).upper() not in _NO_NAMES)
    return tuple(dict.fromkeys(name for name in map(_name, usable) if name))


def _name(name: Repetition) -> str:
    parts = (part(name, number).strip() for number in (1, 2, 3))
    return mended("^".join("" if each == NULL else each for each in parts).rstrip("^"))


def _phones(repetitions: tuple[Repetition, ...]) -> Iterator[str]:
    """The number as one text (XTN-12 or XTN-1), else of its parts."""
    for each in repetitions:
        parts = "".join(part(each, number) for number in (5, 6, 7))
        number = (part(each, 12) or part(each, 1) or parts).strip()
        if number and number != NULL and "@" not in number:
            yield number


def _address(repetitions: tuple[Repetition, ...]) -> str:
    """From the province to the door, as it is written in Chinese."""
    if not repetitions:
        return ""
    parts = (part(repetitions[0], number).strip() for number in (4, 3, 1, 2))
    return mended("".join("" if each == NULL else each for each in parts))


def _order(pid: Segment) -> int | None:
    text = pid.value(25).strip()
    return int(text) if text.isascii() and text.isdigit() and 0 < int(text) < 20 else None


# --- visits ---


def _visit(message: Message, event: Event, patient_number: str, at: datetime) -> VisitChange | None:
    pv1 = message.first("PV1")
    if event.visit is Effect.NONE or not pv1.fields:
        return None
    said = moment(pv1.value(45 if event.visit is Effect.CLOSES else 44))
    number, patient_class = (_check(pv1.value(field).strip(), f"PV1^1^{field}") for field in (19, 2))
    said_at = min(said or at, at)
    return VisitChange(event.visit, patient_number, "" if number == NULL else number, patient_class, said_at)
