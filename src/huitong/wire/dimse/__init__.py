"""The DICOM upper layer and DIMSE messages (PS3.8, PS3.7) without sockets, clock or threads, in the manner of h11.

An `Association` is fed the bytes that came and yields events; it is given events and yields the bytes to send.
The caller owns the transport and the ARTIM timer.
"""

from huitong.wire.dimse.association import NEED_DATA, AcceptedContext, Association, Event, NeedData, Role
from huitong.wire.dimse.errors import LocalProtocolError, RemoteProtocolError
from huitong.wire.dimse.messages import Data, Message
from huitong.wire.dimse.negotiation import negotiate
from huitong.wire.dimse.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextAnswer,
    ContextProposal,
    ReleaseReply,
    ReleaseRequest,
)
from huitong.wire.dimse.user_items import UserInformation

__all__ = [
    "NEED_DATA",
    "Abort",
    "AcceptedContext",
    "AssociateAccept",
    "AssociateReject",
    "AssociateRequest",
    "Association",
    "ContextAnswer",
    "ContextProposal",
    "Data",
    "Event",
    "LocalProtocolError",
    "Message",
    "NeedData",
    "ReleaseReply",
    "ReleaseRequest",
    "RemoteProtocolError",
    "Role",
    "UserInformation",
    "negotiate",
]
