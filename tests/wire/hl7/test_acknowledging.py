"""Acknowledgements say what became of a message, in the fields of the sender's version."""

from __future__ import annotations

from datetime import UTC, datetime

import hl7 as other
import pytest

from huitong.wire.hl7 import BadMessage, Fault, Message, Sender, acknowledge, code_of, is_wanted, parse, write
from huitong.wire.hl7.errors import CONDITIONS

AT = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
WE = Sender("HUITONG", "PROVINCE")
MISSING = Fault(101, "missing", "PID-3 has no number", "PID^1^3")


def asked(version: str = "2.5", more: str = "") -> Message:
    return parse(f"MSH|^~\\&|HIS|TAIYUAN|HT|X|20260301||ADT^A04^ADT_A01|M1|P|{version}{more}\r".encode())


def lines(message: Message, fault: Fault | None = None) -> list[str]:
    return write(acknowledge(message, fault, WE, "R1", AT)).decode().split("\r")


def test_acceptance_is_two_segments_and_goes_back_to_the_sender() -> None:
    assert lines(asked()) == [
        "MSH|^~\\&|HT|X|HIS|TAIYUAN|20260301083000.000+0800||ACK^A04^ACK|R1|P|2.5||||||UNICODE UTF-8",
        "MSA|AA|M1",
        "",
    ]


def test_the_answer_has_the_processing_id_and_the_version_of_what_was_asked() -> None:
    header = lines(parse(b"MSH|^~\\&|HIS|TAIYUAN|||20260301||ADT^A04|M1|T|2.3.1\r"))[0].split("|")
    assert header[10:12] == ["T", "2.3.1"]


def test_who_calls_us_by_no_name_is_told_ours() -> None:
    assert lines(parse(b"MSH|^~\\&|HIS|TAIYUAN|||20260301||ADT^A04|M1|P|2.5\r"))[0].startswith(
        "MSH|^~\\&|HUITONG|PROVINCE|HIS|TAIYUAN|"
    )


def test_a_fault_is_said_in_an_err_segment_from_2_5_on() -> None:
    assert lines(asked(), MISSING)[1:3] == [
        "MSA|AE|M1|PID-3 has no number",
        "ERR||PID^1^3|101^Required field missing^HL70357|E|missing|||PID-3 has no number",
    ]


@pytest.mark.parametrize("version", ["2.\u00b2", "2.", "2.5", "2.10", "2." + "9" * 5000])
def test_what_is_no_version_before_2_5_is_answered_as_later_ones(version: str) -> None:
    assert lines(asked(version), MISSING)[2].startswith("ERR||PID^1^3|101^")


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4"])
def test_before_2_5_the_err_segment_has_one_field(version: str) -> None:
    assert lines(asked(version), MISSING)[2] == "ERR|PID^1^3^101&Required field missing&HL70357"


def test_what_has_no_header_is_answered_nonetheless() -> None:
    answer = write(acknowledge(None, Fault.of(BadMessage("nothing", 100, "MSH^1")), WE, "R1", AT)).decode()
    assert "||ACK|R1|P|2.5|" in answer
    assert "\rMSA|AE||The HL7 message cannot be accepted. nothing\rERR||MSH^1|100^" in answer


def test_the_senders_delimiters_are_used_unless_it_lacks_some() -> None:
    starred = parse(b"MSH*:!?%*HIS*T*****ADT:A04*M1*P*2.5\r")
    assert lines(starred)[1] == "MSA*AA*M1"
    assert lines(parse(b"MSH*:*HIS*T*****ADT:A04*M1*P*2.5\r"))[1] == "MSA|AA|M1"


@pytest.mark.parametrize("condition", CONDITIONS)
def test_only_what_another_time_or_system_would_take_is_rejected(condition: int) -> None:
    assert code_of(Fault(condition, "", "")) == ("AR" if condition in {200, 201, 202, 203, 207} else "AE")
    assert code_of(None) == "AA"


@pytest.mark.parametrize(
    ("fields", "good", "bad"),
    [
        ("", "AA", "AE"),
        ("|||AL|NE", "CA", "CE"),
        ("|||AL|AL", "AA", "AE"),
        ("|||NE|AL", "AA", "AE"),
        ("|||ER|NE", None, "CE"),
        ("|||SU|NE", "CA", None),
        ("|||NE|NE", None, None),
        ("||||NE", "AA", "AE"),
    ],
)
def test_enhanced_mode_is_answered_as_it_asks(fields: str, good: str | None, bad: str | None) -> None:
    message = asked(more=fields)
    for fault, code in ((None, good), (MISSING, bad)):
        assert is_wanted(message, fault) is (code is not None)
        if code:
            assert lines(message, fault)[1].startswith(f"MSA|{code}|M1")


def test_another_implementation_understands_the_answer() -> None:
    read = other.parse(write(acknowledge(asked(), MISSING, WE, "R1", AT)).decode())
    assert (str(read.segment("MSA")[1]), str(read.segment("ERR")[3][0][0])) == ("AE", "101")


def test_an_answer_is_a_message() -> None:
    answer = acknowledge(asked(), MISSING, WE, "R1", AT)
    assert parse(write(answer)).first("ERR") == answer.first("ERR")
