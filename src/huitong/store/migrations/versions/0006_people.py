"""Persons, and the records of institutions that are one person; each study knows its record.

Studies that were there before get theirs here, with what their first object says of the patient. They are compared
with one another when the server has started.

Revision: 0006
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAGE = 5000


def _text(name: str, **more: Any) -> sa.Column[str]:
    return sa.Column(name, WORDS, nullable=False, **more)


def _small(name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, **more)


def _of(table: str, name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, KEY, sa.ForeignKey(f"{table}.pk"), **more)


def _pk() -> sa.Column[int]:
    return sa.Column("pk", KEY, primary_key=True, autoincrement=True)


def upgrade() -> None:
    _persons_and_records()
    _links_and_questions()
    op.add_column("study", sa.Column("patient_pk", KEY))
    _back_fill()
    op.create_index("study_by_record", "study", ["patient_pk", "study_date", "study_time", "pk", "shown"])


def _persons_and_records() -> None:
    op.create_table("person", _pk(), _text("exchange_id", unique=True), _of("person", "joined_into_pk"))
    op.create_table(
        "patient",
        _pk(),
        *map(_text, ("issuer", "number")),
        _of("person", "person_pk", nullable=False),
        *map(_text, ("names", "sex", "birth_date", "phones", "address", "mother_name")),
        sa.Column("birth_order", sa.Integer),
        _text("said"),
        _small("revision"),
        _small("matched_revision", server_default="0"),
        sa.Column("merged_into_pk", KEY),
        _small("active", server_default="1"),
        sa.UniqueConstraint("issuer", "number"),
    )
    op.create_index("patient_by_person", "patient", ["person_pk"])
    op.create_index("patient_by_number", "patient", ["number"])
    unmatched = sa.text("matched_revision < revision")
    op.create_index("patient_unmatched", "patient", ["pk"], sqlite_where=unmatched, postgresql_where=unmatched)
    op.create_table(
        "patient_identifier",
        _of("patient", "patient_pk", primary_key=True, autoincrement=False),
        *(sa.Column(name, WORDS, primary_key=True) for name in ("whose", "kind", "value")),
        _small("sound"),
    )
    op.create_index("patient_identifier_by_value", "patient_identifier", ["value", "kind"])
    op.create_table(
        "patient_key",
        sa.Column("key", WORDS, primary_key=True),
        _of("patient", "patient_pk", primary_key=True, autoincrement=False),
    )
    op.create_index("patient_key_by_patient", "patient_key", ["patient_pk"])


def _links_and_questions() -> None:
    op.create_table(
        "link_event",
        _pk(),
        _text("kind"),
        *(_of("person", name, nullable=False) for name in ("kept_pk", "other_pk")),
        *(_of("patient", name, nullable=False) for name in ("kept_patient_pk", "other_patient_pk")),
        *map(_text, ("moved", "evidence", "who")),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        *(sa.Column(name, KEY) for name in ("undoes_pk", "undone_by_pk")),
    )
    op.create_index("link_event_by_kept", "link_event", ["kept_pk"])
    op.create_index("link_event_by_other", "link_event", ["other_pk"])
    op.create_table(
        "question",
        _pk(),
        *(_of("patient", name, nullable=False) for name in ("low_pk", "high_pk")),
        *map(_text, ("state", "evidence")),
        sa.Column("asked_at_ms", sa.BigInteger, nullable=False),
        _text("who", server_default=""),
        sa.Column("answered_at_ms", sa.BigInteger),
        _text("note", server_default=""),
        sa.UniqueConstraint("low_pk", "high_pk"),
    )
    op.create_index("question_by_high", "question", ["high_pk"])
    op.create_index("question_by_state", "question", ["state", "pk"])


# --- studies that are there ---


def _back_fill() -> None:
    """A record for each patient number of each institution, of its first study; numbers begin at 1 in both tables."""
    write = op.get_bind()
    for first, page in enumerate(_pages(write)):
        numbered = [(first * _PAGE + n, row) for n, row in enumerate(page, 1)]
        write.execute(sa.text("INSERT INTO person(exchange_id) VALUES (:id)"), [{"id": _exchange_id()} for _ in page])
        write.execute(sa.text(_PATIENT), [_patient(pk, row) for pk, row in numbered])
    write.execute(sa.text(
        "UPDATE study SET patient_pk = (SELECT pk FROM patient WHERE patient.issuer = study.institution "
        "AND patient.number = study.patient_id) WHERE patient_id <> ''"
    ))  # fmt: skip


def _pages(read: sa.Connection) -> Iterator[list[Any]]:
    after = ("", "")
    while page := read.execute(sa.text(_FIRST_STUDIES), {"institution": after[0], "number": after[1]}).all():
        yield list(page)
        after = (page[-1].institution, page[-1].patient_id)


_FIRST_STUDIES = f"""
    WITH first AS (
        SELECT min(pk) AS pk FROM study WHERE patient_id <> '' AND (institution, patient_id) > (:institution, :number)
        GROUP BY institution, patient_id ORDER BY institution, patient_id LIMIT {_PAGE}
    ) SELECT institution, patient_id, patient_birth_date, patient_sex, attributes
    FROM study JOIN first ON first.pk = study.pk ORDER BY institution, patient_id
"""  # noqa: S608 - all ours
_PATIENT = """
    INSERT INTO patient(issuer, number, person_pk, names, sex, birth_date, phones, address, mother_name, said, revision)
    VALUES (:issuer, :number, :person_pk, :names, :sex, :birth_date, '', '', '', :said, 1)
"""


def _patient(person_pk: int, row: Any) -> dict[str, Any]:
    """As `imaging.attributes.patient_of` reads it today."""
    name = (orjson.loads(row.attributes).get("00100010", {}).get("Value") or [{}])[0]
    groups = [name.get(group, "") for group in ("Ideographic", "Alphabetic", "Phonetic")]
    said = {
        "names": "\n".join(dict.fromkeys(" ".join(each.split()) for each in groups if each.strip("^ "))).replace(
            "\0", ""
        ),
        "sex": row.patient_sex if row.patient_sex in ("M", "F", "O") else "",
        "birth_date": row.patient_birth_date,
    }
    times = {field: 0 for field, value in sorted(said.items()) if value}
    key = {"issuer": row.institution, "number": row.patient_id, "person_pk": person_pk}
    return {**key, **said, "said": orjson.dumps(times).decode()}


def _exchange_id() -> str:
    """As `people.identifiers.exchange_id` makes it today."""
    bits, check = secrets.randbits(80), 0
    digits = [bits >> 5 * place & 31 for place in reversed(range(16))]
    for digit in [*digits, 0]:
        check = (check << 1 if check < 16 else (check << 1) ^ 0b100101) ^ digit
    return "HT" + "".join(_ALPHABET[digit] for digit in [*digits, check])
