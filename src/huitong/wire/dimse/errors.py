"""The two ways an association goes wrong: by what the peer sent, or by what our own code asked for."""

from __future__ import annotations

from enum import IntEnum

from huitong.base.errors import OurFault, SenderFault


class AbortSource(IntEnum):
    """Source field of A-ABORT, PS3.8 table 9-26."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Reason/Diag field of A-ABORT when the source is the service-provider, PS3.8 table 9-26."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class RemoteProtocolError(SenderFault):
    """The peer broke the DICOM upper layer protocol."""

    #: The PDU that PS3.8 wants sent before the transport is closed (A-ABORT, or A-ASSOCIATE-RJ); may be empty.
    reply: bytes = b""

    def __init__(self, detail: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE) -> None:
        super().__init__(detail)
        self.reason = reason


class LocalProtocolError(OurFault):
    """Our own code asked for something the DICOM upper layer protocol does not allow now."""
