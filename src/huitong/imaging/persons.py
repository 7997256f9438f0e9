"""Studies by person, where no institution is named: searches ask by exchange id, and answers carry it.

What was received stays as it is; only what a search says of a patient is said in the exchange's own numbers, with the
institution's number beside it (PS3.3 C.7.1.1: Other Patient IDs Sequence). So a viewer that asks for prior studies by
Patient ID gets one person's of all institutions, and nobody else's. At an institution's own root all is as it was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from huitong.imaging.plan import ISSUED_BY, RECORD
from huitong.people import actions as people
from huitong.store.database import Session
from huitong.wire.query import Condition, Match, Query

PATIENT_ID, ISSUER, OTHER_IDS = "00100020", "00100021", "00101002"
#: Answered where the exchange's number is, whether asked for or not.
RETURNED = (ISSUER, OTHER_IDS)


def by_person(session: Session, query: Query, issuer: str) -> Query:
    """The query with exchange ids replaced by the records that they stand for, and the issuer of numbers understood.

    Other patient numbers stay as they are: those that some institution has given.
    """
    changed = [each for condition in query.conditions for each in _understood(session, condition, issuer)]
    return replace(query, conditions=tuple(changed))


def _understood(session: Session, condition: Condition, issuer: str) -> list[Condition]:
    if condition.tag == ISSUER and condition.match is Match.EQUAL:
        return [] if issuer in condition.values else [replace(condition, tag=ISSUED_BY)]
    if condition.tag != PATIENT_ID or condition.match not in (Match.EQUAL, Match.WILDCARD):
        return [condition]
    found = [people.records_of_number(session, value.strip("*")) for value in condition.values]
    named = [pks for pks in found if pks is not None]
    if not named or len(named) < len(found):
        return [condition]
    return [Condition(RECORD, Match.EQUAL, tuple(str(pk) for pks in named for pk in pks))]


class Persons:
    """The exchange ids of a page's rows, by one statement for all."""

    def __init__(self, session: Session, rows: Sequence[Any], issuer: str) -> None:
        self._ids = people.exchange_ids(session, (row["patient_pk"] for row in rows if row["patient_pk"] is not None))
        self._issuer = issuer

    def say(self, known: dict[str, Any], row: Any) -> None:
        """What is known of the patient names the person, not the number of one institution."""
        number = known.get(PATIENT_ID)
        exchange_id = self._ids.get(row["patient_pk"])
        if exchange_id is None:
            known[ISSUER] = {"vr": "LO"}
            return
        own = {ISSUER: {"vr": "LO", "Value": [row["institution"]]}}
        if number is not None:
            own = {PATIENT_ID: number, **own}
        others = known.get(OTHER_IDS, {}).get("Value", [])
        known[PATIENT_ID] = {"vr": "LO", "Value": [exchange_id]}
        known[ISSUER] = {"vr": "LO", "Value": [self._issuer]}
        known[OTHER_IDS] = {"vr": "SQ", "Value": [own, *others]}
