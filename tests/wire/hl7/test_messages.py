"""Messages are read as they are met, written so that they are read the same, and refused in HL7's own words."""

from __future__ import annotations

import hl7 as other
import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.wire.hl7 import NULL, BadMessage, Delimiters, Message, Segment, parse, parse_header, part, write
from huitong.wire.hl7.reading import MAX_PARTS, MAX_SEGMENTS

HEAD = "MSH|^~\\&|HIS|TAIYUAN|HUITONG|PROVINCE|20260301083000||ADT^A04^ADT_A01|M1|P|2.5.1"
PID = "PID|1||P1^^^TAIYUAN&1.2.3&ISO^MR~11010519491231002X^^^^NI||王^小东^^^^^L^I~Wang^Xiaodong^^^^^L^A||19491231|M"


def message(*lines: str, end: str = "\r", charset: str = "") -> bytes:
    head = HEAD + (f"||||||{charset}" if charset else "")
    return end.join((head, *lines, "")).encode()


def test_every_level_is_read() -> None:
    read = parse(message(PID))
    pid = read.first("PID")
    assert (read.control_id, read.kind, read.version) == ("M1", ("ADT", "A04"), "2.5.1")
    assert (read.header.value(1), read.header.value(2), read.header.value(3)) == ("|", "^~\\&", "HIS")
    assert [part(each, 1) for each in pid.repetitions(3)] == ["P1", "11010519491231002X"]
    assert (pid.value(3, 4), pid.value(3, 4, 2), pid.value(3, 5)) == ("TAIYUAN", "1.2.3", "MR")
    assert [part(each, 8) for each in pid.repetitions(5)] == ["I", "A"]
    assert (pid.value(7), pid.value(99), pid.value(3, 99), pid.value(3, 4, 99)) == ("19491231", "", "", "")


def test_another_implementation_reads_the_same() -> None:
    ours, theirs = parse(message(PID)), other.parse(message(PID).decode())
    pid, their_pid = ours.first("PID"), theirs.segment("PID")
    assert pid.value(5, 2) == str(their_pid[5][0][1])
    assert [part(each, 1) for each in pid.repetitions(3)] == [str(each[0]) for each in their_pid[3]]


def test_null_is_something_else_than_absent() -> None:
    pid = parse(message(f"PID|1||P1||王^小东||{NULL}||")).first("PID")
    assert (pid.value(7), pid.value(8)) == (NULL, "")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_segments_end_as_they_may(end: str) -> None:
    assert [each.name for each in parse(message(PID, "PV1|1|O", end=end)).segments] == ["MSH", "PID", "PV1"]


@pytest.mark.parametrize("after", ["", "\x00\x00", "\x1a", "--\r<end>\r", "\n\n  \n"])
def test_what_stands_after_the_last_segment_is_nothing(after: str) -> None:
    assert parse(message(PID) + after.encode()) == parse(message(PID))


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\r\n", b"  "])
def test_what_stands_before_msh_may_be_a_mark_or_blank(before: bytes) -> None:
    assert parse(before + message(PID)) == parse(message(PID))


def test_a_line_break_within_a_text_breaks_no_segment() -> None:
    read = parse(message("NTE|1||first\nsecond line|L", "PV1|1|I", end="\r"))
    assert read.first("NTE").value(3) == "first\nsecond line"
    assert read.first("NTE").value(4) == "L"
    assert read.first("PV1").value(2) == "I"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp2\three\.sk3\four", "one\ntwo\n\nthree   four"),
        (r"\H\loud\N\ and \.in+4\in\.ce\.", "loud and in."),
        (r"\X41\\X0D0A\\XE78E8B\ ", "A\r\n王 "),
        (r"C:\data\new", r"C:\data\new"),
        (r"\Zown\ \C2842\ \x", r"\Zown\ \C2842\ \x"),
        (r"\.sp999999999\x", "\n" * 99 + "x"),
        ("\\", "\\"),
    ],
)
def test_escapes_are_what_they_mean(written: str, meant: str) -> None:
    assert parse(message(f"NTE|1||{written}", charset="UNICODE UTF-8")).first("NTE").value(3) == meant


