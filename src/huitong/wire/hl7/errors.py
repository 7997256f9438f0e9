"""What can be wrong with a message, in the words of HL7 table 0357; the sender is told them in an ERR segment."""

from __future__ import annotations

from huitong.base.errors import SenderFault

#: HL7 table 0357, message error condition codes (v2.5 2.17.5): those in use here.
CONDITIONS = {
    100: "Segment sequence error",
    101: "Required field missing",
    102: "Data type error",
    103: "Table value not found",
    104: "Value too long",
    200: "Unsupported message type",
    201: "Unsupported event code",
    202: "Unsupported processing id",
    203: "Unsupported version id",
    204: "Unknown key identifier",
    205: "Duplicate key identifier",
    206: "Application record locked",
    207: "Application internal error",
}


class BadMessage(SenderFault):
    """The HL7 message cannot be accepted."""

    def __init__(self, detail: str, condition: int = 102, location: str = "") -> None:
        super().__init__(detail)
        #: A key of `CONDITIONS`.
        self.condition = condition
        #: Where, as ERR-2 has it: segment^sequence^field^repetition^component; empty when it is nowhere in particular.
        self.location = location
