"""The audit as supervisors read it, and as programs do: searched, and a line whole. That they look is itself a line.

Supervisors read all of it; a system with an access token what was done in its institution's name; a resident what is
about them or a child for whom they act, as on their own pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from huitong.access import auditing
from huitong.access.auditing import Line, Looked, Wanted
from huitong.access.deciding import Action, Subject, decide
from huitong.access.model import FREE, Kind
from huitong.access.work import Work
from huitong.base.errors import NotAllowed, NotFound
from huitong.people.permitting import permit_person
from huitong.people.relations import ids_of
from huitong.store.store import Store

_LINE = "a line of the audit"
#: A page of what a program seeks looks at so many lines at most, so many at a time.
_MOST_LOOKED_AT, _AT_ONCE = 2000, 500
_NOBODY = "-"


def find(work: Work, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """The newest such lines, those about a person under every number from before joins. Raises NotAllowed."""
    person = wanted.persons[0] if wanted.persons else ""
    _permit(work, "search", person, _said(wanted), person=person)
    if person:
        wanted = replace(wanted, persons=_every_id(work, wanted.persons))
    return auditing.search(work.store, _own(work, wanted), before=before, limit=limit)


def read(work: Work, number: int) -> Line:
    """The line of this number. Raises NotAllowed, NotFound."""
    _permit(work, "line", str(number), {})
    found = auditing.line(work.store, number)
    if found is None or (work.asker.kind is Kind.SYSTEM and found.asker["institution"] != work.institution):
        raise NotFound(_LINE)
    return found


# --- as programs seek ---


@dataclass(frozen=True, slots=True)
class Sought:
    """Lines as a program asks for them: found by an index as far as there is one, and then held against a test."""

    wanted: Wanted
    #: Of these; None for all.
    actions: tuple[str, ...] | None
    passes: Callable[[Line], bool]
    #: What was asked, for the line that says so.
    said: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """Some of the lines, newest first."""

    lines: list[Line]
    #: Below which number to go on; None where there are no more.
    before: int | None
    #: How many there are; None where nobody counted.
    total: int | None


def seek(work: Work, sought: Sought, *, before: int | None = None, limit: int) -> Found:
    """The newest such lines, fewer than `limit` where few of many lines pass; a limit of 0 counts.

    A resident who names nobody seeks their own. Raises NotAllowed, NotFound for a person who is not theirs.
    """
    wanted = sought.wanted
    if work.asker.kind is Kind.PERSON:
        wanted = replace(wanted, persons=wanted.persons or (work.asker.person,))
        for person in wanted.persons:
            permit_person(work, person, Action.SEE_RIGHTS, "person")
    else:
        about = wanted.persons[0] if len(wanted.persons) == 1 else ""
        _permit(work, "search", about, sought.said, person=about)
    if wanted.persons:
        wanted = replace(wanted, persons=_every_id(work, wanted.persons))
    passes = _but_accounts(sought.passes) if work.asker.kind is Kind.PERSON else sought.passes
    return _walked(work.store, replace(sought, wanted=_own(work, wanted), passes=passes), before, limit)


def seek_one(work: Work, number: int) -> Line:
    """As `read`; a resident reads what is about them. Raises NotAllowed, NotFound."""
    if work.asker.kind is not Kind.PERSON:
        return read(work, number)
    found = auditing.line(work.store, number)
    theirs = found is not None and found.looked.kind != _ACCOUNT
    permit_person(work, found.looked.person if found and theirs else "", Action.SEE_RIGHTS, _LINE)
    if found is None:
        raise NotFound(_LINE)
    return found


_ACCOUNT = "account"


def _but_accounts(passes: Callable[[Line], bool]) -> Callable[[Line], bool]:
    """What an account did with itself is no look at anybody's record."""
    return lambda line: line.looked.kind != _ACCOUNT and passes(line)


def _walked(store: Store, sought: Sought, before: int | None, limit: int) -> Found:
    found, looked_at, first = list[Line](), 0, before is None
    most = limit or _MOST_LOOKED_AT
    at_once = min(most + 1, _AT_ONCE)  # mostly all of them pass
    while looked_at < _MOST_LOOKED_AT:
        lines = _newest(store, sought, before, at_once)
        for line in lines:
            if sought.passes(line):
                if len(found) == most:
                    return Found(found, found[-1].seq, None)
                found.append(line)
        looked_at += len(lines)
        if len(lines) < at_once:
            return Found(found if limit else [], None, len(found) if first else None)
        before, at_once = lines[-1].seq, min(_AT_ONCE, _MOST_LOOKED_AT - looked_at)
    return Found(found if limit else [], before if limit else None, None)


def _newest(store: Store, sought: Sought, before: int | None, limit: int) -> list[Line]:
    """Those next below `before`; of several actions the newest of all of them."""
    wanted = sought.wanted
    every = [wanted] if sought.actions is None else [replace(wanted, action=each) for each in sought.actions]
    found = [line for each in every for line in auditing.search(store, each, before=before, limit=limit)]
    return sorted(found, key=lambda line: line.seq, reverse=True)[:limit]


# --- whose, and that it was asked ---


def _own(work: Work, wanted: Wanted) -> Wanted:
    """A system's search is over what was done in its institution's name."""
    return replace(wanted, institution=work.institution or _NOBODY) if work.asker.kind is Kind.SYSTEM else wanted


def _every_id(work: Work, persons: Iterable[str]) -> tuple[str, ...]:
    """The exchange ids, with those that lead to the same persons."""
    with work.store.database.reading() as session:
        return tuple(sorted({each for person in persons for each in (person, *ids_of(session, person))}))


def _permit(work: Work, kind: str, object_: str, detail: dict[str, str], *, person: str = "") -> None:
    decision = decide(work.asker, Action.SEE_AUDIT, Subject("list", work.institution or ""))
    if work.asker.kind not in FREE:
        whose = {"person": person, "kind": f"audit {kind}", "id": object_, "institution": work.institution or ""}
        looked = Looked.of(Action.SEE_AUDIT, decision, **whose, detail=detail)
        if kind == "search":  # each differs, in what `once` does not compare
            auditing.record(work, looked)
        else:
            auditing.once(work, looked)
    if not decision.allowed:
        raise NotAllowed("who looked is for supervisors to see")


def _said(wanted: Wanted) -> dict[str, str]:
    """What was searched by, as the line has it."""
    said = {
        "account": wanted.account, "institution": wanted.institution, "action": wanted.action, "object": wanted.object,
        "allowed": "" if wanted.allowed is None else str(wanted.allowed).lower(),
        "since": wanted.since.isoformat() if wanted.since else "",
        "until": wanted.until.isoformat() if wanted.until else "",
    }  # fmt: skip
    return {name: value for name, value in said.items() if value}
