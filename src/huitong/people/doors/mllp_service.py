"""What the MLLP door is told once, and all its connections share.

It knows neither records nor institutions: who calls, and what becomes of a message, are functions given to it.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from huitong.base.clock import Clock, now
from huitong.base.tls import Certificate
from huitong.wire.hl7 import Message, Sender

#: The grant of `access`, which this door hands on and never looks into.
W = TypeVar("W")


class OnEvent(Protocol):
    """Is told what happened, for counting. Called from any thread, so it has to be quick.

    `connected` and `refused` (host), `ended` (host, how); `answered` for a message (event: of `ADT^A01` the A01, empty
    where it could not be read; code: AA, AE or AR; seconds from its last octet to its answer; lost_bytes).
    """

    def __call__(self, name: str, /, **fields: object) -> None: ...


def ignore_event(name: str, /, **fields: object) -> None:
    """Counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpService(Generic[W]):
    """What the door is told once, and all its connections share."""

    #: Whether an address or a certificate is of any institution: others are not listened to.
    knows: Callable[[str, Certificate], bool]
    #: The institution behind MSH-3, MSH-4, the address and the certificate. Raises NotAllowed.
    identify: Callable[[str, str, str, Certificate], W]
    #: Does what the message says; blocks, and is durable when it returns. Its HuitongErrors become AE or AR.
    take: Callable[[W, Message], None]
    #: MSH-3 and MSH-4 of answers, where the sender calls us by no name.
    we: Sender
    max_message_bytes: int = 1 << 20
    max_connections: int = 64
    #: From one address.
    max_connections_of_one: int = 64
    #: Between two messages. Interface engines keep a connection open all day.
    idle_timeout_s: float = 3600.0
    #: Without an octet in the middle of a message, or while an answer is not taken.
    frame_timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None
    clock: Clock = now
    on_event: OnEvent = ignore_event
