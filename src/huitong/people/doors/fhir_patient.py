"""A person as a FHIR R4 Patient, and a Patient that somebody asks about as what is compared (PDQm ITI-78, ITI-119).

Pure. What a Patient has that we do not keep (photo, contacts, links of others) is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from huitong.base.errors import BadRequest
from huitong.people.doors.fhir_systems import EXCHANGE, Domain, Systems
from huitong.people.model import Demographics
from huitong.wire import pinyin

Json = dict[str, Any]
MOTHERS_NAME = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName"
#: Ideographic or alphabetic, as in HL7 v2's name representation codes (XPN-8).
REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
PROFILE = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
GENDERS = {"M": "male", "F": "female", "O": "other", "": "unknown"}
_SEXES = {gender: sex for sex, gender in GENDERS.items()}


@dataclass(frozen=True, slots=True)
class Described:
    """What a Patient says of somebody."""

    known: Demographics
    #: Patient numbers and exchange ids, with who gave them.
    numbers: tuple[tuple[Domain, str], ...] = ()

    @property
    def identifiers(self) -> tuple[tuple[Domain, str], ...]:
        """The numbers, then the certificates."""
        return *self.numbers, *((Domain("certificate", kind), value) for kind, value in self.known.certificates)


def patient(
    exchange_id: str, said: Described, systems: Systems, *, active: bool = True, only: frozenset[str] | None = None
) -> Json:
    """The resource. `only`: of the identifiers those of these systems (ITI-78 case 2)."""
    known = said.known
    every = ((EXCHANGE, exchange_id), *said.identifiers)
    identifiers = [identifier(systems, domain, value) for domain, value in every]
    made: Json = {
        "resourceType": "Patient",
        "id": exchange_id,
        "meta": {"profile": [PROFILE]},
        "identifier": [each for each in identifiers if only is None or each["system"] in only],
        "active": active,
        "name": [_name(each) for each in known.names],
        "telecom": [{"system": "phone", "value": each} for each in known.phones],
        "gender": GENDERS.get(known.sex, "unknown"),
        "birthDate": _dashed(known.birth_date),
        "address": [{"text": known.address}] if known.address else [],
        "multipleBirthInteger": known.birth_order,
        "extension": [{"url": MOTHERS_NAME, "valueString": _plain(known.mother_name)}] if known.mother_name else [],
    }
    return {name: value for name, value in made.items() if value not in ("", [], None)}


def identifier(systems: Systems, domain: Domain, value: str) -> Json:
    """An Identifier, with its type for patient numbers (HL7 v2 table 0203)."""
    made: Json = {"use": "official" if domain.realm == "certificate" else "usual", "system": systems.system(domain)}
    if domain.realm == "patient":
        made["type"] = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
        made["assigner"] = {"display": domain.name}
    return made | {"value": value}


def _name(name: str) -> Json:
    family, _, given = name.partition("^")
    if not given and not name.isascii():
        cut = pinyin.surname_length(name)
        family, given = name[:cut], name[cut:]
    latin = name.isascii()
    made: Json = {
        "use": "official",
        "text": (f"{family} {given}" if latin else family + given).replace("^", " ").strip(),
        "family": family,
        "given": [part for part in given.split("^") if part],
        "extension": [{"url": REPRESENTATION, "valueCode": "ABC" if latin else "IDE"}],
    }
    return {key: value for key, value in made.items() if value}


def _plain(name: str) -> str:
    return name.replace("^", " " if name.isascii() else "")


def _dashed(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else ""


# --- what is asked about ---


def described(resource: object, systems: Systems) -> Described:
    """What a Patient says. Raises BadRequest where it is none, or says nothing by which somebody could be found."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Patient":
        raise BadRequest("a Patient resource is wanted")
    identifiers = tuple(_identifiers(resource, systems))
    known = Demographics(
        names=tuple(_names_of(resource)),
        sex=_SEXES.get(_text(resource, "gender"), ""),
        birth_date=_digits(_text(resource, "birthDate")),
        phones=tuple(_text(each, "value") for each in _objects(resource, "telecom") if _is_phone(each)),
        address=next((_address(each) for each in _objects(resource, "address")), ""),
        mother_name=next((_text(each, "valueString") for each in _extensions(resource, MOTHERS_NAME)), ""),
        birth_order=_order(resource.get("multipleBirthInteger")),
        certificates=tuple((domain.name, value) for domain, value in identifiers if domain.realm == "certificate"),
    )
    if not known.names and not identifiers:
        raise BadRequest("the Patient has neither a name nor an identifier that is known here")
    return Described(known, tuple(each for each in identifiers if each[0].realm != "certificate"))


def _names_of(resource: Json) -> Iterator[str]:
    for each in _objects(resource, "name"):
        parts = [_text(each, "family"), *_texts(each, "given")]
        name = "^".join(parts).strip("^") or _text(each, "text")
        if name:
            yield name


def _identifiers(resource: Json, systems: Systems) -> Iterator[tuple[Domain, str]]:
    for each in _objects(resource, "identifier"):
        domain, value = systems.domain(_text(each, "system")), _text(each, "value")
        if domain is not None and value:
            yield domain, value


def _is_phone(contact: Json) -> bool:
    return _text(contact, "system") in ("phone", "sms", "") and bool(_text(contact, "value"))


def _address(address: Json) -> str:
    """From the province to the door, as it is written in Chinese."""
    parts = (*(_text(address, name) for name in ("state", "city", "district")), *_texts(address, "line"))
    return _text(address, "text") or "".join(parts)


def _order(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 20 else None


def _digits(date: str) -> str:
    digits = date.replace("-", "")
    return digits if len(digits) == 8 and digits.isascii() and digits.isdigit() else ""


def _extensions(resource: Json, url: str) -> Iterable[Json]:
    return (each for each in _objects(resource, "extension") if each.get("url") == url)


def _texts(resource: Json, name: str) -> list[str]:
    value = resource.get(name)
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _objects(resource: Json, name: str) -> list[Json]:
    value = resource.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(resource: Json, name: str) -> str:
    value = resource.get(name)
    return value.strip() if isinstance(value, str) else ""
