"""What the DIMSE door is told once, and all its connections share.

It knows neither records nor disk nor institutions: who calls, and what becomes of the bytes, are functions given to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from huitong.base.tls import Certificate
from huitong.imaging.doors.dimse_operation import Intake
from huitong.imaging.model import Expected, Kept

#: The grant of `access`, which this door hands on and never looks into.
W = TypeVar("W")
I = TypeVar("I", bound=Intake)  # noqa: E741  the letter of what it stands for


class OnEvent(Protocol):
    """Is told what happened, for counting. Called on the loop, so it has to be quick.

    `association_accepted` (calling_aet, host), `association_rejected` (reason as in PS3.8 table 9-21, host),
    `association_ended` (how, calling_aet, host); `stored` for a C-STORE and `answered` for any other request (status,
    outcome: `kept`, `already`, `variant` or empty, size_bytes, seconds from command set to response, calling_aet).
    """

    def __call__(self, name: str, /, **fields: object) -> None: ...


def ignore_event(name: str, /, **fields: object) -> None:
    """Counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseService(Generic[W, I]):
    """What the door is told once, and all its connections share."""

    #: The institution behind a calling AE title, address and, over TLS, certificate.
    #: Raises NotAllowed.
    identify: Callable[[str, str, Certificate], W]
    new_intake: Callable[[W], I]
    #: Durable when it returns. Its HuitongErrors become DIMSE statuses.
    keep: Callable[[W, I, Expected], Awaitable[Kept]]
    aet: str = "HUITONG"
    #: Whether a caller has to call us by `aet`.
    check_called_aet: bool = True
    #: Longest P-DATA-TF we announce to take, in bytes. It bounds nothing but the peer's own buffer.
    max_pdu_bytes: int = 262144
    #: What one association may have received and not yet digested, in bytes.
    receive_buffer_bytes: int = 524288
    max_associations: int = 200
    #: From one address.
    max_associations_of_one: int = 200
    #: From connecting to A-ASSOCIATE-RQ, and from the end of an association to the end of its connection (ARTIM).
    artim_timeout_s: float = 30.0
    #: Without a byte from the peer while it is its turn.
    idle_timeout_s: float = 300.0
    on_event: OnEvent = ignore_event
