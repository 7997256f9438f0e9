"""Whose card it is, read from the master index: the only place where cards look at people."""

from __future__ import annotations

import re

from sqlalchemy import Connection

from huitong.base.errors import NotFound
from huitong.people import identifiers, records
from huitong.people.cards.model import Holder
from huitong.people.model import Record
from huitong.wire.mending import mended

#: Certificates of which a card can be made, the first one that a person has, with their type in CV02.01.101 (证件类型).
TYPES = {identifiers.GB11643: "01", identifiers.PASSPORT: "03", identifiers.HMT: "06", identifiers.TWT: "07"}
_HANZI = re.compile("[\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def by_number(read: Connection, institution: str, number: str) -> Holder | None:
    """The patient to whom the institution gave the number, by a record of the person that has a certificate.

    The institution's own record comes first, then the oldest; None for a number that is not known.
    """
    own = records.by_number(read, institution, number)
    if own is None:
        return None
    every = [own, *(each for each in records.of_persons(read, [own.person_pk]) if each.pk != own.pk)]
    return next((found for each in every if (found := _holder(read, each)).certificate), None) or _holder(read, own)


def of_patient(read: Connection, patient_pk: int) -> Holder:
    """By the record that the card was issued for."""
    return _holder(read, records.by_pk(read, [patient_pk])[patient_pk])


def with_certificate(read: Connection, person_pk: int) -> Holder | None:
    """The person by a record that has a certificate; None where none has."""
    every = (_holder(read, each) for each in records.of_persons(read, [person_pk]))
    return next((each for each in every if each.certificate), None)


def person(read: Connection, exchange_id: str) -> int:
    """The person whom this id leads to. Raises NotFound."""
    found = records.person_by_id(read, identifiers.read_exchange_id(exchange_id))
    if found is None:
        raise NotFound("no person has this id")
    return found.pk


def patients_of(read: Connection, person_pk: int) -> list[int]:
    """The person's records."""
    return [each.pk for each in records.of_persons(read, [person_pk])]


def numbers_at(read: Connection, person_pk: int, institution: str) -> tuple[str, ...]:
    """The numbers in use that the institution has given to the person."""
    every = records.of_persons(read, [person_pk])
    return tuple(each.number for each in every if each.issuer == institution and not each.merged_into and each.active)


def shown_name(names: tuple[str, ...]) -> str:
    """The name as it stands on a certificate: in hanzi where it came so, without the carets of DICOM and HL7."""
    forms = [mended(group).replace("=", "").strip("^ ") for name in names for group in name.split("=")]
    chinese = (re.sub(r"[\^\s]", "", form) for form in forms if _HANZI.search(form))
    latin = (" ".join(form.replace("^", " ").split()) for form in forms)
    return next(chinese, None) or next((form for form in latin if form), "")


def _holder(read: Connection, record: Record) -> Holder:
    known, person = record.known, records.person(read, record.person_pk)
    certificate = next(
        (
            (TYPES[kind], number)
            for kind in TYPES
            for held, number in known.certificates
            if held == kind and identifiers.normal(kind, number) == number
        ),
        None,
    )
    name = shown_name(known.names)
    return Holder(record.pk, person.pk, person.exchange_id, name, known.sex, known.birth_date, certificate)
