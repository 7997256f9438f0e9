"""The MLLP door: HL7 v2 messages over TCP or TLS, acknowledged only after what they say is kept.

Here are the listener and its end. `mllp_service` has the parameters, `mllp_connection` what happens on a connection,
`mllp_answering` what becomes of a message.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Generic, TypeVar

from huitong.base.log import logger
from huitong.base.tls import HANDSHAKE_S, shown
from huitong.people.doors.mllp_connection import Connection
from huitong.people.doors.mllp_service import MllpService

log = logger(__name__)

__all__ = ["MllpServer", "MllpService"]

W = TypeVar("W")


class MllpServer(Generic[W]):
    """Listens for connections."""

    def __init__(self, service: MllpService[W]) -> None:
        self.service = service
        self._connections: set[Connection[W]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen on `host` ("" for every address) and `port` (0 for a free one); the port that it became."""
        tls = self.service.tls
        handshake_s = HANDSHAKE_S if tls is not None else None
        self._server = await asyncio.start_server(
            self._serve, host or None, port, ssl=tls, backlog=512, ssl_handshake_timeout=handshake_s
        )
        bound: int = self._server.sockets[0].getsockname()[1]
        log.info("mllp listening", host=host, port=bound, tls=tls is not None)
        return bound

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._connections)

    def _of(self, host: str) -> int:
        """How many one address has open."""
        return sum(each.host == host for each in self._connections)

    async def stop(self, grace_s: float) -> None:
        """Take no more connections; let each finish the message it is at and answer it.

        After `grace_s` seconds what is left is cut off. Nothing that was acknowledged is lost either way.
        """
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            connection.retire()
        if self._tasks:
            _done, late = await asyncio.wait(self._tasks, timeout=grace_s)
            if late:
                log.warning("mllp connections cut off", count=len(late))
                for task in late:
                    task.cancel()
                await asyncio.wait(late)
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._run(reader, writer)
        finally:
            self._tasks.discard(task)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        host = peer[0] if peer else ""
        service, certificate = self.service, shown(writer.transport)
        full = len(self._connections) >= service.max_connections or self._of(host) >= service.max_connections_of_one
        if full or not service.knows(host, certificate):
            service.on_event("refused", host=host)
            log.warning("mllp connection refused", host=host, open=len(self._connections))
            writer.transport.abort()
            return
        connection = Connection(service, reader, writer, host, certificate)
        self._connections.add(connection)
        service.on_event("connected", host=host)
        how = "server stops"
        try:
            how = await connection.run()
        except OSError:
            how = "connection lost"
        except asyncio.CancelledError:
            pass  # by `stop` alone: nobody waits for this task to be cancelled
        finally:
            self._connections.discard(connection)
            service.on_event("ended", host=host, how=how)
            log.info("mllp connection ended", host=host, how=how, lost_bytes=connection.lost_bytes)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), service.frame_timeout_s)
