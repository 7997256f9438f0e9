import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as peer

from huitong.wire.dimse import RemoteProtocolError
from huitong.wire.dimse.errors import LocalProtocolError
from huitong.wire.dimse.items import items
from huitong.wire.dimse.pdu import (
    REJECTIONS,
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextAnswer,
    ContextProposal,
    ContextResult,
    PduType,
    ReleaseReply,
    ReleaseRequest,
    decode_pdu,
    encode_pdu,
)
from huitong.wire.dimse.user_items import ExtendedNegotiation, RoleSelection, UserIdentity, UserInformation

uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
aets = st.text(
    st.characters(codec="ascii", exclude_characters="\\ ", categories=["L", "N", "P"]), min_size=1, max_size=16
)
odd_ids = st.integers(0, 127).map(lambda n: 2 * n + 1)
bytes_fields = st.binary(max_size=40)

users = st.builds(
    UserInformation,
    max_pdu_bytes=st.integers(0, 2**32 - 1),
    implementation_class_uid=uids,
    implementation_version=aets,
    asynchronous=st.none() | st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    roles=st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    extended=st.lists(st.builds(ExtendedNegotiation, uids, bytes_fields), max_size=3).map(tuple),
    user_identity=st.none() | st.builds(UserIdentity, st.integers(1, 5), st.booleans(), bytes_fields, bytes_fields),
    identity_response=st.none() | bytes_fields,
    other=st.lists(st.tuples(st.sampled_from([0x57, 0x5A, 0x7F]), bytes_fields), max_size=2).map(tuple),
)
requests = st.builds(
    AssociateRequest,
    called_aet=aets,
    calling_aet=aets,
    contexts=st.lists(
        st.builds(ContextProposal, odd_ids, uids, st.lists(uids, min_size=1, max_size=5).map(tuple)),
        max_size=6,
        unique_by=lambda c: c.context_id,
    ).map(tuple),
    user=users,
)
accepts = st.builds(
    AssociateAccept,
    called_aet=aets,
    calling_aet=aets,
    contexts=st.lists(
        st.builds(ContextAnswer, odd_ids, st.sampled_from(ContextResult), uids),
        max_size=6,
        unique_by=lambda c: c.context_id,
    ).map(tuple),
    user=users,
)
small = st.one_of(
    st.builds(AssociateReject, st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)),
    st.just(ReleaseRequest()),
    st.just(ReleaseReply()),
    st.builds(Abort, st.integers(0, 255), st.integers(0, 255)),
)
pdus = st.one_of(requests, accepts, small)


@given(pdus)
def test_what_is_encoded_is_decoded(pdu):
    raw = encode_pdu(pdu)
    assert int.from_bytes(raw[2:6], "big") == len(raw) - 6
    assert decode_pdu(PduType(raw[0]), raw[6:]) == pdu


@given(st.sampled_from([PduType.ASSOCIATE_RQ, PduType.ASSOCIATE_AC]), st.binary(max_size=400))
def test_random_bytes_are_a_protocol_error_at_worst(kind, raw):
    with contextlib.suppress(RemoteProtocolError):
        decode_pdu(kind, bytes(68) + raw)


@given(requests, st.data())
def test_a_damaged_request_is_a_protocol_error_at_worst(request, data):
    raw = bytearray(encode_pdu(request)[6:])
    for _ in range(data.draw(st.integers(1, 5))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    del raw[data.draw(st.integers(68, len(raw))) :]
    with contextlib.suppress(RemoteProtocolError):
        decode_pdu(PduType.ASSOCIATE_RQ, bytes(raw))


def plain(user: UserInformation) -> UserInformation:
    """What pynetdicom's classes say byte for byte: a passcode with type 2 only, and no unknown items."""
    who = user.user_identity
    if who is not None:
        who = UserIdentity(2, who.response_requested, who.primary + b"p", who.secondary + b"s")
    return replace(user, user_identity=who, identity_response=None, other=())


@given(requests)
def test_pynetdicom_reads_our_request_and_writes_the_same_bytes(request):
    request = replace(request, user=plain(request.user))
    raw = encode_pdu(request)
    theirs = peer.A_ASSOCIATE_RQ()
    theirs.decode(raw)
    assert theirs.called_ae_title == request.called_aet
    assert theirs.calling_ae_title == request.calling_aet
    assert [(c.context_id, c.abstract_syntax, tuple(c.transfer_syntax)) for c in theirs.presentation_context] == [
        (c.context_id, c.abstract_syntax, c.transfer_syntaxes) for c in request.contexts
    ]
    assert theirs.encode() == raw


@given(accepts)
def test_pynetdicom_reads_our_acceptance_and_writes_the_same_bytes(accept):
    accept = replace(accept, user=replace(plain(accept.user), user_identity=None))
    raw = encode_pdu(accept)
    theirs = peer.A_ASSOCIATE_AC()
    theirs.decode(raw)
    assert [(c.context_id, c.result, c.transfer_syntax) for c in theirs.presentation_context] == [
        (c.context_id, c.result, c.transfer_syntax) for c in accept.contexts
    ]
    assert theirs.encode() == raw


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Abort(2, 5), peer.A_ABORT_RQ),
        (ReleaseRequest(), peer.A_RELEASE_RQ),
        (ReleaseReply(), peer.A_RELEASE_RP),
        *((rejection, peer.A_ASSOCIATE_RJ) for rejection in REJECTIONS.values()),
    ],
)
def test_pynetdicom_reads_and_writes_our_short_pdus(ours, theirs):
    pdu = theirs()
    pdu.decode(encode_pdu(ours))
    assert pdu.encode() == encode_pdu(ours)


