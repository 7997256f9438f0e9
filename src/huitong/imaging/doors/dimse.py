"""The DIMSE door: C-ECHO and C-STORE over TCP, answered only after the action has kept the instance.

Here are the parameters, the listener and its end; `dimse_connection` is what happens on one connection.
Neither knows records, disk or institutions: who calls, and what becomes of the bytes, are functions that come in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from huitong.base.log import logger
from huitong.imaging.doors.dimse_connection import Connection
from huitong.imaging.doors.dimse_operation import Intake
from huitong.imaging.model import Expected, Kept

log = logger(__name__)

#: The grant of `access`, which this door hands on and never looks into.
W = TypeVar("W")
I = TypeVar("I", bound=Intake)  # noqa: E741  the letter of what it stands for


class OnEvent(Protocol):
    """Is told what happened, for counting: `association_accepted`, `association_rejected`, `association_ended`,
    `echoed`, `stored`. Called on the loop, so it has to be quick."""

    def __call__(self, name: str, /, **fields: object) -> None: ...


def ignore_event(name: str, /, **fields: object) -> None:
    """Counts nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DimseService(Generic[W, I]):
    """What the door is told once, and all its connections share."""

    #: The institution behind a calling AE title and address. Raises NotAllowed.
    identify: Callable[[str, str], W]
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
    #: From connecting to A-ASSOCIATE-RQ, and from the end of an association to the end of its connection (ARTIM).
    artim_timeout_s: float = 30.0
    #: Without a byte from the peer while it is its turn.
    idle_timeout_s: float = 300.0
    on_event: OnEvent = ignore_event


class DimseServer(Generic[W, I]):
    """Listens for associations."""

    def __init__(self, service: DimseService[W, I]) -> None:
        self.service = service
        self._connections: set[Connection[W, I]] = set()
        self._server: asyncio.Server | None = None
        self._all_gone = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Listen on `host` ("" for every address) and `port` (0 for a free one); the port that it became."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self.service, self._connections, self._all_gone), host or None, port, backlog=512
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        log.info("dimse listening", host=host, port=bound, aet=self.service.aet)
        return bound

    @property
    def associations(self) -> int:
        """How many are established now."""
        return sum(connection.established for connection in self._connections)

    async def stop(self, grace_s: float) -> None:
        """Take no more associations; let each finish the instance it is at, answer it, and abort the association.

        After `grace_s` seconds what is left is cut off. Nothing that was acknowledged is lost either way.
        """
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.retire()
        if self._connections:
            self._all_gone.clear()
            try:
                await asyncio.wait_for(self._all_gone.wait(), grace_s)
            except TimeoutError:
                log.warning("dimse associations cut off", count=len(self._connections))
                for connection in list(self._connections):
                    connection.cut()
                await asyncio.sleep(0)  # in which the transports say connection_lost
        self._server = None
