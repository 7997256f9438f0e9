"""The upper layer state machine, PS3.8 section 9.2, as the table it is in the standard.

This module knows which action follows which event in which state, what that action does and where it leads.
It does not know bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, IntEnum, auto


class State(IntEnum):
    """PS3.8 table 9-1 to 9-5; the value is the number in the standard."""

    IDLE = 1
    #: Transport open, awaiting A-ASSOCIATE-RQ.
    AWAITING_REQUEST = 2
    #: Awaiting our own answer to the A-ASSOCIATE-RQ.
    AWAITING_LOCAL_ANSWER = 3
    AWAITING_TRANSPORT = 4
    #: Awaiting A-ASSOCIATE-AC or -RJ.
    AWAITING_ANSWER = 5
    ESTABLISHED = 6
    #: Awaiting A-RELEASE-RP.
    AWAITING_RELEASE_REPLY = 7
    #: Awaiting our own answer to the A-RELEASE-RQ; data may still be sent.
    AWAITING_LOCAL_RELEASE = 8
    COLLISION_REQUESTOR_LOCAL = 9
    COLLISION_ACCEPTOR_REMOTE = 10
    COLLISION_REQUESTOR_REMOTE = 11
    COLLISION_ACCEPTOR_LOCAL = 12
    #: Awaiting that the peer closes the transport.
    AWAITING_CLOSE = 13


class Evt(IntEnum):
    """PS3.8 table 9-10, left column; the value is the number in the standard."""

    LOCAL_ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRMED = 2
    ASSOCIATE_AC = 3
    ASSOCIATE_RJ = 4
    TRANSPORT_INDICATED = 5
    ASSOCIATE_RQ = 6
    LOCAL_ACCEPT = 7
    LOCAL_REJECT = 8
    LOCAL_DATA = 9
    P_DATA_TF = 10
    LOCAL_RELEASE_REQUEST = 11
    RELEASE_RQ = 12
    RELEASE_RP = 13
    LOCAL_RELEASE_REPLY = 14
    LOCAL_ABORT = 15
    ABORT = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Do(Flag):
    """What an action does besides changing the state."""

    NOTHING = 0
    #: Send the PDU that the local event carries.
    SEND = auto()
    #: Tell the user what came.
    INDICATE = auto()
    ABORT_AS_USER = auto()
    ABORT_AS_PROVIDER = auto()
    START_ARTIM = auto()
    STOP_ARTIM = auto()
    CLOSE = auto()
    #: Next state depends: AE-6 on the protocol version, AR-8 on the role.
    DECIDE = auto()


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    do: Do
    state: State


def _actions(*rows: tuple[str, Do, int]) -> dict[str, Action]:
    return {name: Action(name, do, State(state)) for name, do, state in rows}


#: PS3.8 tables 9-6 to 9-9. The state of AE-6 and AR-8 is the one of the ordinary case: acceptable, requestor.
ACTIONS = _actions(
    ("AE-1", Do.NOTHING, 4),
    ("AE-2", Do.SEND, 5),
    ("AE-3", Do.INDICATE, 6),
    ("AE-4", Do.INDICATE | Do.CLOSE, 1),
    ("AE-5", Do.START_ARTIM, 2),
    ("AE-6", Do.STOP_ARTIM | Do.INDICATE | Do.DECIDE, 3),
    ("AE-7", Do.SEND, 6),
    ("AE-8", Do.SEND | Do.START_ARTIM, 13),
    ("DT-1", Do.SEND, 6),
    ("DT-2", Do.INDICATE, 6),
    ("AR-1", Do.SEND, 7),
    ("AR-2", Do.INDICATE, 8),
    ("AR-3", Do.INDICATE | Do.CLOSE, 1),
    ("AR-4", Do.SEND | Do.START_ARTIM, 13),
    ("AR-5", Do.STOP_ARTIM, 1),
    ("AR-6", Do.INDICATE, 7),
    ("AR-7", Do.SEND, 8),
    ("AR-8", Do.INDICATE | Do.DECIDE, 9),
    ("AR-9", Do.SEND, 11),
    ("AR-10", Do.INDICATE, 12),
    ("AA-1", Do.ABORT_AS_USER | Do.START_ARTIM, 13),
    ("AA-2", Do.STOP_ARTIM | Do.CLOSE, 1),
    ("AA-3", Do.INDICATE | Do.CLOSE, 1),
    ("AA-4", Do.INDICATE, 1),
    ("AA-5", Do.STOP_ARTIM, 1),
    ("AA-6", Do.NOTHING, 13),
    ("AA-7", Do.ABORT_AS_PROVIDER, 13),
    ("AA-8", Do.ABORT_AS_PROVIDER | Do.INDICATE | Do.START_ARTIM, 13),
)

#: PS3.8 table 9-10 as printed: a line for each event, a column for each state Sta1 to Sta13.
_TABLE = """
Evt1   AE-1  -     -     -     -     -     -     -     -     -     -     -     -
Evt2   -     -     -     AE-2  -     -     -     -     -     -     -     -     -
Evt3   -     AA-1  AA-8  -     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt4   -     AA-1  AA-8  -     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt5   AE-5  -     -     -     -     -     -     -     -     -     -     -     -
Evt6   -     AE-6  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
Evt7   -     -     AE-7  -     -     -     -     -     -     -     -     -     -
Evt8   -     -     AE-8  -     -     -     -     -     -     -     -     -     -
Evt9   -     -     -     -     -     DT-1  -     AR-7  -     -     -     -     -
Evt10  -     AA-1  AA-8  -     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt11  -     -     -     -     -     AR-1  -     -     -     -     -     -     -
Evt12  -     AA-1  AA-8  -     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
Evt13  -     AA-1  AA-8  -     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6
Evt14  -     -     -     -     -     -     -     AR-4  AR-9  -     -     AR-4  -
Evt15  -     -     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  -
Evt16  -     AA-2  AA-3  -     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
Evt17  -     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
Evt18  -     AA-2  -     -     -     -     -     -     -     -     -     -     AA-2
Evt19  -     AA-1  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
"""


def _read_table() -> dict[tuple[Evt, State], Action]:
    table = {}
    for line in _TABLE.strip().splitlines():
        event, *cells = line.split()
        for state, name in enumerate(cells, start=1):
            if name != "-":
                table[Evt(int(event[3:])), State(state)] = ACTIONS[name]
    return table


#: What follows an event in a state; a pair that is absent cannot happen, or is an error of our own code.
TRANSITIONS = _read_table()
