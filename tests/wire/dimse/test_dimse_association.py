import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huitong.wire.dimse import (
    NEED_DATA,
    Abort,
    AcceptedContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Association,
    ContextAnswer,
    ContextProposal,
    Data,
    LocalProtocolError,
    Message,
    ReleaseReply,
    ReleaseRequest,
    RemoteProtocolError,
    Role,
    UserInformation,
    negotiate,
)
from huitong.wire.dimse.command import (
    CommandField,
    c_echo_request,
    c_store_request,
    encode_command,
    response_to,
)
from huitong.wire.dimse.messages import LONGEST_COMMAND_BYTES, command_pdus, data_pdus
from huitong.wire.dimse.pdu import REJECTIONS, ContextResult, encode_pdu
from huitong.wire.dimse.states import State
from huitong.wire.dimse.uids import VERIFICATION

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
REQUEST = AssociateRequest(
    "HUITONG",
    "CT1",
    (ContextProposal(1, VERIFICATION, (EXPLICIT,)), ContextProposal(3, CT, (EXPLICIT,))),
    UserInformation(max_pdu_bytes=16384),
)
STORE = c_store_request(1, CT, "1.2.3")
PROVIDER, UNRECOGNIZED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID = 2, 1, 2, 5, 6


def events(association: Association, raw: bytes) -> list[object]:
    """What `raw` says to `association`; data chunks as bytes, for their view ends with the call."""
    association.receive(raw)
    found: list[object] = []
    while (event := association.next_event()) is not NEED_DATA:
        found.append((event.context_id, bytes(event.chunk), event.last) if isinstance(event, Data) else event)
    return found


def pair(max_pdu_bytes: int = 262144) -> tuple[Association, Association]:
    """(requestor, acceptor) with an association between them."""
    requestor, acceptor = Association(Role.REQUESTOR), Association(Role.ACCEPTOR)
    assert events(acceptor, requestor.send(REQUEST)) == [REQUEST]
    accept = negotiate(REQUEST, max_pdu_bytes)
    assert events(requestor, acceptor.send(accept)) == [accept]
    return requestor, acceptor


