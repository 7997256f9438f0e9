"""The audit as supervisors read it: searched, and a line whole. That they look is itself a line."""

from __future__ import annotations

from dataclasses import replace

from huitong.access import auditing
from huitong.access.auditing import Line, Looked, Wanted
from huitong.access.deciding import Action, Subject, decide
from huitong.access.model import FREE
from huitong.access.work import Work
from huitong.base.errors import NotAllowed, NotFound
from huitong.people.relations import ids_of


def find(work: Work, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> list[Line]:
    """The newest such lines, those about a person under every number from before joins. Raises NotAllowed."""
    person = wanted.persons[0] if wanted.persons else ""
    _permit(work, "search", person, _said(wanted), person=person)
    if person:
        with work.store.database.reading() as session:
            wanted = replace(wanted, persons=tuple(sorted({person, *ids_of(session, person)})))
    return auditing.search(work.store, wanted, before=before, limit=limit)


def read(work: Work, number: int) -> Line:
    """The line of this number. Raises NotAllowed, NotFound."""
    _permit(work, "line", str(number), {})
    found = auditing.line(work.store, number)
    if found is None:
        raise NotFound("a line of the audit")
    return found


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
