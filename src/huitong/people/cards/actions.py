"""Issue, suspend, show and resolve health cards: rules and records joined, each change with its line in the ledger."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from huitong.access.deciding import Action
from huitong.access.work import Work
from huitong.base import metrics
from huitong.base.errors import BadRequest, NotAllowed, NotFound, SettingsError
from huitong.base.settings import Settings
from huitong.people import permitting
from huitong.people.cards import algorithm, codes, holders, records, rules
from huitong.people.cards.keys import Keys, read_keys
from huitong.people.cards.model import (
    Attribute,
    Card,
    Figures,
    Holder,
    Issued,
    Reason,
    Refusal,
    Resolved,
    Shown,
    State,
    Terminal,
    Use,
)
from huitong.people.identifiers import exchange_id
from huitong.store import ledger

#: Codes are remembered for so long after they could last have been good, should a clock be put back.
_REMEMBER = timedelta(hours=1)


#: What unknown and refused are called alike.
_NO_CARD, _NO_PERSON = "no card has this id", "no person has this id"


def check_keys(settings: Settings) -> None:
    """Raises SettingsError where the keys of the settings are not usable: a server says so when it starts."""
    read_keys(settings)


def wrap_key(settings: Settings, plain: bytes) -> bytes:
    """A key of 16 bytes as `card_keys` holds it where a security module unwraps it. Raises SettingsError."""
    if settings.card_hsm is None:
        raise SettingsError("`card_hsm` names no security module")
    from huitong.people.cards.hsm import wrap

    return wrap(settings, plain)


def has_cards(work: Work) -> bool:
    """Whether this server has keys for health cards."""
    return work.store.once("people.card_keys", lambda: read_keys(work.store.settings)) is not None


def issue(work: Work, number: str) -> Issued | Refusal:
    """The card of the patient to whom the asking institution gave this number; made where it is not there yet.

    Of the person's certificate, else a temporary one. A temporary card of the same person is replaced when a formal
    one is made, and goes on naming the person. Raises NotFound for a number that is not known, NotAllowed to readers.
    """
    keys, institution = _keys(work), _institution(work)
    with work.store.database.write() as write:
        holder = holders.by_number(write, institution, number)
        if holder is None:
            raise NotFound(f"{institution} has given no such patient number")
        return _issue(write, work, keys, holder, institution)


def _issue(write: Connection, work: Work, keys: Keys, holder: Holder, institution: str) -> Issued | Refusal:
    if not holder.name:
        raise BadRequest("a card needs a name, and the patient has none")
    certificate = holder.certificate
    if certificate is None:
        work.store.database.lock(write, [f"card of person {holder.person_pk}"])
        if (temporary := _temporary(write, holder.person_pk)) is not None:
            return Issued(temporary, new=False)
        # Not the person's exchange id: after a split, two people would want a card of it.
        certificate = rules.NO_CERTIFICATE, exchange_id(secrets.randbits(80))
    else:
        work.store.database.lock(write, ["card of " + " ".join(certificate)])
        if (row := records.by_certificate(write, certificate)) is not None:
            card = records.card(write, row)
            ours = card.holder.person_pk == holder.person_pk
            return Issued(card, new=False) if ours else Refusal(Reason.TAKEN)
    return Issued(_add(write, work, keys, holder, certificate, institution), new=True)


def _temporary(read: Connection, person_pk: int) -> Card | None:
    """The person's temporary card that still stands."""
    cards = (records.card(read, row) for row in records.of_patients(read, holders.patients_of(read, person_pk)))
    return next((each for each in cards if each.attribute == Attribute.TEMPORARY and not each.replaced_by), None)


def _add(
    write: Connection, work: Work, keys: Keys, holder: Holder, certificate: tuple[str, str], institution: str
) -> Card:
    attribute = Attribute.FORMAL if holder.certificate else Attribute.TEMPORARY
    card_id, index = rules.make(keys.current, certificate, holder.name)
    card_pk = records.add(
        write,
        card_id=card_id,
        patient_pk=holder.patient_pk,
        certificate=certificate,
        index=index,
        key_version=keys.current.version,
        attribute=attribute,
        at=work.at,
        institution=institution,
    )
    told = {"attribute": int(attribute), "key_version": keys.current.version, "person": holder.exchange_id}
    if attribute == Attribute.FORMAL:
        told["replaces"] = records.replace_temporary(write, holders.patients_of(write, holder.person_pk), card_pk)
    _tell(write, work, "people.card_issued", card_id, told)
    return _known(write, card_id)[1]


