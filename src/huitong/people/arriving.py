"""Patients of whom images speak: a record for each new number, in the transaction that keeps the images.

One look-up for a study that is new, by plain SQL on the session of whoever keeps; nothing for an image. What an image
says of a patient counts where nobody has said it yet: the institution's own messages are right. Matching is left to
whoever follows (`following`).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import orjson

from huitong.people.identifiers import exchange_id, normal
from huitong.people.model import Certificate
from huitong.store.database import Session
from huitong.store.tables import sorted_json

_COLUMNS = ("names", "sex", "birth_date", "phones", "address", "mother_name")


def register_arrival(
    session: Session, issuer: str, number: str, said: Mapping[str, str], certificates: tuple[Certificate, ...]
) -> int:
    """The key of the record of this number, made where it is new.

    `said` has columns of `patient` as far as the image has them, lists one entry a line.
    """
    key = {"issuer": issuer, "number": number}
    there = session.rows(_LOOK_UP, key)
    if not there:
        person = session.insert(_ADD_PERSON, {"id": exchange_id(secrets.randbits(80))})
        times = {name: 0 for name in _COLUMNS if said.get(name)} | ({"certificates": 0} if certificates else {})
        row = {
            **key,
            "person": person,
            **{name: said.get(name, "") for name in _COLUMNS},
            "said": sorted_json(times),
        }
        if added := session.rows(_ADD, row):
            _add_certificates(session, added[0][0], certificates)
            return int(added[0][0])
        session.run("DELETE FROM person WHERE pk = :pk", {"pk": person})  # another process was first
        there = session.rows(_LOOK_UP, key)
    _fill(session, there[0], said, certificates)
    return int(there[0][0])


_LOOK_UP = "SELECT pk, said FROM patient WHERE issuer = :issuer AND number = :number"
_ADD_PERSON = "INSERT INTO person(exchange_id) VALUES (:id) RETURNING pk"
_ADD = """
    INSERT INTO patient(issuer, number, person_pk, first_person_pk,
        names, sex, birth_date, phones, address, mother_name, said, revision)
    VALUES (:issuer, :number, :person, :person,
        :names, :sex, :birth_date, :phones, :address, :mother_name, :said, 1)
    ON CONFLICT (issuer, number) DO NOTHING RETURNING pk
"""


def _fill(session: Session, row: Any, said: Mapping[str, str], certificates: tuple[Certificate, ...]) -> None:
    """What nobody has said yet. Where a message comes at the same time, it is right and this is left."""
    times = orjson.loads(row["said"])
    more = {name: said[name] for name in _COLUMNS if said.get(name) and name not in times}
    first = certificates if "certificates" not in times else ()
    if not more and not first:
        return
    times |= dict.fromkeys([*more, *(["certificates"] if first else [])], 0)
    sets = "".join(f"{name} = :{name}, " for name in more)
    sql = (
        f"UPDATE patient SET {sets}said = :now, revision = revision + 1 WHERE pk = :pk AND said = :before RETURNING pk"  # noqa: S608 - names are ours
    )
    values = {**more, "now": sorted_json(times), "before": row["said"], "pk": row["pk"]}
    if session.rows(sql, values):
        _add_certificates(session, row["pk"], first)


def _add_certificates(session: Session, pk: int, certificates: tuple[Certificate, ...]) -> None:
    rows = [(kind, normal(kind, value) or value, int(bool(normal(kind, value)))) for kind, value in certificates]
    session.run_many(
        "INSERT INTO patient_identifier(patient_pk, whose, kind, value, sound) "
        "VALUES (:pk, 'own', :kind, :value, :sound) ON CONFLICT DO NOTHING",
        [{"pk": pk, "kind": kind, "value": value, "sound": sound} for kind, value, sound in dict.fromkeys(rows)],
    )
