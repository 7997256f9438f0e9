"""One DIMSE connection on the event loop: sockets, buffers and time around `huitong.wire.dimse`.

Fast by doing little. The kernel writes into one buffer that is used over and over, pieces of data sets go from there
into the intake without a copy of ours, and a task is made for each instance, never for each PDU.
While an instance is being kept the protocol waits: what the peer sends meanwhile stays in the buffer, and when that is
full, in the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from huitong.base.errors import HuitongError, NotAllowed, OurFault
from huitong.base.log import logger
from huitong.base.tls import shown
from huitong.imaging.doors.dimse_operation import (
    Intake,
    Operation,
    expected_of,
    is_response,
    settled_status,
    wants_no_answer,
)
from huitong.imaging.doors.dimse_service import DimseService
from huitong.wire.dimse import (
    NEED_DATA,
    Abort,
    AssociateReject,
    AssociateRequest,
    Association,
    Data,
    LocalProtocolError,
    Message,
    ReleaseReply,
    ReleaseRequest,
    RemoteProtocolError,
    Role,
    negotiate,
)
from huitong.wire.dimse.pdu import APPLICATION_CONTEXT, REJECTIONS

log = logger(__name__)

W = TypeVar("W")
I = TypeVar("I", bound=Intake)  # noqa: E741  the letter of what it stands for

#: Until an association is accepted, so that a crowd of strangers costs little.
_FIRST_BUFFER_BYTES = 16384
#: Connections without an association that are borne beside the associations.
_WAITING_ROOM = 64
#: Linux only. The kernel forgets it, so it is set again after every read; without it a sender with Nagle's algorithm
#: (dcmtk by default) and our delayed ACK wait for one another, 40 ms an instance.
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Connection(asyncio.BufferedProtocol, Generic[W, I]):
    """See the module."""

    def __init__(
        self, service: DimseService[W, I], connections: set[Connection[W, I]], all_gone: asyncio.Event
    ) -> None:
        self._service, self._connections, self._all_gone = service, connections, all_gone
        self._loop = asyncio.get_running_loop()
        self._association = Association(Role.ACCEPTOR)
        self._buffer = memoryview(bytearray(_FIRST_BUFFER_BYTES))
        #: Bytes of `_buffer` in use.
        self._end = 0
        self._work: W
        self._calling_aet = ""
        self._operation: Operation[I] | None = None
        #: Keeps an instance; while it runs no further event is taken.
        self._keeping: asyncio.Task[None] | None = None
        self._writable, self._reading, self._retiring, self._accepted = True, True, False, False
        #: How the association ended, for the log: the first that is said counts.
        self._ending = ""
        self._timer: asyncio.TimerHandle | None = None
        self._artim_since_s: float | None = None
        self._read_at_s = self._loop.time()

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._host = peer[0] if peer else ""
        self._certificate = shown(transport)
        self._log = log.bind(host=self._host)
        self._socket = transport.get_extra_info("socket")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(self)
        if len(self._connections) > self._service.max_associations + _WAITING_ROOM:
            self._log.warning("dimse connection refused, too many")
            transport.abort()
        self._settle()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._read_at_s = self._loop.time()
        end = self._end + nbytes
        self._association.receive(self._buffer[self._end : end])
        self._end = end
        self._pump()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._association.transport_closed()
        self._drop_operation()
        if self._timer is not None:
            self._timer.cancel()
        self._end_of_association("connection lost")
        self._leave()

    def pause_writing(self) -> None:
        # A peer that sends requests and takes no responses: its requests wait, too.
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._pump()

    # -- what the server calls

    @property
    def established(self) -> bool:
        return self._association.established

    def retire(self) -> None:
        """Finish the instance at hand, then abort the association."""
        self._retiring = True
        if self._ending and self._keeping is None:
            self._transport.close()  # all is said; a peer that has not closed yet does not hold us up
        self._settle()

    def cut(self) -> None:
        """Close at once."""
        self._transport.abort()

    # -- events

    def _pump(self) -> None:
        """Take events as far as they go."""
        next_event = self._association.next_event
        try:
            while self._keeping is None and self._writable:
                event = next_event()
                if event is NEED_DATA:
                    self._end = 0
                    break
                if type(event) is Data:
                    self._take_data(event)
                else:
                    self._HANDLERS[type(event)](self, event)
        except RemoteProtocolError as error:
            self._log.warning("dimse protocol error", detail=error.detail, calling_aet=self._calling_aet)
            self._drop_operation()
            self._transport.write(error.reply)
            self._end = 0
            self._end_of_association("protocol error")
        self._settle()

    def _associate(self, request: AssociateRequest) -> None:
        self._calling_aet = request.calling_aet
        refusal = self._refusal(request)
        if refusal:
            self._reject(refusal, request)
            return
        accept = negotiate(request, self._service.max_pdu_bytes)
        self._buffer, self._end = memoryview(bytearray(self._service.receive_buffer_bytes)), 0
        self._transport.write(self._association.send(accept))
        self._accepted = True
        self._log = self._log.bind(calling_aet=request.calling_aet)
        self._log.info(
            "dimse association accepted",
            contexts=len(self._association.contexts),
            refused_contexts=len(request.contexts) - len(self._association.contexts),
            implementation=request.user.implementation_version,
            peer_max_pdu_bytes=request.user.max_pdu_bytes,
        )
        self._service.on_event("association_accepted", calling_aet=request.calling_aet, host=self._host)

    def _refusal(self, request: AssociateRequest) -> str:
        """The name in `REJECTIONS` of what speaks against this association; empty when nothing does."""
        service = self._service
        if request.application_context != APPLICATION_CONTEXT:
            return "application-context-name-not-supported"
        if service.check_called_aet and request.called_aet != service.aet:
            return "called-AE-title-not-recognized"
        try:
            self._work = service.identify(request.calling_aet, self._host, self._certificate)
        except NotAllowed:
            return "calling-AE-title-not-recognized"
        except Exception:
            self._log.exception("dimse caller could not be identified", calling_aet=request.calling_aet)
            return "no-reason-given"
        hosts = [connection._host for connection in self._connections if connection.established]
        if len(hosts) >= service.max_associations or hosts.count(self._host) >= service.max_associations_of_one:
            return "local-limit-exceeded"
        return ""

    def _reject(self, reason: str, request: AssociateRequest) -> None:
        pdu: AssociateReject = REJECTIONS[reason]
        self._transport.write(self._association.send(pdu))
        self._log.warning(
            "dimse association rejected",
            reason=reason, calling_aet=request.calling_aet, called_aet=request.called_aet,
        )  # fmt: skip
        self._service.on_event("association_rejected", reason=reason, host=self._host)

    def _release(self, _: ReleaseRequest) -> None:
        self._transport.write(self._association.send(ReleaseReply()))
        self._end_of_association("released")

    def _peer_aborted(self, abort: Abort) -> None:
        self._log.info("dimse association aborted by peer", source=abort.source, reason=abort.reason)
        self._drop_operation()
        self._end_of_association("aborted by peer")

    # -- operations

    def _begin(self, message: Message) -> None:
        """A command set has come."""
        command, context = message.command, self._association.contexts[message.context_id]
        if is_response(command):
            self._abort("response to nothing")
            return
        operation: Operation[I] = Operation(message.context_id, command, self._loop.time())
        operation.status = settled_status(command, context)
        if operation.status is None:
            try:
                operation.expected = expected_of(message, context, self._calling_aet)
                operation.intake = self._service.new_intake(self._work)
            except Exception as error:
                self._fail(operation, error)
        if message.data_follows:
            self._operation = operation
        else:
            self._finish(operation)

    def _take_data(self, data: Data) -> None:
        operation = self._operation
        assert operation is not None, "data comes after its command set only"
        try:
            operation.write(data.chunk)
        except Exception as error:
            self._fail(operation, error)
        if data.last:
            self._operation = None
            self._finish(operation)

    def _finish(self, operation: Operation[I]) -> None:
        """The request is complete: answer it, or have it kept first."""
        if operation.intake is None:
            self._answer(operation)
        else:
            self._keeping = self._loop.create_task(self._keep(operation))

    async def _keep(self, operation: Operation[I]) -> None:
        assert operation.intake is not None
        assert operation.expected is not None
        outcome = None
        try:
            kept = await self._service.keep(self._work, operation.intake, operation.expected)
        except Exception as error:
            self._fail(operation, error)
        else:
            operation.status, outcome = 0x0000, kept.outcome
            operation.abandon()
        self._keeping = None
        self._read_at_s = self._loop.time()
        self._answer(operation, outcome.name.lower() if outcome else "")
        self._pump()

    def _answer(self, operation: Operation[I], outcome: str = "") -> None:
        command = operation.command
        if not wants_no_answer(command) and not self._transport.is_closing():
            # After an abort of ours there is nobody to answer; the instance is kept nonetheless.
            with contextlib.suppress(LocalProtocolError):
                self._transport.write(self._association.send_message(operation.context_id, operation.response()))
        self._service.on_event(
            "stored" if operation.is_store else "answered",
            status=operation.status,
            outcome=outcome,
            size_bytes=operation.size_bytes,
            seconds=self._loop.time() - operation.began_s,
            calling_aet=self._calling_aet,
        )

    def _fail(self, operation: Operation[I], error: Exception) -> None:
        """Note what went wrong with one instance; the association and its other instances go on."""
        ours = isinstance(error, OurFault) or not isinstance(error, HuitongError)
        self._log.log(
            40 if ours else 30,
            "dimse instance refused",
            error=type(error).__name__,
            detail=error.detail if isinstance(error, HuitongError) else "",
            sop_instance_uid=operation.command.get("AffectedSOPInstanceUID", ""),
            exc_info=error if ours else None,
        )
        operation.fail(error)

    def _drop_operation(self) -> None:
        """What was half received will not be whole."""
        if self._operation is not None:
            self._operation.abandon()
            self._operation = None

    # -- state, time, end

    def _abort(self, why: str) -> None:
        self._log.warning("dimse association aborted", why=why)
        self._drop_operation()
        self._transport.write(self._association.send(Abort()))
        self._end_of_association(why)

    def _at_rest(self) -> bool:
        return self._keeping is None and self._operation is None and self._association.between_messages

    def _settle(self) -> None:
        """After anything that may have changed: the timer, the flow of reads, the end."""
        association = self._association
        if self._transport.is_closing():
            return
        if association.close_wanted:
            self._transport.abort()
            return
        if self._retiring and self._at_rest():
            if association.established:
                self._abort("server stops")
            elif not self._accepted:
                self._transport.abort()
                return
        if association.artim_wanted != (self._artim_since_s is not None):
            self._artim_since_s = self._loop.time() if association.artim_wanted else None
            self._set_timer()
        full = self._end == len(self._buffer)
        if full == self._reading:
            self._reading = not full
            (self._transport.pause_reading if full else self._transport.resume_reading)()

    def _deadline_s(self) -> float:
        if self._artim_since_s is not None:
            return self._artim_since_s + self._service.artim_timeout_s
        since_s = self._read_at_s if self._keeping is None else self._loop.time()
        return since_s + self._service.idle_timeout_s

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline_s(), self._time_is_up)

    def _time_is_up(self) -> None:
        # Reads only note their time; whether the deadline moved is looked at here, not at every read.
        if self._loop.time() < self._deadline_s():
            self._set_timer()
        elif self._artim_since_s is not None:
            self._association.artim_expired()
            self._settle()
        else:
            self._abort("idle timeout")
            self._settle()

    def _end_of_association(self, how: str) -> None:
        if self._accepted and not self._ending:
            self._ending = how
            self._log.info("dimse association ended", how=how)
            self._service.on_event("association_ended", how=how, calling_aet=self._calling_aet, host=self._host)

    def _leave(self) -> None:
        """Out of the server's book, once nothing is being kept any more."""
        if self._keeping is not None:
            self._keeping.add_done_callback(lambda _: self._leave())
            return
        self._connections.discard(self)
        if not self._connections:
            self._all_gone.set()

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        AssociateRequest: _associate,
        ReleaseRequest: _release,
        Abort: _peer_aborted,
        Message: _begin,
    }