def suspend(work: Work, card_id: str) -> Card:
    """The card is not taken any more; nothing happens when it was suspended. Raises NotFound, NotAllowed."""
    return _set_state(work, card_id, State.SUSPENDED, "people.card_suspended")


def resume(work: Work, card_id: str) -> Card:
    """The card is taken again. Raises NotFound, NotAllowed."""
    return _set_state(work, card_id, State.NORMAL, "people.card_resumed")


def _set_state(work: Work, card_id: str, state: State, kind: str) -> Card:
    _institution(work)
    with work.store.database.write() as write:
        work.store.database.lock(write, [f"card {card_id}"])
        pk, card = _known(write, card_id)
        if card.state != state:
            records.set_state(write, pk, state)
            _tell(write, work, kind, card_id, {})
        return _known(write, card_id)[1]


def show_card(work: Work, card_id: str) -> Card:
    """The card of this id. Raises NotFound."""
    with work.store.database.read() as read:
        row = records.by_id(read, card_id)
        card = records.card(read, row) if row is not None else None
    permitting.permit_person(work, card.holder.exchange_id if card else "", Action.SEE_CARD, _NO_CARD)
    if card is None:
        raise NotFound(_NO_CARD)
    return card


def holder_of(read: Connection, text: str) -> Holder | None:
    """Whose card has this code, or this id; for the room itself, which decides. The card is not taken by it."""
    code = codes.read(text)
    row = records.by_id(read, code.card_id if code else text.upper())
    return records.card(read, row).holder if row is not None else None


def cards_of(work: Work, exchange_id: str) -> list[Card]:
    """The person's cards, that to be shown first; of a person without, none. Raises NotFound for an unknown person."""
    permitting.permit_person(work, exchange_id, Action.SEE_CARD, _NO_PERSON)
    with work.store.database.read() as read:
        person_pk = holders.person(read, exchange_id)
        rows = records.of_patients(read, holders.patients_of(read, person_pk))
        return [records.card(read, row) for row in rows]


def uses_of(work: Work, exchange_id: str, limit: int = 20) -> list[Use]:
    """Where the person's cards were taken, the newest first; for the person or the guardian. Raises NotFound."""
    permitting.permit_person(work, exchange_id, Action.SEE_RIGHTS, _NO_PERSON)
    with work.store.database.read() as read:
        return records.uses(read, holders.patients_of(read, holders.person(read, exchange_id)), limit)


def has_card(work: Work, exchange_id: str) -> bool:
    """Whether there is one that the asker may see; nothing of it is told."""
    if not permitting.may_person(work, exchange_id, Action.SEE_CARD):
        return False
    with work.store.database.read() as read:
        return bool(records.of_patients(read, holders.patients_of(read, holders.person(read, exchange_id))))


def static_code(card: Card) -> Shown:
    """The text to be printed."""
    return Shown(str(codes.Code(card.card_id)), None)


def dynamic_code(work: Work, card: Card) -> Shown:
    """The text to be shown for the next `card_code_s`: to its holder, as it stands for being there. Raises NotFound."""
    permitting.permit_person(work, card.holder.exchange_id, Action.SHOW_CODE, _NO_CARD)
    until = rules.code_until(work.now(), work.store.settings.card_code_s)
    sealed = algorithm.validity(_keys(work).current.protection, until)
    return Shown(str(codes.Code(card.card_id, sealed)), until)


def shows_code(work: Work, card: Card) -> bool:
    """Whether the asker is given the card's dynamic code."""
    return permitting.may_person(work, card.holder.exchange_id, Action.SHOW_CODE)


def resolve(work: Work, text: str, terminal: Terminal) -> Resolved | Refusal:
    """Whose card was shown, the use recorded; or why it is not taken.

    A dynamic code is taken once. Raises BadRequest where the terminal does not say what a use record needs, NotAllowed.
    """
    permitting.permit(work, Action.SCAN_CARD)
    _check(terminal)
    found = _resolve(work, text, terminal)
    outcome = found.reason if isinstance(found, Refusal) else "taken"
    metrics.CARD_SCANS.labels(work.institution or "", outcome).inc()
    return found


def _resolve(work: Work, text: str, terminal: Terminal) -> Resolved | Refusal:
    keys, now = _keys(work), work.now()
    code = codes.read(text)
    if code is None:
        return Refusal(Reason.MALFORMED)
    until = rules.time_of(keys, code.validity) if code.dynamic else None
    if code.dynamic:
        if until is None:
            return Refusal(Reason.WRONG_KEY)
        settings = work.store.settings
        fault = rules.fault_of_time(until, now, code_s=settings.card_code_s, skew_s=settings.card_skew_s)
        if fault is not None:
            return Refusal(fault)
    _formalise(work, keys, code.card_id)
    with work.store.database.write() as write:
        return _take(write, work, keys, code, until, terminal, now)


