"""One HL7 message on its way through the door: who sent it, what became of it, what is answered."""

from __future__ import annotations

import secrets
import time
from typing import Generic, TypeVar

from huitong.base.errors import HuitongError, OurFault, answer_for
from huitong.base.log import logger
from huitong.base.tls import Certificate
from huitong.people.doors.mllp_service import MllpService
from huitong.wire.hl7 import (
    BadMessage,
    Fault,
    Frame,
    Message,
    acknowledge,
    code_of,
    codec_of,
    framed,
    is_wanted,
    parse,
    parse_header,
    write,
)

log = logger(__name__)
W = TypeVar("W")


class Answering(Generic[W]):
    """Answers the messages of one address; blocks, as long as it takes to make them durable."""

    def __init__(self, service: MllpService[W], host: str, certificate: Certificate) -> None:
        """`certificate`: what the sender has shown over TLS."""
        self._service, self._host, self._certificate = service, host, certificate

    def answer(self, frame: Frame) -> bytes | None:
        """The framed acknowledgement; None where the sender wants none. Raises nothing."""
        began_s = time.perf_counter()
        asked, fault = self._outcome(frame)
        code = code_of(fault)
        self._service.on_event(
            "answered",
            event=asked.kind[1] if asked else "",
            code=code,
            seconds=time.perf_counter() - began_s,
        )
        if not is_wanted(asked, fault):
            return None
        reply = acknowledge(asked, fault, self._service.we, secrets.token_hex(8).upper(), self._service.clock())
        return framed(write(reply, codec_of(reply.header.value(18))))

    def _outcome(self, frame: Frame) -> tuple[Message | None, Fault | None]:
        """The message, as far as it could be read, and what is wrong with it."""
        try:
            asked = self._parsed(frame)
        except BadMessage as error:
            header = parse_header(frame.content)
            self._tell(error, header)
            return header, Fault.of(error)
        try:
            application, facility = asked.header.value(3), asked.header.value(4)
            work = self._service.identify(application, facility, self._host, self._certificate)
            self._service.take(work, asked)
        except Exception as error:
            self._tell(error, asked)
            return asked, _fault(error)
        return asked, None

    def _parsed(self, frame: Frame) -> Message:
        if frame.too_long:
            raise BadMessage(f"longer than {self._service.max_message_bytes} bytes", 104)
        return parse(frame.content)

    def _tell(self, error: Exception, asked: Message | None) -> None:
        """In the log, without a word of the message but its number and kind."""
        ours = isinstance(error, OurFault) or not isinstance(error, HuitongError)
        log.log(
            40 if ours else 30,
            "hl7 message refused",
            error=type(error).__name__,
            detail=error.detail if isinstance(error, HuitongError) else "",
            event_code=asked.kind[1][:8] if asked else "",
            control_id=asked.control_id[:40] if asked else "",
            host=self._host,
            exc_info=error if ours else None,
        )


def _fault(error: Exception) -> Fault:
    """How an error is said to the sender. A stranger's exception tells nothing of our insides."""
    if isinstance(error, BadMessage):
        return Fault.of(error)
    answer = answer_for(error)
    text = str(error) if isinstance(error, HuitongError) else (HuitongError.__doc__ or "")
    return Fault(answer.hl7, answer.code, text)