def error(association: Association, raw: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        events(association, raw)
    return caught.value


def test_an_association_from_beginning_to_end():
    requestor, acceptor = pair()
    assert (
        requestor.contexts
        == acceptor.contexts
        == {
            1: AcceptedContext(VERIFICATION, EXPLICIT),
            3: AcceptedContext(CT, EXPLICIT),
        }
    )
    echo = c_echo_request(1, VERIFICATION)
    assert events(acceptor, requestor.send_message(1, echo)) == [Message(1, echo, data_follows=False)]
    answer = response_to(echo, 0)
    assert events(requestor, acceptor.send_message(1, answer)) == [Message(1, answer, data_follows=False)]
    assert events(acceptor, requestor.send_message(3, STORE)) == [Message(3, STORE, data_follows=True)]
    assert not acceptor.between_messages
    assert events(acceptor, b"".join(requestor.send_data(3, b"ab", last=False))) == [(3, b"ab", False)]
    assert events(acceptor, b"".join(requestor.send_data(3, b"cd", last=True))) == [(3, b"cd", True)]
    assert acceptor.between_messages
    assert events(acceptor, requestor.send(ReleaseRequest())) == [ReleaseRequest()]
    assert events(requestor, acceptor.send(ReleaseReply())) == [ReleaseReply()]
    assert (requestor.close_wanted, requestor.state) == (True, State.IDLE)
    assert (acceptor.close_wanted, acceptor.artim_wanted, acceptor.state) == (False, True, State.AWAITING_CLOSE)
    acceptor.transport_closed()
    assert (acceptor.artim_wanted, acceptor.state) == (False, State.IDLE)


def test_the_timer_runs_until_the_request_has_come_and_its_end_closes():
    acceptor = Association(Role.ACCEPTOR)
    assert acceptor.artim_wanted
    acceptor.artim_expired()
    assert acceptor.close_wanted
    acceptor = Association(Role.ACCEPTOR)
    events(acceptor, encode_pdu(REQUEST))
    assert not acceptor.artim_wanted


def test_a_rejected_requestor_learns_why_and_closes():
    requestor, acceptor = Association(Role.REQUESTOR), Association(Role.ACCEPTOR)
    events(acceptor, requestor.send(REQUEST))
    rejection = REJECTIONS["calling-AE-title-not-recognized"]
    assert events(requestor, acceptor.send(rejection)) == [AssociateReject(1, 1, 3)]
    assert requestor.close_wanted
    assert acceptor.artim_wanted


def test_a_protocol_version_without_version_1_is_rejected_by_the_provider():
    acceptor = Association(Role.ACCEPTOR)
    raw = bytearray(encode_pdu(REQUEST))
    raw[6:8] = b"\0\2"
    assert error(acceptor, bytes(raw)).reply == encode_pdu(AssociateReject(1, 2, 2))
    assert acceptor.state is State.AWAITING_CLOSE
    raw[6:8] = b"\0\3"
    assert [type(e) for e in events(Association(Role.ACCEPTOR), bytes(raw))] == [AssociateRequest]


def test_both_sides_may_ask_for_release_at_once():
    requestor, acceptor = pair()
    from_requestor, from_acceptor = requestor.send(ReleaseRequest()), acceptor.send(ReleaseRequest())
    assert events(requestor, from_acceptor) == [ReleaseRequest()]
    assert events(acceptor, from_requestor) == [ReleaseRequest()]
    assert (requestor.state, acceptor.state) == (State.COLLISION_REQUESTOR_LOCAL, State.COLLISION_ACCEPTOR_REMOTE)
    with pytest.raises(LocalProtocolError):
        acceptor.send(ReleaseReply())
    assert events(acceptor, requestor.send(ReleaseReply())) == [ReleaseReply()]
    assert events(requestor, acceptor.send(ReleaseReply())) == [ReleaseReply()]
    assert (requestor.state, acceptor.state) == (State.IDLE, State.AWAITING_CLOSE)


def test_data_still_comes_after_we_asked_for_release_and_still_goes_after_the_peer_did():
    requestor, acceptor = pair()
    acceptor.send(ReleaseRequest())
    assert events(acceptor, requestor.send_message(3, STORE)) == [Message(3, STORE, data_follows=True)]
    requestor, acceptor = pair()
    events(acceptor, requestor.send(ReleaseRequest()))
    answer = response_to(STORE, 0)
    assert events(requestor, acceptor.send_message(3, answer)) == [Message(3, answer, data_follows=False)]


def test_an_abort_ends_the_association_on_both_sides():
    requestor, acceptor = pair()
    assert events(acceptor, requestor.send(Abort())) == [Abort(0, 0)]
    assert (acceptor.state, acceptor.close_wanted) == (State.IDLE, True)
    assert (requestor.state, requestor.artim_wanted) == (State.AWAITING_CLOSE, True)
    assert events(acceptor, b"whatever else") == []


def test_an_abort_before_any_request_just_closes():
    acceptor = Association(Role.ACCEPTOR)
    assert events(acceptor, encode_pdu(Abort())) == []
    assert acceptor.close_wanted


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param("09000000 0004 00000000", UNRECOGNIZED, id="type nobody knows"),
        pytest.param("0200000000480001", None, id="acceptance begun, then nothing"),
        pytest.param("0100 00100001", INVALID, id="request of a megabyte and more"),
        pytest.param("0100 00000004 00000000", INVALID, id="request too short"),
        pytest.param("0400 00000000", INVALID, id="P-DATA-TF without a value"),
        pytest.param("0400 00000005 0000000001", INVALID, id="P-DATA-TF shorter than a value's header"),
        pytest.param("0400 7fffffff", INVALID, id="P-DATA-TF of 2 GB"),
        pytest.param("0400 00000006 00000001 0103", INVALID, id="value of one byte"),
        pytest.param("0400 00000006 00000040 0103", INVALID, id="value that reaches beyond its PDU"),
        pytest.param("0400 00000007 00000002 0101 00", INVALID, id="bytes after the last value"),
        pytest.param("0400 00000006 00000002 0503", INVALID, id="context that was not accepted"),
        pytest.param("0400 00000006 00000002 0103", UNEXPECTED_PARAMETER, id="empty command set"),
        pytest.param("0400 00000008 00000004 0103 abcd", INVALID, id="command set that is not one"),
        pytest.param("0400 00000008 00000004 0302 abcd", UNEXPECTED_PARAMETER, id="data before any command"),
        pytest.param("0500 00000005 0000000000", INVALID, id="release request of five bytes"),
        pytest.param("0600 00000004 00000000", UNEXPECTED, id="release reply to nothing"),
        pytest.param("0300 00000004 00010103", UNEXPECTED, id="rejection of what is established"),
    ],
)
def test_nonsense_on_an_association_is_answered_by_an_abort_that_says_what_was_wrong(raw, reason):
    _, acceptor = pair()
    raw = bytes.fromhex(raw)
    if reason is None:
        assert events(acceptor, raw) == []
        return
    assert error(acceptor, raw).reply == encode_pdu(Abort(PROVIDER, reason))
    assert (acceptor.state, acceptor.artim_wanted) == (State.AWAITING_CLOSE, True)
    assert events(acceptor, b"anything") == []


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", bytes.fromhex("040000000010")])
def test_nonsense_instead_of_a_request_is_answered_as_table_9_10_has_it(raw):
    acceptor = Association(Role.ACCEPTOR)
    assert error(acceptor, raw).reply == encode_pdu(Abort(0, 0))
    assert acceptor.state is State.AWAITING_CLOSE


