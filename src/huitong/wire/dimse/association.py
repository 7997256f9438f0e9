"""One association, seen from one side: bytes in, events out; events in, bytes out. No socket and no clock.

Feed what came with `receive`, then take events with `next_event` until it is NEED_DATA. Send with `send`,
`send_message` and `send_data`; each returns the bytes to write. After every call look at `artim_wanted` (a timer of
the caller's choosing runs while it is true; call `artim_expired` when it ends) and at `close_wanted`.
When the peer breaks the protocol, `next_event` raises RemoteProtocolError; its `reply` is what to send before the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from huitong.wire.dimse.command import Command, encode_command
from huitong.wire.dimse.errors import AbortReason, AbortSource, LocalProtocolError, RemoteProtocolError
from huitong.wire.dimse.framing import Buffer, DataBegins, Fragment, Framer
from huitong.wire.dimse.messages import Data, Message, MessageReader, command_pdus, data_pdus
from huitong.wire.dimse.pdu import (
    REJECTIONS,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    Pdu,
    ReleaseReply,
    ReleaseRequest,
    encode_pdu,
)
from huitong.wire.dimse.states import TRANSITIONS, Action, Do, Evt, State

#: Where P-DATA-TF is only passed on (DT-2, AR-6). This is asked for each PDU, the table need not be.
_DATA_IS_WELCOME = frozenset(
    state for (evt, state), action in TRANSITIONS.items() if evt is Evt.P_DATA_TF and action.do is Do.INDICATE
)


class Role(Enum):
    """Who opened the transport connection."""

    REQUESTOR = "requestor"
    ACCEPTOR = "acceptor"


class NeedData:
    """Nothing more can be said before more bytes come."""


NEED_DATA = NeedData()

Event: TypeAlias = Pdu | Message | Data | NeedData


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """What a presentation context ID stands for on this association."""

    abstract_syntax: str
    transfer_syntax: str


_RECEIVED: dict[type[Pdu], Evt] = {
    AssociateRequest: Evt.ASSOCIATE_RQ,
    AssociateAccept: Evt.ASSOCIATE_AC,
    AssociateReject: Evt.ASSOCIATE_RJ,
    ReleaseRequest: Evt.RELEASE_RQ,
    ReleaseReply: Evt.RELEASE_RP,
    Abort: Evt.ABORT,
}

_SENT: dict[type[Pdu], Evt] = {
    AssociateRequest: Evt.LOCAL_ASSOCIATE_REQUEST,
    AssociateAccept: Evt.LOCAL_ACCEPT,
    AssociateReject: Evt.LOCAL_REJECT,
    ReleaseRequest: Evt.LOCAL_RELEASE_REQUEST,
    ReleaseReply: Evt.LOCAL_RELEASE_REPLY,
    Abort: Evt.LOCAL_ABORT,
}


@dataclass(slots=True)
class Association:
    """See the module."""

    role: Role
    state: State = field(init=False)
    #: Whether the ARTIM timer runs (PS3.8 9.1.5).
    artim_wanted: bool = field(init=False, default=False)
    #: Whether the transport is to be closed, once what was given to send is sent.
    close_wanted: bool = field(init=False, default=False)
    request: AssociateRequest | None = field(init=False, default=None)
    #: Accepted presentation contexts by ID; empty until the association is established.
    contexts: Mapping[int, AcceptedContext] = field(init=False, default_factory=dict)
    #: Longest P-DATA-TF the peer takes, in bytes; 0 for any.
    peer_max_pdu_bytes: int = field(init=False, default=0)
    _framer: Framer = field(init=False, default_factory=Framer)
    _reader: MessageReader = field(init=False, default_factory=MessageReader)
    #: Nothing that may still come can matter.
    _over: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        # The transport is the caller's and is open when there is an association to talk about: Evt5 is past here,
        # Evt1 and Evt2 fall together in `send(AssociateRequest)`.
        self.state = State.IDLE
        if self.role is Role.ACCEPTOR:
            self._step(Evt.TRANSPORT_INDICATED)

    # -- receiving

    def receive(self, data: Buffer) -> None:
        """Take bytes that came. `data` is not copied and has to stay as it is until `next_event` is NEED_DATA."""
        if not self._over:
            self._framer.feed(data)

    def next_event(self) -> Event:
        """What the bytes say, in order. Raises RemoteProtocolError once; what comes after that is discarded."""
        try:
            while not self._over:
                found = self._framer.next()
                if found is None:
                    return NEED_DATA
                event = self._understand(found)
                if event is not None:
                    return event
        except RemoteProtocolError as error:
            if not error.reply:
                error.reply = self._fail(error.reason)
            self._over = True
            self._framer.discard()
            raise
        return NEED_DATA

    def _understand(self, found: Pdu | DataBegins | Fragment) -> Event | None:
        if isinstance(found, Fragment):
            if self.state is State.AWAITING_CLOSE:
                return None  # AA-6 passed over the PDU, and so over what is in it
            if found.context_id not in self.contexts:
                raise RemoteProtocolError(f"presentation context {found.context_id} was not accepted")
            return self._reader.take(found)
        if isinstance(found, DataBegins):
            if self.state not in _DATA_IS_WELCOME:
                self._received(Evt.P_DATA_TF)
            return None
        if not self._received(_RECEIVED[type(found)], found):
            return None
        if isinstance(found, AssociateRequest):
            self.request, self.peer_max_pdu_bytes = found, found.user.max_pdu_bytes
        elif isinstance(found, AssociateAccept):
            self.peer_max_pdu_bytes = found.user.max_pdu_bytes
            self._agree(found, RemoteProtocolError)
        return found

    def _received(self, evt: Evt, pdu: Pdu | None = None) -> bool:
        """Take the step that `evt` asks for; whether the user is to be told."""
        action = TRANSITIONS.get((evt, self.state))
        if action is None:
            raise RemoteProtocolError(f"{evt.name} in state {self.state.name}", AbortReason.UNEXPECTED_PDU)
        if Do.ABORT_AS_USER in action.do or Do.ABORT_AS_PROVIDER in action.do:
            error = RemoteProtocolError(f"{evt.name} in state {self.state.name}", AbortReason.UNEXPECTED_PDU)
            error.reply = self._perform(action, error.reason)
            raise error
        if Do.DECIDE in action.do and isinstance(pdu, AssociateRequest) and not pdu.protocol_version & 1:
            # AE-6, "not acceptable by service-provider": version 1 is bit 0, PS3.8 table 9-11.
            error = RemoteProtocolError(f"protocol version {pdu.protocol_version:04x}H")
            error.reply = encode_pdu(REJECTIONS["protocol-version-not-supported"])
            self.state, self.artim_wanted = State.AWAITING_CLOSE, True
            raise error
        self._perform(action)
        return Do.INDICATE in action.do

    def _fail(self, reason: AbortReason) -> bytes:
        """Evt19: what came is not a PDU, or not one that makes sense."""
        action = TRANSITIONS.get((Evt.INVALID_PDU, self.state))
        return b"" if action is None else self._perform(action, reason)

    # -- sending

    def send(self, pdu: Pdu) -> bytes:
        """The bytes of `pdu`, after which the association is where the standard says.

        Raises LocalProtocolError when `pdu` cannot be sent now.
        """
        raw = encode_pdu(pdu)
        evt = _SENT[type(pdu)]
        if isinstance(pdu, AssociateRequest):
            self._step(evt)
            self.request, evt = pdu, Evt.TRANSPORT_CONFIRMED
        self._step(evt)
        if isinstance(pdu, AssociateAccept):
            self._agree(pdu, LocalProtocolError)
        return raw

    def send_message(self, context_id: int, command: Command) -> bytes:
        """The P-DATA-TF PDUs of a command set; its data set, if it says there is one, goes by `send_data`."""
        self._context(context_id)
        self._step(Evt.LOCAL_DATA)
        return command_pdus(context_id, encode_command(command), self.peer_max_pdu_bytes)

    def send_data(self, context_id: int, data: Buffer, *, last: bool) -> list[bytes | memoryview]:
        """Buffers to write for a piece of a data set, which is not copied. All pieces but the last: even lengths."""
        self._context(context_id)
        self._step(Evt.LOCAL_DATA)
        return data_pdus(context_id, data, last, self.peer_max_pdu_bytes)

    # -- what happens around the protocol

    def artim_expired(self) -> None:
        """The timer ended; the transport is to be closed."""
        self._step(Evt.ARTIM_EXPIRED)

    def transport_closed(self) -> None:
        """The peer, or the network, closed the transport connection."""
        if self.state is not State.IDLE:
            self._step(Evt.TRANSPORT_CLOSED)
        self._over = True
        self._framer.discard()

    @property
    def established(self) -> bool:
        return self.state is State.ESTABLISHED

    @property
    def between_messages(self) -> bool:
        """Whether no message is half received."""
        return self._reader.between_messages

    # -- the machine

    def _step(self, evt: Evt) -> Action:
        action = TRANSITIONS.get((evt, self.state))
        if action is None:
            raise LocalProtocolError(f"{evt.name} in state {self.state.name}")
        self._perform(action)
        return action

    def _perform(self, action: Action, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
        """Do what `action` says; the A-ABORT that is to be sent of itself, if one is."""
        reply = b""
        if Do.ABORT_AS_USER in action.do:
            reply = encode_pdu(Abort(AbortSource.SERVICE_USER))
        elif Do.ABORT_AS_PROVIDER in action.do:
            reply = encode_pdu(Abort(AbortSource.SERVICE_PROVIDER, reason))
        if Do.START_ARTIM in action.do:
            self.artim_wanted = True
        elif Do.STOP_ARTIM in action.do or action.state is State.IDLE:
            self.artim_wanted = False
        if Do.CLOSE in action.do:
            self.close_wanted = True
        self.state = action.state
        self._over = self._over or action.state is State.IDLE
        if action.name == "AR-8" and self.role is Role.ACCEPTOR:
            self.state = State.COLLISION_ACCEPTOR_REMOTE
        return reply

    def _agree(self, accept: AssociateAccept, error: type[LocalProtocolError] | type[RemoteProtocolError]) -> None:
        """Note which contexts are accepted, whichever side says so."""
        assert self.request is not None, "the state machine lets no answer come before the request"
        proposed = {context.context_id: context for context in self.request.contexts}
        accepted = {}
        for answer in accept.contexts:
            if answer.result is not ContextResult.ACCEPTANCE:
                continue
            proposal = proposed.get(answer.context_id)
            if proposal is None or answer.transfer_syntax not in proposal.transfer_syntaxes:
                raise error(f"context {answer.context_id} is accepted as it was not proposed")
            accepted[answer.context_id] = AcceptedContext(proposal.abstract_syntax, answer.transfer_syntax)
        self.contexts = accepted

    def _context(self, context_id: int) -> AcceptedContext:
        try:
            return self.contexts[context_id]
        except KeyError:
            raise LocalProtocolError(f"presentation context {context_id} was not accepted") from None
