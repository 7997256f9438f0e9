"""What institutions say of their patients becomes records, within a transaction of the caller's.

Of two messages about one patient the later one is right, whichever comes first: each field remembers when it was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.errors import BadRequest, NotAllowed, NotFound
from huitong.people import linking, matching, records
from huitong.people.identifiers import normal
from huitong.people.model import Demographics, Registered, Registration

#: Of Demographics, each with the time at which it was said.
FIELDS = (
    "names", "sex", "birth_date", "phones", "address", "mother_name", "mother_certificates", "birth_order",
    "certificates",
)  # fmt: skip
#: Held by whoever registers, joins, splits or answers: two records that come at once see one another.
LOCK = ("people",)
_MOST_CHARS, _MOST_ENTRIES = 256, 16


def register(tx: Connection, work: Work, registration: Registration) -> Registered:
    """The record says what the registration does and is matched. Saying the same twice changes nothing.

    Raises NotAllowed for another institution's number, BadRequest without a number.
    """
    _check_issuer(work, registration.issuer)
    if not registration.number.strip() or len(registration.number) > _MOST_CHARS:
        raise BadRequest(f"a patient number has 1 to {_MOST_CHARS} characters")
    work.store.database.lock(tx, LOCK)
    record = records.by_number(tx, registration.issuer, registration.number)
    pk = record.pk if record is not None else records.add(tx, registration.issuer, registration.number)
    before = record.known if record is not None else Demographics()
    said = records.said_at(tx, pk)
    at_ms = milliseconds(registration.effective_at)
    known, times = merged(before, said, _bounded(registration), at_ms)
    changed = known != before or record is None or not record.active
    if changed:
        records.change(tx, pk, known, times)
        matching.match(tx, work, pk)
    elif times != said:
        records.note_said(tx, pk, times)
    person = records.persons_of(tx, [(registration.issuer, registration.number)])[
        registration.issuer, registration.number
    ]
    if changed:
        linking.tell(tx, work, "registered", person.exchange_id, {"record": pk}, registration.issuer)
    return Registered(person.exchange_id, new=record is None, changed=changed)


def _check_issuer(work: Work, issuer: str) -> None:
    if not work.may_send or work.institution != issuer:
        raise NotAllowed("an institution registers its own numbers")


def merged(
    before: Demographics, said: Mapping[str, int], new: Registration, at_ms: int
) -> tuple[Demographics, dict[str, int]]:
    """What is known once this was said too, and when each field was said. Of one time, what comes last counts."""
    told = {name: value for name in FIELDS if (value := getattr(new, name)) is not None}
    newer = {name: value for name, value in told.items() if at_ms >= said.get(name, -1)}
    return replace(before, **newer), {**said, **dict.fromkeys(newer, at_ms)}


def _bounded(registration: Registration) -> Registration:
    """Texts and lists as they are kept: without line ends, normalised and sorted, no longer than anybody means."""
    fields: dict[str, Any] = {name: _kept(name, getattr(registration, name)) for name in FIELDS}
    return replace(registration, **fields)


def _kept(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return _line(value)
    if name.endswith("certificates") and value is not None:
        pairs = {(kind, normal(kind, number) or _line(number)) for kind, number in value if number.strip()}
        return tuple(sorted(pairs)[:_MOST_ENTRIES])
    if isinstance(value, tuple):
        return tuple(dict.fromkeys(filter(None, map(_line, value))))[:_MOST_ENTRIES]
    return value


def _line(text: str) -> str:
    return " ".join(text.replace("\0", "").split())[:_MOST_CHARS]


def merge_numbers(tx: Connection, work: Work, issuer: str, goes: str, stays: str) -> None:
    """The institution uses one number instead of another of its own (ADT A40): both are one person's.

    Raises NotAllowed, BadRequest for one number twice. A number that is not known yet is registered with nothing.
    """
    _check_issuer(work, issuer)
    if goes == stays:
        raise BadRequest("a number cannot be merged into itself")
    work.store.database.lock(tx, LOCK)
    for number in (goes, stays):
        if records.by_number(tx, issuer, number) is None:
            records.change(tx, records.add(tx, issuer, number), Demographics(), {})
    old, new = records.by_number(tx, issuer, goes), records.by_number(tx, issuer, stays)
    if old is None or new is None or old.merged_into == stays:
        return
    if new.merged_into == goes:
        raise BadRequest("the number that stays was merged into the one that goes")
    records.merge(tx, old.pk, new.pk)
    matching.match(tx, work, old.pk)
    linking.tell(tx, work, "merged", str(old.pk), {"into": new.pk}, issuer)


def deactivate(tx: Connection, work: Work, issuer: str, number: str) -> None:
    """The institution does not use the number any more; what it kept under it stays. Raises NotAllowed, NotFound."""
    _check_issuer(work, issuer)
    record = records.by_number(tx, issuer, number)
    if record is None:
        raise NotFound("patient number")
    if record.active:
        records.set_active(tx, record.pk, active=False)
        linking.tell(tx, work, "deactivated", str(record.pk), {}, issuer)
