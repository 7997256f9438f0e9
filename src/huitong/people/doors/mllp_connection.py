"""One MLLP connection: messages one after another, each answered before the next is looked at.

The order of messages is the order in which things happened in the hospital, so they are not worked on at once; who
wants to be quicker opens more connections.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from huitong.base.log import logger
from huitong.base.tls import Certificate
from huitong.people.doors.mllp_answering import Answering
from huitong.people.doors.mllp_service import MllpService
from huitong.wire.hl7 import Frame, Framer

log = logger(__name__)
W = TypeVar("W")
_READ_BYTES = 65536


class Connection(Generic[W]):
    """See the module. Runs as the task that made it."""

    def __init__(
        self,
        service: MllpService[W],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        certificate: Certificate,
    ) -> None:
        self._service, self._reader, self._writer, self.host = service, reader, writer, host
        self._framer = Framer(service.max_message_bytes)
        self._answering = Answering(service, host, certificate)
        self._busy, self._retiring = False, False
        self._task = asyncio.current_task()

    async def run(self) -> str:
        """Until one of the two ends it; how it ended, for the log."""
        while True:
            limit_s = self._service.frame_timeout_s if self._framer.midway else self._service.idle_timeout_s
            try:
                data = await asyncio.wait_for(self._reader.read(_READ_BYTES), limit_s)
            except TimeoutError:
                return "cut in a message" if self._framer.midway else "idle timeout"
            if not data:
                return "closed in a message" if self._framer.midway else "closed"
            for frame in self._framer.feed(data):
                try:
                    await self._serve(frame)
                except TimeoutError:
                    return "answers not taken"
                if self._retiring:
                    return "server stops"

    async def _serve(self, frame: Frame) -> None:
        self._busy = True
        try:
            answer = await asyncio.to_thread(self._answering.answer, frame)
            if answer is not None:
                self._writer.write(answer)
                await asyncio.wait_for(self._writer.drain(), self._service.frame_timeout_s)
        finally:
            self._busy = False

    @property
    def lost_bytes(self) -> int:
        """Octets that belonged to no message."""
        return self._framer.lost_bytes

    def retire(self) -> None:
        """Finish and answer the message at hand, then end."""
        self._retiring = True
        if not self._busy:
            self.cut()

    def cut(self) -> None:
        """End at once."""
        if self._task is not None:
            self._task.cancel()