def test_a_second_request_is_unexpected():
    _, acceptor = pair()
    assert error(acceptor, encode_pdu(REQUEST)).reply == encode_pdu(Abort(PROVIDER, UNEXPECTED))


def test_an_acceptance_of_what_was_not_proposed_is_refused():
    for answer in (ContextAnswer(9, ContextResult.ACCEPTANCE, EXPLICIT), ContextAnswer(1, ContextResult(0), "1.2.9")):
        requestor = Association(Role.REQUESTOR)
        requestor.send(REQUEST)
        raw = encode_pdu(AssociateAccept("HUITONG", "CT1", (answer,)))
        assert error(requestor, raw).reply == encode_pdu(Abort(PROVIDER, INVALID))
        acceptor = Association(Role.ACCEPTOR)
        events(acceptor, encode_pdu(REQUEST))
        with pytest.raises(LocalProtocolError):
            acceptor.send(AssociateAccept("HUITONG", "CT1", (answer,)))


def test_a_rejected_context_cannot_be_used_by_either_side():
    requestor, acceptor = Association(Role.REQUESTOR), Association(Role.ACCEPTOR)
    events(acceptor, requestor.send(REQUEST))
    answers = (ContextAnswer(1, ContextResult(0), EXPLICIT), ContextAnswer(3, ContextResult(3), EXPLICIT))
    events(requestor, acceptor.send(AssociateAccept("HUITONG", "CT1", answers)))
    with pytest.raises(LocalProtocolError):
        requestor.send_message(3, STORE)
    raw = command_pdus(3, encode_command(STORE), 0)
    assert error(acceptor, raw).reply == encode_pdu(Abort(PROVIDER, INVALID))


def test_what_cannot_be_sent_now_is_our_own_error_and_changes_nothing():
    acceptor = Association(Role.ACCEPTOR)
    for pdu in (
        negotiate(REQUEST, 0),
        REJECTIONS["no-reason-given"],
        ReleaseRequest(),
        ReleaseReply(),
        REQUEST,
        Abort(),
    ):
        with pytest.raises(LocalProtocolError):
            acceptor.send(pdu)
    assert acceptor.state is State.AWAITING_REQUEST
    with pytest.raises(LocalProtocolError):
        Association(Role.ACCEPTOR).send_message(1, STORE)


