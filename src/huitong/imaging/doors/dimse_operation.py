"""One DIMSE request on its way through the door: what it asks, where its data set goes, what is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from huitong.base.errors import HuitongError, MissingIdentity, NotDicom, answer_for
from huitong.imaging.model import Expected
from huitong.wire.dimse.association import AcceptedContext
from huitong.wire.dimse.command import RESPONSE, Command, CommandField, Status, response_to
from huitong.wire.dimse.messages import Message
from huitong.wire.dimse.uids import VERIFICATION


class Intake(Protocol):
    """Where the bytes of an instance go."""

    @property
    def size(self) -> int:
        """Bytes taken."""

    def write(self, chunk: memoryview, /) -> None:
        """Take `chunk`, which is overwritten as soon as this returns."""

    def abandon(self) -> None:
        """Forget everything; may come more than once, and after the bytes were kept."""


I = TypeVar("I", bound=Intake)  # noqa: E741  the letter of what it stands for


@dataclass(slots=True)
class Operation(Generic[I]):
    """A request between its command set and its response."""

    context_id: int
    command: Command
    #: Event loop time at which the command set was complete.
    began_s: float
    #: Status to answer, where that is settled; None while it depends on what becomes of the intake.
    status: int | None = None
    comment: str = ""
    #: Set for a C-STORE whose bytes are wanted.
    intake: I | None = None
    expected: Expected | None = None
    size_bytes: int = 0

    @property
    def is_store(self) -> bool:
        return self.command["CommandField"] == CommandField.C_STORE

    def write(self, chunk: memoryview) -> None:
        """Take a piece of the data set; after a failure the rest is received and dropped."""
        self.size_bytes += len(chunk)
        if self.intake is not None:
            self.intake.write(chunk)

    def fail(self, error: BaseException) -> None:
        """Answer with what the error table says; nothing is kept."""
        self.status = answer_for(error).dimse
        # A stranger's exception may quote what it was given; only our own messages are fit for the peer.
        self.comment = str(error) if isinstance(error, HuitongError) else ""
        self.abandon()

    def abandon(self) -> None:
        if self.intake is not None:
            intake, self.intake = self.intake, None
            intake.abandon()

    def response(self) -> Command:
        assert self.status is not None, "an operation is answered when its outcome is known"
        return response_to(self.command, self.status, self.comment)


def settled_status(command: Command, context: AcceptedContext) -> int | None:
    """The status that follows from the command set alone; None for a C-STORE that may go on (PS3.7 9.1, annex C)."""
    field = command["CommandField"]
    if field == CommandField.C_ECHO:
        return Status.SUCCESS
    if field != CommandField.C_STORE:
        return Status.UNRECOGNIZED_OPERATION
    return Status.SOP_CLASS_NOT_SUPPORTED if context.abstract_syntax == VERIFICATION else None


def wants_no_answer(command: Command) -> bool:
    """C-CANCEL-RQ has no response, and what it would cancel is over when we get to read it (PS3.7 9.3.2.3)."""
    return command["CommandField"] == CommandField.C_CANCEL


def is_response(command: Command) -> bool:
    """A response, to us who asked nothing."""
    return bool(command["CommandField"] & RESPONSE)


def expected_of(message: Message, context: AcceptedContext, calling_aet: str) -> Expected:
    """What the C-STORE-RQ says about its data set. Raises NotDicom, MissingIdentity."""
    if not message.data_follows:
        raise NotDicom("the C-STORE request has no data set")
    command = message.command
    sop_class_uid, sop_instance_uid = command.get("AffectedSOPClassUID"), command.get("AffectedSOPInstanceUID")
    if not sop_class_uid or not sop_instance_uid:
        raise MissingIdentity("in the C-STORE request")
    return Expected(sop_class_uid, sop_instance_uid, context.transfer_syntax, calling_aet)
