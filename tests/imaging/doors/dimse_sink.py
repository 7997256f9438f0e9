"""A DIMSE door on a real socket whose instances end in memory, and a small requestor made of our own upper layer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from huitong.base.errors import NotAllowed
from huitong.imaging.doors.dimse import DimseServer, DimseService
from huitong.imaging.model import Expected, Kept, Outcome
from huitong.wire.dimse import (
    NEED_DATA,
    AssociateRequest,
    Association,
    ContextProposal,
    Data,
    Message,
    Role,
    UserInformation,
)
from huitong.wire.dimse.command import Command, c_store_request
from huitong.wire.dimse.uids import VERIFICATION

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


class MemoryIntake:
    """Bytes in memory; what it was told, it remembers."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.pieces = 0
        self.abandoned = False

    @property
    def size(self) -> int:
        return len(self.data)

    def write(self, chunk: memoryview) -> None:
        assert not self.abandoned
        self.data += chunk
        self.pieces += 1

    def abandon(self) -> None:
        self.abandoned = True


@dataclass
class Sink:
    """Where instances end, who may send them, and what is to go wrong."""

    known: tuple[str, ...] = ("CT1", "STORESCU", "ECHOSCU", "PYNETDICOM")
    #: SOP instance UID -> what `keep` raises for it.
    faults: dict[str, Exception] = field(default_factory=dict)
    #: What making an intake raises, once.
    intake_fault: Exception | None = None
    make_intake: Callable[[], Any] = MemoryIntake
    outcome: Outcome = Outcome.KEPT
    #: What `keep` takes at least.
    delay_s: float = 0
    #: `keep` returns while this is set.
    open: asyncio.Event = field(default_factory=asyncio.Event)
    kept: list[tuple[str, Expected, bytes]] = field(default_factory=list)
    intakes: list[MemoryIntake] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open.set()

    def identify(self, calling_aet: str, host: str, certificate: str) -> str:
        if calling_aet not in self.known:
            raise NotAllowed(f"{calling_aet} is not known from {host}")
        return f"{calling_aet}@{host}"

    def new_intake(self, work: str) -> MemoryIntake:
        if self.intake_fault is not None:
            fault, self.intake_fault = self.intake_fault, None
            raise fault
        self.intakes.append(self.make_intake())
        return self.intakes[-1]

    async def keep(self, work: str, intake: MemoryIntake, expected: Expected) -> Kept:
        await self.open.wait()
        await asyncio.sleep(self.delay_s)
        if expected.sop_instance_uid in self.faults:
            raise self.faults[expected.sop_instance_uid]
        self.kept.append((work, expected, bytes(intake.data)))
        return Kept(self.outcome, "1.1", "1.1.1", expected.sop_class_uid, expected.sop_instance_uid, "")

    def on_event(self, name: str, /, **fields: object) -> None:
        self.events.append((name, fields))

    def named(self, name: str) -> list[dict[str, object]]:
        return [fields for event, fields in self.events if event == name]

    def service(self, **changes: Any) -> DimseService[str, MemoryIntake]:
        return DimseService(
            identify=self.identify, new_intake=self.new_intake, keep=self.keep, on_event=self.on_event, **changes
        )


@asynccontextmanager
async def door(sink: Sink, **changes: Any) -> AsyncIterator[tuple[DimseServer[str, MemoryIntake], int]]:
    """(server, port) while the block runs."""
    server = DimseServer(sink.service(**changes))
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, port
    finally:
        await server.stop(grace_s=2)


async def until(condition: Callable[[], object], timeout_s: float = 5) -> None:
    """Wait for what happens on the loop."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


class Requestor:
    """An association with `door`, event by event."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.association = Association(Role.REQUESTOR)

    @classmethod
    async def connect(cls, port: int) -> Requestor:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def associate(cls, port: int, calling_aet: str = "CT1", called_aet: str = "HUITONG") -> Requestor:
        self = await cls.connect(port)
        contexts = (ContextProposal(1, VERIFICATION, (EXPLICIT,)), ContextProposal(3, CT, (EXPLICIT,)))
        user = UserInformation(max_pdu_bytes=65536)
        await self.write(self.association.send(AssociateRequest(called_aet, calling_aet, contexts, user)))
        self.answer = await self.event()
        return self

    async def write(self, *raw: bytes | memoryview) -> None:
        self.writer.writelines(raw)
        await self.writer.drain()

    async def event(self) -> Any:
        """The next event; None when the server has closed."""
        async with asyncio.timeout(5):
            while (event := self.association.next_event()) is NEED_DATA:
                raw = await self.reader.read(65536)
                if not raw:
                    return None
                self.association.receive(raw)
        assert not isinstance(event, Data)
        return event

    async def response(self) -> Command:
        event = await self.event()
        assert isinstance(event, Message), event
        return event.command

    def store_bytes(self, message_id: int, data: bytes, uid: str = "", context_id: int = 3) -> list[bytes | memoryview]:
        request = c_store_request(message_id, CT, uid or f"1.2.{message_id}")
        return [
            self.association.send_message(context_id, request),
            *self.association.send_data(context_id, data, last=True),
        ]

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()
