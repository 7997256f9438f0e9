"""Cards, their holders, uses and figures; and the reasons for which a card is not taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Attribute(IntEnum):
    """What kind of card it is (卡属性)."""

    #: 电子就诊卡: of somebody without a certificate, for the time being.
    TEMPORARY = 1
    #: 电子健康卡: of a certificate.
    FORMAL = 2


class State(IntEnum):
    """Whether the card is taken (卡状态)."""

    NORMAL = 1
    SUSPENDED = 2


class Reason(StrEnum):
    """Why a card is not taken or not issued; the code that doors answer with."""

    #: The text is none of a health card.
    MALFORMED = "card-malformed"
    #: No card has this id.
    UNKNOWN = "card-unknown"
    #: The code or the card was made with a key that is not known here, or was altered.
    WRONG_KEY = "card-wrong-key"
    #: The code was good until a time that is past.
    EXPIRED = "card-expired"
    #: The code says to be good for longer than codes are: clocks differ.
    AHEAD = "card-ahead-of-time"
    #: The dynamic code was taken before.
    REPLAYED = "card-replayed"
    SUSPENDED = "card-suspended"
    #: Another person has a card of this certificate.
    TAKEN = "certificate-taken"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no, and why."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose card it is: a record of an institution, and the person it belongs to just now."""

    patient_pk: int
    person_pk: int
    exchange_id: str
    name: str
    #: "M", "F", "O" or "".
    sex: str
    #: YYYYMMDD or "".
    birth_date: str
    #: (type of CV02.01.101, number) of the certificate that a card can be made of; None without one.
    certificate: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Card:
    """A card as it stands."""

    card_id: str
    #: Type (CV02.01.101) and number of the certificate it was made of; of a temporary card 99 and a number of its own.
    certificate: tuple[str, str]
    key_version: int
    attribute: Attribute
    state: State
    issued_at: datetime
    #: By which institution it was issued.
    institution: str
    #: The formal card of the same person that took the place of this temporary one; empty when none did, or when the
    #: two were split since.
    replaced_by: str
    holder: Holder


@dataclass(frozen=True, slots=True)
class Issued:
    """The card of a person's certificate; `new` when it was not there before."""

    card: Card
    new: bool


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where and for what a card is shown: what a record of use (用卡记录) needs beside card, time and institution."""

    #: 诊疗环节代码, such as 010101 for registration; provinces have tables of their own.
    step: str
    terminal_id: str
    #: 终端类型: 01 staffed window, 02 self-service, 99 other.
    terminal_type: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A card that was taken, with all that its use record says."""

    #: The card that stands: of a temporary card that was replaced, the formal one.
    card: Card
    #: Numbers that the asking institution has given to the person.
    numbers: tuple[str, ...]
    terminal: Terminal
    at: datetime
    dynamic: bool


@dataclass(frozen=True, slots=True)
class Use:
    """A card was taken."""

    at: datetime
    #: Code of the institution; empty where a reader without one scanned it.
    institution: str
    #: 诊疗环节代码.
    step: str
    #: By the code of the minute, which opens records for a day; otherwise by the printed one, which opens none.
    dynamic: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person shows: a text for the QR code."""

    text: str
    #: Last second at which it is good; None for a static code.
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Figures:
    """How many cards there are, and for what they were used in a period."""

    issued: int
    #: Of these, those that are neither suspended nor replaced.
    active: int
    #: Of the active ones, those without certificate.
    temporary: int
    suspended: int
    #: Step code -> uses.
    uses_by_step: dict[str, int]
