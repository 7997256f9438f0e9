"""What ADT messages say: whose numbers, which names, what of the visit; and what is refused, where."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huitong.people.adt import EVENTS, Effect, Told, read
from huitong.wire.hl7 import BadMessage, parse

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PID = "PID|1||P1^^^TAIYUAN^MR||王^小东||19491231|M"


def told(
    *segments: str, event: str = "A04", evn: str = "20260301090000", head: str = "", test_too: bool = False
) -> Told:
    header = f"MSH|^~\\&|HIS|TAIYUAN|||20260301100000||{head or f'ADT^{event}^ADT_A01|M1|P|2.5'}"
    lines = (header, f"EVN|{event}|{evn}", *segments)
    return read(parse("\r".join(lines).encode()), "TAIYUAN", NOW, test_too=test_too)


def demographics(pid: str) -> dict[str, object]:
    """Of what is said, what is not None."""
    (said,) = told(pid).registrations
    told_of = {name: getattr(said, name) for name in said.__slots__ if getattr(said, name) is not None}
    return {name: value for name, value in told_of.items() if name not in ("issuer", "number", "effective_at")}


def numbers(said: Told) -> tuple[str, ...]:
    return tuple(each.number for each in said.registrations)


def test_a_registration_is_numbers_demographics_and_a_time() -> None:
    said = told(PID)
    at = datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert [(each.issuer, each.number, each.effective_at) for each in said.registrations] == [("TAIYUAN", "P1", at)]
    assert demographics(PID) == {"names": ("王^小东",), "birth_date": "19491231", "sex": "M"}


def test_what_is_absent_is_not_said_and_what_is_null_is_forgotten() -> None:
    assert demographics("PID|1||P1") == {}
    nothing = 'PID|1||P1||""|""|""|""|||""||""||||||""||""'
    assert demographics(nothing) == {
        "names": (), "sex": "", "birth_date": "", "phones": (), "address": "", "mother_name": "",
        "mother_certificates": (),
    }  # fmt: skip


def test_everything_of_pid_is_read() -> None:
    pid = (
        "PID|1|X|P1^^^TAIYUAN^MR~11010519491231002X^^^^NI~E12345678^^^^PPN~H01234567^^^^06|ALT"
        "|王^小东^^^^^L^I~Wang^Xiaodong^^^^^L^P~^^^^^^S|李^梅|"
        "1949-12-31 00:00:00|男|||迎泽大街1号^3单元^太原市^山西省^030001||"
        "13800000001^PRN^PH~a@b.cn^NET^Internet^a@b.cn|^WPN^PH^^86^351^4000000|||||440524188001010014||"
        "11010119800101002X|||Y|2"
    )
    assert demographics(pid) == {
        "names": ("王^小东", "Wang^Xiaodong"),
        "sex": "M",
        "birth_date": "19491231",
        "phones": ("13800000001", "863514000000"),
        "address": "山西省太原市迎泽大街1号3单元",
        "mother_name": "李^梅",
        "mother_certificates": (("GB11643", "11010119800101002X"),),
        "birth_order": 2,
        "certificates": (
            ("GB11643", "11010519491231002X"), ("passport", "E12345678"), ("HMT", "H01234567"),
            ("GB11643", "440524188001010014"),
        ),
    }  # fmt: skip


def test_a_garbled_name_is_mended() -> None:
    for name in ("王^小东", "李^婷"):  # 婷 alone is no common hanzi
        garbled = name.encode("gbk").decode("latin-1")
        assert demographics(f"PID|1||P1||{garbled}")["names"] == (name,)


@pytest.mark.parametrize(
    ("identifiers", "found"),
    [
        ("P1", ("P1",)),
        ("P1^^^TAIYUAN^MR~Z9^^^TAIYUAN^PI", ("P1", "Z9")),
        ("Q7^^^YUNCHENG^MR~P1^^^TAIYUAN^MR", ("P1",)),
        ("Q7^^^YUNCHENG^MR~P1^^^HIS", ("P1",)),
        ("P1^^^EMPI-OF-TAIYUAN^PI", ("P1",)),
        ("P1^^^&1.2.156.1&ISO^PI", ("P1",)),
        ("11010519491231002X^^^^NI~ P1 ^^^taiyuan^mr", ("P1",)),
    ],
)
def test_the_senders_own_numbers_are_found(identifiers: str, found: tuple[str, ...]) -> None:
    assert numbers(told(f"PID|1||{identifiers}||王^小东")) == found


@pytest.mark.parametrize(
    ("evn", "effective"),
    [
        ("20260301090000", (1, 0)),
        ("||||20260301080000", (0, 0)),
        ("", (2, 0)),
        ("tomorrow", (2, 0)),
        ("20990101000000", (12, 0)),  # a clock that runs ahead must not be right for ever
        ("20260301010000-0800", (9, 0)),
    ],
)
def test_a_message_is_of_the_time_of_its_event(evn: str, effective: tuple[int, int]) -> None:
    assert told(PID, evn=evn).effective_at == datetime(2026, 3, 1, *effective, tzinfo=UTC)


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_that_is_taken_says_something_or_is_borne(event: str) -> None:
    said = (
        told(PID, "MRG|P0", "PV1|1|I|||||||||||||||||V1", "PID|2||P2", event=event)
        if not EVENTS[event].merges
        else told(PID, "MRG|P0", event=event)
    )
    what = EVENTS[event]
    assert bool(said.registrations) is what.registers
    assert said.merges == ((("P0", "P1"),) if what.merges else ())
    assert (said.linked == ("P1", "P2")) is (what.links is not None)
    assert (said.visit is not None) is (what.visit is not Effect.NONE)


def test_a_visit_has_its_number_class_and_times() -> None:
    pv1 = "PV1|1|I|||||||||||||||||V1^^^TAIYUAN|" + "|" * 24 + "20260301080000|20260301083000"
    opened, closed = told(PID, pv1, event="A01").visit, told(PID, pv1, event="A03").visit
    assert opened is not None
    assert (opened.number, opened.patient_class, opened.patient_number) == ("V1", "I", "P1")
    assert opened.at == datetime(2026, 3, 1, tzinfo=UTC)
    assert closed is not None
    assert (closed.effect, closed.at) == (Effect.CLOSES, datetime(2026, 3, 1, 0, 30, tzinfo=UTC))
    assert told(PID, event="A01").visit is None


def test_several_numbers_are_merged_by_one_message() -> None:
    said = told(PID, "MRG|P0~P00", "PID|1||P2", "MRG|P3~P2", event="A40")
    assert said.merges == (("P0", "P1"), ("P00", "P1"), ("P3", "P2"))


@pytest.mark.parametrize(
    ("said", "condition", "location"),
    [
        ({"head": "ADT^A04|||2.5"}, 101, "MSH^1^10"),
        ({"head": f"ADT^A04|{'M' * 257}|P|2.5"}, 104, "MSH^1^10"),
        ({"segments": (f"PID|1||{'P' * 257}",)}, 104, "PID^1^3"),
        ({"segments": ("PID|1||P\\X00\\1",)}, 102, "PID^1^3"),
        ({"event": "A03", "segments": (PID, f"PV1|1|I|{'|' * 16}{'V' * 257}")}, 104, "PV1^1^19"),
        ({"head": "ADT^A04|M1|P|3.0"}, 203, "MSH^1^12"),
        ({"head": "ADT^A04|M1|T|2.5"}, 202, "MSH^1^11"),
        ({"head": "ORU^R01|M1|P|2.5"}, 200, "MSH^1^9^1^1"),
        ({"event": "A29"}, 201, "MSH^1^9^1^2"),
        ({"event": "A99"}, 201, "MSH^1^9^1^2"),
        ({"segments": ()}, 100, "PID^1"),
        ({"segments": ("PID|1||",)}, 101, "PID^1^3"),
        ({"segments": ("PID|1||11010519491231002X^^^^NI",)}, 101, "PID^1^3"),
        ({"segments": ("PID|1||Q^^^YUNCHENG~R^^^DATONG",)}, 204, "PID^1^3"),
        ({"event": "A40"}, 100, "MRG^1"),
        ({"event": "A40", "segments": ("MRG|P0", PID)}, 100, "MRG^1"),
        ({"event": "A40", "segments": (PID, "MRG|")}, 101, "MRG^1^1"),
        ({"event": "A24"}, 100, "PID^2"),
        ({"event": "A37", "segments": (PID, PID)}, 100, "PID^2"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_its_place(said: dict[str, object], condition: int, location: str) -> None:
    segments = said.pop("segments", (PID,))
    with pytest.raises(BadMessage) as refused:
        told(*segments, **said)  # type: ignore[misc, arg-type]
    assert (refused.value.condition, refused.value.location) == (condition, location)


def test_the_event_may_stand_in_evn_alone_and_training_is_taken_where_it_is_wanted() -> None:
    assert numbers(told(PID, event="A04", head="ADT|M1|T|2.3", test_too=True)) == ("P1",)


@given(
    st.lists(st.text(st.sampled_from('PIDMRGV1A04|^~&\\"0123王 \r'), max_size=40), max_size=5),
    st.sampled_from([*EVENTS]),
)
def test_any_segments_say_something_or_are_refused(segments: list[str], event: str) -> None:
    try:
        said = told(PID, *segments, event=event)
    except BadMessage:
        return
    assert said.effective_at <= NOW
