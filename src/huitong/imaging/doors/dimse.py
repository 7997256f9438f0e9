"""The DIMSE door: C-ECHO and C-STORE over TCP, answered only after the action has kept the instance.

Here are the listener and its end. `dimse_service` has the parameters, `dimse_connection` what happens on a connection,
`dimse_operation` what becomes of a request.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from huitong.base.log import logger
from huitong.imaging.doors.dimse_connection import Connection
from huitong.imaging.doors.dimse_operation import Intake
from huitong.imaging.doors.dimse_service import DimseService

log = logger(__name__)

__all__ = ["DimseServer", "DimseService"]

W = TypeVar("W")
I = TypeVar("I", bound=Intake)  # noqa: E741  the letter of what it stands for


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
