"""What the hospitals' HIS tell of the demo's patients: HL7 v2.5 ADT, as an interface engine sends it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from huitong.base.clock import CHINA
from huitong.cli.phantom import ct
from huitong.cli.phantom.header import Patient
from huitong.cli.phantom.persons import ELSEWHERE, MAYBE

#: He came back to Yuncheng, where his images of Taiyuan are wanted.
VISITS = "YUNCHENG"


def registrations(at: datetime) -> Iterator[bytes]:
    """What Taiyuan knows of him beside the images, and a stay of the other one that is over, in the order of events."""
    more = "|||迎泽大街 1 号^^太原市^山西省^030001^^H||13903510317^PRN^PH"
    stay = f"ZY{at.year}0021"
    yield _message("A08", "TAIYUAN", ct.PATIENT, at - timedelta(days=3), "", more)
    yield _message("A01", VISITS, MAYBE, at - timedelta(days=40), _visit("I", stay, at - timedelta(days=40)))
    yield _message("A03", VISITS, MAYBE, at - timedelta(days=31), _visit("I", stay, None, at - timedelta(days=31)))


def consultation(at: datetime) -> bytes:
    """A04: he is registered as an outpatient now; a visit of its own each day."""
    return _message("A04", VISITS, ELSEWHERE, at, _visit("O", f"MZ{at.astimezone(CHINA):%Y%m%d}0017", at))


def _message(event: str, institution: str, patient: Patient, at: datetime, visit: str, more: str = "") -> bytes:
    time = _time(at)
    application = {"TAIYUAN": "TY_HIS", "YUNCHENG": "YC_HIS"}[institution]
    control = f"{institution[:2]}{event}{at:%y%m%d%H%M%S%f}"[:20]
    hanzi = patient.name.partition("=")[2]
    numbers = f"{patient.number}^^^{institution}^MR"
    if patient.certificate:
        numbers += f"~{patient.certificate}^^^^NI"
    lines = [
        f"MSH|^~\\&|{application}|{institution}|HUITONG|HUITONG|{time}||ADT^{event}|{control}|P|2.5||||||UNICODE UTF-8",
        f"EVN|{event}|{time}",
        f"PID|1||{numbers}||{hanzi}^^^^^L||{patient.birth_date}|{patient.sex}{more}",
    ]
    return "\r".join([*lines, visit] if visit else lines).encode() + b"\r"


def _visit(kind: str, number: str, opened: datetime | None, closed: datetime | None = None) -> str:
    """PV1: class, visit number, when it began and ended."""
    fields = [""] * 46
    fields[1], fields[2], fields[19] = "1", kind, number
    fields[44], fields[45] = (_time(each) if each else "" for each in (opened, closed))
    return "|".join(["PV1", *fields[1:]]).rstrip("|")


def _time(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y%m%d%H%M%S}+0800"
