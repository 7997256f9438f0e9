"""Guardians of a child, on the person's page of a registrar: who is one, who might be, and the form that names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.base.numbers import key_of
from huitong.catalog.access import RELATIONS
from huitong.people import rights
from huitong.people.model import PersonPage
from huitong.people.rights import Mother, NoGuardian
from huitong.web.modalities import _

#: By `people.rights.BASES`.
BASES = {
    "birth-certificate": _("Birth certificate"),
    "household-register": _("Household register"),
    "court": _("Decision of a court"),
}
WRONG = {
    NoGuardian.NOBODY: _("Nobody has this number or card. Look for the person first, and enter the exchange number."),
    NoGuardian.SEVERAL: _("Several people have this number and this name. Enter the exchange number of the right one."),
    NoGuardian.OTHER_NAME: _("Whoever has this number or card has another name. Look at both once more."),
    NoGuardian.NO_EVIDENCE: _("Say by which document it was seen, and its number or who issued it."),
    NoGuardian.ONESELF: _("This is the child itself."),
    NoGuardian.GUARDIAN_IS_CHILD: _("A child cannot be a guardian."),
    NoGuardian.NO_CHILD: _(
        "There is no guardian for this person, who is no child any more, or whose date of birth is not registered."
    ),
    NoGuardian.ALREADY: _("This person is the guardian already."),
}
_FIELDS = ("guardian", "name", "basis", "evidence")


def section(work: Work, page: PersonPage, given: Mapping[str, str], suggested: str, wrong: str) -> dict[str, Any]:
    """What the page of a person shows of guardians, for whoever names them; nothing for others, nor of adults.

    Of an adult there is something to say where guardians were named once, or where nobody has told when they were
    born: they may be a child. `given`: what was typed. `suggested`: exchange id of a mother who was chosen from what
    was suggested.
    """
    child = page.person.exchange_id
    if not rights.may_name(work, child):
        return {"guarding": None}
    is_child = rights.is_child(work, child)
    is_adult = not is_child and any(each.known.birth_date for each in page.records)
    if is_adult and not wrong and not rights.had_any(work, child):
        return {"guarding": None}
    named = rights.guardians_of(work, child)
    holding = [each for each in named if each.ended_at is None]
    mothers = [each for each in rights.mothers_of(work, child) if _is_new(each, [one.exchange_id for one in holding])]
    typed = dict(given) or _of_mother(mothers, suggested)
    shown: dict[str, Any] = {
        "holding": holding,
        "ended": [each for each in named if each.ended_at],
        "is_child": is_child,
    }
    shown["years"] = RELATIONS.guardian_until_years
    return {"guarding": {**shown, "mothers": mothers, "given": typed, "wrong": wrong, "bases": BASES}}


def _is_new(mother: Mother, guardians: list[str]) -> bool:
    return mother.exchange_id not in guardians


def _of_mother(mothers: list[Mother], suggested: str) -> dict[str, str]:
    """The form filled with the mother that was chosen; else empty."""
    chosen = next((each for each in mothers if suggested and each.exchange_id == suggested), None)
    empty = dict.fromkeys(_FIELDS, "")
    if chosen is None:
        return empty
    return {**empty, "guardian": chosen.exchange_id, "name": chosen.name, "basis": "birth-certificate"}


def typed(form: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(form.get(name, "")).strip()[:256] for name in _FIELDS}


def say(work: Work, child: str, said: Mapping[str, str], ends: str) -> str:
    """Names a guardian, or ends the one of the key `ends`; answers what was wrong. Raises NotAllowed, NotFound."""
    if ends:
        if (key := key_of(ends)) is None:
            raise NotFound("a guardian")
        rights.end_guardian(work, child, key)
        return ""
    refused = rights.name_guardian(work, child, said["guardian"], said["name"], said["basis"], said["evidence"])
    return WRONG[refused] if refused else ""