def test_rejections_read_at_pynetdicom_as_the_names_they_have_here():
    for name in ("calling-AE-title-not-recognized", "called-AE-title-not-recognized", "local-limit-exceeded"):
        pdu = peer.A_ASSOCIATE_RJ()
        pdu.decode(encode_pdu(REJECTIONS[name]))
        assert pdu.reason_str.lower().replace(" ", "-").replace("recognised", "recognized") == name.lower()


def _request_with(*items_: bytes) -> bytes:
    return b"\0\1\0\0" + b"A".ljust(16) + b"B".ljust(16) + bytes(32) + b"".join(items_)


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(bytes.fromhex("20000010 02000000 30000003312e32 4000 0001 31"), id="even context id"),
        pytest.param(bytes.fromhex("2000000b 01000000 30000003312e32"), id="no transfer syntax"),
        pytest.param(bytes.fromhex("20000009 01000000 40000001 31"), id="no abstract syntax"),
        pytest.param(bytes.fromhex("20000002 0100"), id="no room for an id"),
        pytest.param(bytes.fromhex("2000ffff 01000000"), id="longer than the PDU"),
        pytest.param(bytes.fromhex("200000"), id="half a header"),
        pytest.param(bytes.fromhex("50000006 51000002 0000"), id="maximum length of two bytes"),
        pytest.param(bytes.fromhex("50000007 54000003 0001 31"), id="role selection without roles"),
        pytest.param(bytes.fromhex("50000005 58000001 01"), id="user identity of one byte"),
        pytest.param(bytes.fromhex("50000005 56000001 01"), id="extended negotiation of one byte"),
    ],
)
def test_a_request_of_the_wrong_form_is_refused(context):
    with pytest.raises(RemoteProtocolError):
        decode_pdu(PduType.ASSOCIATE_RQ, _request_with(context))


def test_the_same_context_id_twice_is_refused():
    context = bytes.fromhex("20000010") + bytes.fromhex("01000000 30000003312e32 40000001 31")
    assert decode_pdu(PduType.ASSOCIATE_RQ, _request_with(context)).contexts == (ContextProposal(1, "1.2", ("1",)),)
    with pytest.raises(RemoteProtocolError):
        decode_pdu(PduType.ASSOCIATE_RQ, _request_with(context, context))


def test_items_nobody_knows_are_passed_over():
    request = decode_pdu(PduType.ASSOCIATE_RQ, _request_with(bytes.fromhex("99000002 abcd")))
    assert (request.called_aet, request.calling_aet, request.contexts) == ("A", "B", ())


def test_a_flood_of_empty_items_is_cut_short():
    with pytest.raises(RemoteProtocolError):
        list(items(bytes.fromhex("99000000") * 5000))


def test_what_does_not_fit_its_field_is_our_own_error():
    with pytest.raises(LocalProtocolError):
        encode_pdu(AssociateRequest("HUITONG", "SEVENTEEN_LETTERS", ()))
    with pytest.raises(LocalProtocolError):
        encode_pdu(AssociateRequest("HUITONG", "A", (), UserInformation(max_pdu_bytes=2**32)))
    with pytest.raises(LocalProtocolError):
        encode_pdu(Abort(300, 0))
    with pytest.raises(LocalProtocolError):
        encode_pdu(AssociateRequest("A", "B", (), UserInformation(other=((0x57, bytes(70000)),))))


def test_a_passcode_is_not_shown():
    assert "geheim" not in repr(UserIdentity(2, False, b"user", b"geheim"))
