import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import encode

from huitong.wire.dimse.command import (
    ELEMENTS,
    Command,
    CommandField,
    c_echo_request,
    c_store_request,
    decode_command,
    encode_command,
    error_comment,
    has_data_set,
    response_to,
)
from huitong.wire.dimse.errors import LocalProtocolError, RemoteProtocolError
from huitong.wire.dimse.uids import VERIFICATION

VALUES = {
    "US": st.integers(0, 65535),
    "UI": st.from_regex(r"[0-2](\.[1-9][0-9]{0,8}){1,6}", fullmatch=True),
    "AE": st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True),
    "LO": st.from_regex(r"[A-Za-z0-9_()]{1,64}", fullmatch=True),
    "AT": st.lists(st.integers(0, 2**32 - 1), max_size=5).map(tuple),
}
commands = st.fixed_dictionaries(
    {"CommandField": VALUES["US"]}, optional={k: VALUES[vr] for _, k, vr in ELEMENTS if k != "CommandField"}
)


def test_keywords_and_vrs_are_those_of_the_dictionary():
    for number, keyword, vr in ELEMENTS:
        assert (keyword_for_tag(number), dictionary_VR(number)) == (keyword, vr)


def test_every_element_has_its_place_in_the_type():
    assert list(Command.__annotations__) == [keyword for _, keyword, _ in ELEMENTS]


@given(commands)
def test_what_is_encoded_is_decoded(command):
    assert decode_command(encode_command(command)) == command


@given(commands)
def test_pydicom_reads_our_command_sets_and_writes_the_same_bytes(command):
    raw = encode_command(command)
    dataset = dcmread(BytesIO(raw), force=True)
    assert {element.keyword for element in dataset} - {"CommandGroupLength"} == set(command)
    assert dataset.CommandGroupLength == len(raw) - 12
    assert encode(dataset, True, True) == raw


@given(st.binary(max_size=300))
def test_random_bytes_are_a_protocol_error_at_worst(raw):
    with contextlib.suppress(RemoteProtocolError):
        decode_command(raw)


@given(commands, st.data())
def test_a_damaged_command_set_is_a_protocol_error_at_worst(command, data):
    raw = bytearray(encode_command(command))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(RemoteProtocolError):
        decode_command(bytes(raw))


def test_retired_elements_and_a_wrong_group_length_are_passed_over():
    raw = bytes.fromhex("00000000 04000000 ffffffff 00000100 04000000 12345678 00000001 02000000 3000")
    assert decode_command(raw) == {"CommandField": CommandField.C_ECHO}


@pytest.mark.parametrize(
    "raw",
    [
        "00000001 02000000 30",
        "00000001 01000000 30",
        "00000001 00000000",
        "00000001",
        "08000001 02000000 3000",
        "00000002 02000000 3100",
        "",
    ],
)
def test_what_is_not_a_command_set_is_refused(raw):
    with pytest.raises(RemoteProtocolError):
        decode_command(bytes.fromhex(raw))


def test_a_value_that_its_vr_cannot_hold_is_our_own_error():
    with pytest.raises(LocalProtocolError):
        encode_command({"CommandField": 70000})
    with pytest.raises(LocalProtocolError):
        encode_command({"CommandField": 1, "AffectedSOPClassUID": 5})  # type: ignore[typeddict-item]


def _their_bytes(message, primitive) -> bytes:
    message.primitive_to_message(primitive)
    return encode(message.command_set, True, True)


def test_our_echo_request_has_the_bytes_of_pynetdicoms():
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 7, VERIFICATION
    assert encode_command(c_echo_request(7, VERIFICATION)) == _their_bytes(C_ECHO_RQ(), primitive)


def test_our_store_request_and_response_have_the_bytes_of_pynetdicoms():
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority, primitive.DataSet = 7, 0, BytesIO(b"12")
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    request = c_store_request(7, "1.2.840.10008.5.1.4.1.1.2", "1.2.3")
    assert encode_command(request) == _their_bytes(C_STORE_RQ(), primitive)
    assert has_data_set(request)
    answer = C_STORE()
    answer.MessageIDBeingRespondedTo, answer.Status, answer.ErrorComment = 7, 0xA700, "no room"
    answer.AffectedSOPClassUID, answer.AffectedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    assert encode_command(response_to(request, 0xA700, "no room")) == _their_bytes(C_STORE_RSP(), answer)


@given(st.text(max_size=200))
def test_a_comment_is_64_plain_characters_at_most(text):
    comment = error_comment(text)
    assert len(comment) <= 64
    assert comment.isascii()
    assert "\\" not in comment
    assert comment.isprintable()