def test_other_delimiters_are_taken_from_msh() -> None:
    read = parse(b"MSH*:!?%#*HIS*TAIYUAN\rPID***P1:::A%1.2%ISO!P2**a?S?b?P?c\r")
    assert read.delimiters == Delimiters("*", ":", "!", "?", "%", "#")
    assert read.first("PID").value(3, 4, 3) == "ISO"
    assert read.first("PID").value(5) == "a:b#c"


def test_fewer_delimiters_are_enough() -> None:
    pid = parse(b"MSH|^|HIS|TAIYUAN\rPID|||a~b\\F\\&^c\r").first("PID")
    assert (pid.value(3), pid.value(3, 2)) == ("a~b\\F\\&", "c")


@pytest.mark.parametrize(
    ("data", "condition", "location"),
    [
        (b"", 100, "MSH^1"),
        (b"PID|1\r", 100, "MSH^1"),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + message(), 200, ""),
        (b"BHS|^~\\&\r", 200, ""),
        (b"MSH", 102, "MSH^1^2"),
        (b"MSH|", 102, "MSH^1^2"),
        (b"MSH||||\r", 102, "MSH^1^2"),
        (b"MSH|^^\\&|HIS\r", 102, "MSH^1^2"),
        (b"MSH|^~\\&A|HIS\r", 102, "MSH^1^2"),
        (b'MSH|"~\\&|HIS\r', 102, "MSH^1^2"),
        (b"MSH|^~\\&#!|HIS\r", 102, "MSH^1^2"),
        (b"MSH\xff^~\\&\xffHIS\r", 102, "MSH^1^2"),
        (message(PID) + message(PID), 100, "MSH^2"),
        (message(*["NTE|1"] * MAX_SEGMENTS), 104, ""),
        (message("NTE" + "|" * MAX_PARTS), 104, ""),
    ],
)
def test_what_is_no_message_is_refused_in_hl7s_words(data: bytes, condition: int, location: str) -> None:
    with pytest.raises(BadMessage) as refused:
        parse(data)
    assert (refused.value.condition, refused.value.location) == (condition, location)


def test_the_header_of_what_is_refused_is_read_if_it_can_be() -> None:
    header = parse_header(message("NTE" + "|" * MAX_PARTS))
    assert header is not None
    assert (header.control_id, len(header.segments)) == ("M1", 1)
    assert parse_header(b"PID|1") is None


# --- properties ---

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


def tuples(inner: st.SearchStrategy[object], most: int) -> st.SearchStrategy[tuple]:  # type: ignore[type-arg]
    """Of parts of which any but the last may be absent."""
    parts = st.lists(inner, min_size=1, max_size=most)
    return st.one_of(st.just(()), parts.map(tuple).filter(lambda each: bool(each[-1])))


COMPONENT = tuples(st.one_of(st.just(""), TEXT), 3)
FIELD = tuples(tuples(COMPONENT, 3), 3)
NAMES = st.from_regex(r"[A-LN-Z][A-Z0-9]{2}", fullmatch=True)
SEGMENTS = st.builds(Segment, NAMES, tuples(FIELD, 4))
EVERY = [*"|^~\\&#!$%*+/:;<=>?@[]_`{}"]
DELIMITERS = st.permutations(EVERY).map(lambda each: Delimiters(*each[:6]))


def with_header(segments: list[Segment], d: Delimiters) -> Message:
    head = parse(f"MSH{d.field}{d.encoding_characters}{d.field * 16}UNICODE UTF-8".encode())
    return Message((*head.segments, *segments), d)


@given(st.lists(SEGMENTS, max_size=4), DELIMITERS)
def test_what_is_written_is_read_again(segments: list[Segment], delimiters: Delimiters) -> None:
    written = with_header(segments, delimiters)
    assert parse(write(written)) == written


@given(st.binary(max_size=300))
def test_octets_are_a_message_or_refused(data: bytes) -> None:
    for each in (data, b"MSH|^~\\&|" + data, message(PID) + data):
        try:
            read = parse(each)
        except BadMessage:
            continue
        again = parse(write(Message(read.segments, read.delimiters)))
        assert [segment.name for segment in again.segments] == [segment.name for segment in read.segments]


@given(st.integers(0, len(message(PID))))
def test_a_message_that_was_cut_is_read_as_far_as_it_goes_or_refused(length: int) -> None:
    try:
        read = parse(message(PID)[:length])
    except BadMessage:
        return
    assert read == parse(message(PID)[:length] + b"\r")
    assert read.header.value(2).startswith("^")
