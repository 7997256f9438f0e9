"""An MLLP door that keeps messages in a list, and a peer that speaks to it in octets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from huitong.base.errors import NotAllowed
from huitong.people.doors.mllp import MllpServer, MllpService
from huitong.wire.hl7 import Framer, Message, Sender, framed, parse

PID = "PID|1||P1^^^TAIYUAN^MR||王^小东||19491231|M"


def adt(number: int = 1, *segments: str, facility: str = "TAIYUAN", event: str = "A04", when: int = 0) -> bytes:
    """A message without its frame; `when` seconds after the morning of 1 March 2026."""
    time = f"20260301{8 + when // 3600:02d}{when // 60 % 60:02d}{when % 60:02d}"
    head = f"MSH|^~\\&|HIS|{facility}|HUITONG|PROVINCE|{time}||ADT^{event}|M{number}|P|2.5||||||UNICODE UTF-8"
    return "\r".join((head, f"EVN|{event}|{time}", *(segments or (PID,)), "")).encode()


@dataclass
class Sink:
    """What the door is given for an archive."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: Raised in place of taking the next message.
    errors: list[Exception] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    hosts: frozenset[str] = frozenset({"127.0.0.1"})

    def __post_init__(self) -> None:
        self.open.set()

    def identify(self, application: str, facility: str, host: str, certificate: str) -> str:
        if facility != "TAIYUAN":
            raise NotAllowed("facility (MSH-4)")
        return f"{application}@{facility}@{host}"

    def take(self, work: str, message: Message) -> None:
        assert self.open.wait(20)
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append((work, message.control_id))

    def note(self, name: str, /, **fields: Any) -> None:
        self.events.append((name, fields))

    def named(self, name: str) -> list[dict[str, Any]]:
        return [fields for each, fields in self.events if each == name]


@asynccontextmanager
async def door(sink: Sink, **more: Any) -> AsyncIterator[tuple[MllpServer[str], int]]:
    service = MllpService(
        knows=lambda host, _certificate: host in sink.hosts,
        identify=sink.identify, take=sink.take, we=Sender("HUITONG", "HUITONG"),
        on_event=sink.note, **more,
    )  # fmt: skip
    server = MllpServer(service)
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        sink.open.set()
        await server.stop(5)


class Peer:
    """Writes octets, reads acknowledgements."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._framer, self._waiting = Framer(1 << 20), []  # type: ignore[var-annotated]

    @classmethod
    async def connect(cls, port: int, **more: Any) -> Peer:
        return cls(*await asyncio.open_connection("127.0.0.1", port, **more))

    async def send(self, *messages: bytes) -> None:
        """All in one packet."""
        self.writer.write(b"".join(map(framed, messages)))
        await self.writer.drain()

    async def answer(self) -> Message:
        while not self._waiting:
            data = await asyncio.wait_for(self.reader.read(65536), 20)
            assert data, "the door closed"
            self._waiting += self._framer.feed(data)
        return parse(self._waiting.pop(0).content)

    async def said(self) -> tuple[str, str]:
        """MSA-1 and MSA-2 of the next answer."""
        msa = (await self.answer()).first("MSA")
        return msa.value(1), msa.value(2)

    async def gone(self) -> bool:
        """Whether the door has closed, without another word."""
        try:
            return await asyncio.wait_for(self.reader.read(), 20) == b""
        except ConnectionError:
            return True
        finally:
            await self.close()

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            return
