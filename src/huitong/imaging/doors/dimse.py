"""The DIMSE door: C-ECHO and C-STORE over TCP, answered only after the action has kept the instance.

Here are the listener and its end. `dimse_service` has the parameters, `dimse_connection` what happens on a connection,
`dimse_operation` what becomes of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Generic, TypeVar

from huitong.base.log import logger
from huitong.base.tls import HANDSHAKE_S
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
        self._servers: list[asyncio.Server] = []
        self._all_gone = asyncio.Event()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen on `host` ("" for every address) and `port` (0 for a free one); the port that it became.

        May be called again, for a port with TLS beside one without.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self.service, self._connections, self._all_gone),
            host or None,
            port,
            backlog=512,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_S if tls is not None else None,
        )
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        log.info("dimse listening", host=host, port=bound, aet=self.service.aet, tls=tls is not None)
        return bound

    @property
    def associations(self) -> int:
        """How many are established now."""
        return sum(connection.established for connection in self._connections)

    async def stop(self, grace_s: float) -> None:
        """Take no more associations; let each finish the instance it is at, answer it, and abort the association.

        After `grace_s` seconds what is left is cut off. Nothing that was acknowledged is lost either way.
        """
        if not self._servers:
            return
        for server in self._servers:
            server.close()
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
        self._servers.clear()