def _formalise(work: Work, keys: Keys, card_id: str) -> None:
    """A formal card steps in the place of a temporary one whose person has got a certificate meanwhile.

    A transaction of its own, before the use: the card is there whatever becomes of the code.
    """
    with work.store.database.read() as read:
        row = records.by_id(read, card_id)
        if row is None or row.attribute != Attribute.TEMPORARY or row.replaced_by:
            return
        if holders.with_certificate(read, holders.of_patient(read, row.patient_pk).person_pk) is None:
            return
    with work.store.database.write() as write:
        holder = holders.with_certificate(write, holders.of_patient(write, row.patient_pk).person_pk)
        if holder is not None:
            _issue(write, work, keys, holder, row.institution)


def _take(
    write: Connection,
    work: Work,
    keys: Keys,
    code: codes.Code,
    until: datetime | None,
    terminal: Terminal,
    now: datetime,
) -> Resolved | Refusal:
    """Nothing is written unless the card is taken."""
    shown = records.by_id(write, code.card_id)
    if shown is None:
        return Refusal(Reason.UNKNOWN)
    standing = records.card(write, shown).replaced_by or code.card_id
    work.store.database.lock(write, {f"card {code.card_id}", f"card {standing}"})
    for card_id in dict.fromkeys((code.card_id, standing)):
        row = records.by_id(write, card_id)
        assert row is not None
        if not rules.is_ours(keys, row.card_id, (row.kind, row.number), row.mindex, row.key_version):
            return Refusal(Reason.WRONG_KEY)
        if (fault := rules.fault_of_state(State(row.state))) is not None:
            return Refusal(fault)
    if until is not None:
        records.forget_codes(write, now - timedelta(seconds=work.store.settings.card_skew_s) - _REMEMBER)
        if not records.take_code(write, shown.pk, until):
            return Refusal(Reason.REPLAYED)
    institution = work.institution or ""
    _, card = _known(write, standing)
    records.add_use(write, shown.pk, terminal, at=now, institution=institution, dynamic=code.dynamic)
    told = {"step": terminal.step, "terminal_type": terminal.terminal_type, "dynamic": code.dynamic}
    _tell(write, work, "people.card_used", code.card_id, told)
    numbers = holders.numbers_at(write, card.holder.person_pk, institution) if institution else ()
    return Resolved(card, numbers, terminal, now, code.dynamic)


def figures(work: Work, since: datetime = datetime(1970, 1, 1, tzinfo=UTC), before: datetime | None = None) -> Figures:
    """Cards as they stand, and their uses from `since` until `before` (now). Raises NotAllowed."""
    permitting.permit(work, Action.COUNT_CARDS)
    with work.store.database.read() as read:
        counted = records.counts(read)
        uses = records.uses_by_step(read, since, before or work.now() + timedelta(seconds=1))
    active = {key: number for key, number in counted.items() if key[1] == State.NORMAL and not key[2]}
    return Figures(
        issued=sum(counted.values()),
        active=sum(active.values()),
        temporary=sum(number for key, number in active.items() if key[0] == Attribute.TEMPORARY),
        suspended=sum(number for key, number in counted.items() if key[1] == State.SUSPENDED),
        uses_by_step=uses,
    )


def _keys(work: Work) -> Keys:
    keys = work.store.once("people.card_keys", lambda: read_keys(work.store.settings))
    if keys is None:
        raise NotFound("this server has no health cards: `card_keys` is empty")
    return keys


def _institution(work: Work) -> str:
    """Raises NotAllowed for whoever only reads."""
    permitting.permit(work, Action.ISSUE_CARD)
    if work.institution is None or not work.may_send:
        raise NotAllowed("only an institution issues or suspends cards")
    return work.institution


def _known(read: Connection, card_id: str) -> tuple[int, Card]:
    row = records.by_id(read, card_id)
    if row is None:
        raise NotFound(_NO_CARD)
    return row.pk, records.card(read, row)


def _check(terminal: Terminal) -> None:
    for name, pattern in rules.FIELDS.items():
        if not pattern.fullmatch(getattr(terminal, name)):
            raise BadRequest(f"{name} must be {pattern.pattern}")


def _tell(write: Connection, work: Work, kind: str, card_id: str, body: dict[str, object]) -> None:
    ledger.append(write, at=work.now(), kind=kind, institution=work.institution or "", subject=card_id, body=body)