def test_a_command_set_without_end_is_cut_short():
    _, acceptor = pair()
    piece = bytes.fromhex("0400 00004006 00004002 0101") + bytes(0x4000)
    for _ in range(LONGEST_COMMAND_BYTES // 0x4000):
        assert events(acceptor, piece) == []
    assert error(acceptor, piece).reply == encode_pdu(Abort(PROVIDER, INVALID))


def test_fragments_of_two_messages_do_not_mix():
    data = b"".join(data_pdus(1, b"ab", True, 0))
    requestor, acceptor = pair()
    events(acceptor, requestor.send_message(3, STORE))
    assert error(acceptor, data).reply == encode_pdu(Abort(PROVIDER, UNEXPECTED_PARAMETER))
    requestor, acceptor = pair()
    events(acceptor, requestor.send_message(3, STORE))
    again = requestor.send_message(3, STORE)
    assert error(acceptor, again).reply == encode_pdu(Abort(PROVIDER, UNEXPECTED_PARAMETER))


def test_several_values_in_one_pdu_and_empty_ones_are_understood():
    _, acceptor = pair()
    command = encode_command(STORE)
    values = b"".join(
        (len(body) + 2).to_bytes(4, "big") + bytes((3, control)) + body
        for control, body in [(1, command[:10]), (1, b""), (3, command[10:]), (0, b"ab"), (0, b""), (2, b"")]
    )
    raw = b"\4\0" + len(values).to_bytes(4, "big") + values
    assert events(acceptor, raw) == [
        Message(3, STORE, data_follows=True), (3, b"ab", False), (3, b"", False), (3, b"", True),
    ]  # fmt: skip


def test_a_data_fragment_is_a_view_of_what_was_fed_and_comes_before_its_pdu_is_whole():
    requestor, acceptor = pair()
    events(acceptor, requestor.send_message(3, STORE))
    raw = bytearray(b"".join(data_pdus(3, bytes(100000), True, 0)))
    acceptor.receive(memoryview(raw)[:50000])
    event = acceptor.next_event()
    assert isinstance(event, Data)
    assert (event.chunk.obj is raw, len(event.chunk), event.last) == (True, 50000 - 12, False)


def test_what_comes_after_our_own_abort_is_passed_over():
    requestor, acceptor = pair()
    acceptor.send(Abort())
    late = requestor.send_message(3, STORE) + b"".join(requestor.send_data(3, bytes(50), last=True))
    assert events(acceptor, late) == []
    assert events(acceptor, encode_pdu(Abort())) == []
    assert acceptor.close_wanted


@pytest.mark.parametrize("max_pdu_bytes", [1, 7, 9, 128, 16384, 0])
@given(data=st.binary(max_size=3000))
@settings(max_examples=20)
def test_pdus_keep_to_the_peers_length_and_join_to_the_same_data(max_pdu_bytes, data):
    _, acceptor = pair()
    raw = command_pdus(3, encode_command(STORE), max_pdu_bytes) + b"".join(data_pdus(3, data, True, max_pdu_bytes))
    position, longest = 0, 0
    while position < len(raw):
        length = int.from_bytes(raw[position + 2 : position + 6], "big")
        longest, position = max(longest, length), position + 6 + length
    # 8 bytes are the least that can carry an even fragment, whatever the peer says.
    assert longest <= max(max_pdu_bytes or longest, 8)
    message, *pieces = events(acceptor, raw)
    assert message == Message(3, STORE, data_follows=True)
    assert b"".join(piece for _, piece, _ in pieces) == data
    assert [last for _, _, last in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece) % 2 == 0 for _, piece, _ in pieces[:-1])


def merged(found: list[object]) -> list[object]:
    """Data pieces of one data set joined: their cuts may differ, what they say may not."""
    result: list[object] = []
    for event in found:
        if isinstance(event, tuple) and result and isinstance(result[-1], tuple) and not result[-1][2]:
            event = (event[0], result.pop()[1] + event[1], event[2])
        result.append(event)
    return result


@given(st.data())
@settings(max_examples=60)
def test_the_same_bytes_say_the_same_however_they_are_split(data):
    requestor, _ = pair()
    peer = Association(Role.REQUESTOR)
    raw = peer.send(REQUEST)
    peer.receive(encode_pdu(negotiate(REQUEST, 100)))
    peer.next_event()
    for number in range(data.draw(st.integers(0, 3))):
        raw += peer.send_message(1, c_echo_request(number, VERIFICATION)) + peer.send_message(3, STORE)
        raw += b"".join(peer.send_data(3, data.draw(st.binary(max_size=400)), last=True))
    raw += data.draw(st.sampled_from([peer.send(ReleaseRequest()), b"\4\0\0\0\0\6\0\0\0\2\5\0", b"\x99" * 6, b""]))

    def understood(chunks: list[bytes]) -> list[object]:
        acceptor = Association(Role.ACCEPTOR)
        found: list[object] = []
        for chunk in chunks:
            try:
                for event in events(acceptor, chunk):
                    found.append(event)
                    if isinstance(event, AssociateRequest):
                        acceptor.send(negotiate(event, 100))
            except RemoteProtocolError as caught:
                found.append(caught.reply)
        return merged(found)

    begin = len(encode_pdu(REQUEST))
    cuts = sorted({0, begin, len(raw), *data.draw(st.lists(st.integers(0, len(raw)), max_size=30))})
    by_cuts = understood([raw[a:b] for a, b in itertools.pairwise(cuts)])
    by_bytes = understood([raw[i : i + 1] for i in range(len(raw))])
    whole = understood([raw[:begin], raw[begin:]])
    assert not requestor.close_wanted
    if not isinstance(whole[-1] if whole else None, bytes):
        assert by_cuts == by_bytes == whole
    else:
        # What was said before the nonsense may be lost with it in one read, as `events` gives up its list.
        assert by_cuts[-1] == by_bytes[-1] == whole[-1]


def reply(association: Association, raw: bytes) -> bytes | None:
    """What the protocol error that `raw` is wants sent; None when it is none."""
    try:
        events(association, raw)
    except RemoteProtocolError as caught:
        return caught.reply
    return None


REPLIES = (
    None,
    b"",
    encode_pdu(Abort(0, 0)),
    encode_pdu(AssociateReject(1, 2, 2)),
    *(encode_pdu(Abort(PROVIDER, reason)) for reason in (UNRECOGNIZED, UNEXPECTED, UNEXPECTED_PARAMETER, INVALID)),
)


@given(st.binary(max_size=600), st.sampled_from([Role.ACCEPTOR, Role.REQUESTOR]), st.booleans())
def test_random_bytes_raise_nothing_but_the_protocol_error(raw, role, established):
    requestor, acceptor = pair()
    association = Association(role)
    if established:
        association = requestor if role is Role.REQUESTOR else acceptor
    answer = reply(association, raw)
    assert answer in REPLIES
    if answer is not None:
        assert events(association, b"what comes after it is passed over") == []


@given(st.lists(st.tuples(st.integers(0, 8), st.binary(max_size=80)), max_size=6), st.booleans())
def test_random_pdus_raise_nothing_but_the_protocol_error(pdus, established):
    association = pair()[1] if established else Association(Role.ACCEPTOR)
    raw = b"".join(bytes((kind, 0)) + len(body).to_bytes(4, "big") + body for kind, body in pdus)
    assert reply(association, raw) in REPLIES


@given(st.lists(st.tuples(st.sampled_from([1, 3]), st.integers(0, 3), st.binary(max_size=40)), max_size=8))
def test_random_fragments_raise_nothing_but_the_protocol_error(values):
    association = pair()[1]
    raw = b""
    for context_id, control, body in values:
        value = (len(body) + 2).to_bytes(4, "big") + bytes((context_id, control)) + body
        raw += b"\4\0" + len(value).to_bytes(4, "big") + value
    assert reply(association, raw) in REPLIES


def test_command_field_numbers_are_those_of_the_standard():
    assert [f"{field:04X}" for field in CommandField] == [
        "0001", "0010", "0020", "0021", "0030", "0100", "0110", "0120", "0130", "0140", "0150", "0FFF",
    ]  # fmt: skip
