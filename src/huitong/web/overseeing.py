"""The supervisor's pages of who looked: a search, and one line with all that it says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.auditing import Wanted
from huitong.access.heads import Head
from huitong.base.clock import CHINA, moment
from huitong.base.errors import AuditDamaged
from huitong.base.numbers import key_of
from huitong.people import overseeing
from huitong.web import audit_words
from huitong.web.account import ROLES
from huitong.web.look import answer
from huitong.web.place import Place

_SHOWN = 50
#: Of the published heads the last so many.
_HEADS = 5
_MOST_CHARS = 200
_FIELDS = ("person", "account", "institution", "action", "outcome", "object", "since", "until")
_OUTCOMES = {"allowed": True, "refused": False}


@dataclass(frozen=True, slots=True)
class _Digest:
    """A head as the page shows it; `root` is empty where its row was altered."""

    size: int
    at_ms: int
    root: str
    signed: bool

    @classmethod
    def of(cls, head: Head) -> _Digest:
        try:
            checkpoint, note = head.published()
        except AuditDamaged:
            return cls(head.size, head.at_ms, "", False)
        return cls(head.size, head.at_ms, checkpoint.root.hex(), bool(note.signatures))


class OverseeingPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def routes(self) -> list[BaseRoute]:
        return [Route("/audit", self.search, name="audit"), Route("/audit/{seq:int}", self.line)]

    async def search(self, request: Request) -> Response:
        """Lines by what is given, newest first; `?before=` goes on. Raises NotAllowed."""
        work, given = self.place.reader(request), _given(request)
        behind = key_of(request.query_params.get("before", ""))
        found = await to_thread.run_sync(lambda: overseeing.find(work, _wanted(given), before=behind, limit=_SHOWN + 1))
        asked = {name: value for name, value in given.items() if value}
        more = urlencode({**asked, "before": found[_SHOWN - 1].seq}) if len(found) > _SHOWN else ""
        heads = self.place.access.heads
        digests = [_Digest.of(each) for each in await to_thread.run_sync(heads.newest, _HEADS)]
        overdue = await to_thread.run_sync(heads.is_overdue)
        return self._answer(
            request, "audit.html", found=found[:_SHOWN], more=more, given=given, heads=digests, overdue=overdue,
        )  # fmt: skip

    async def line(self, request: Request) -> Response:
        """Raises NotAllowed, NotFound."""
        work, seq = self.place.reader(request), request.path_params["seq"]
        found = await to_thread.run_sync(overseeing.read, work, seq)
        return self._answer(request, "audit-line.html", line=found)

    def _answer(self, request: Request, template: str, **values: object) -> Response:
        names = self.place.institution_names(request)
        return answer(
            request, template, institution_names=names, moment=moment, words=audit_words, roles=ROLES, **values
        )


def _given(request: Request) -> dict[str, str]:
    """The fields of the form; what is no day counts as not given."""
    given = {name: request.query_params.get(name, "").strip()[:_MOST_CHARS] for name in _FIELDS}
    for name in ("since", "until"):
        given[name] = given[name] if _day(given[name]) else ""
    return given


def _wanted(given: dict[str, str]) -> Wanted:
    since, until = _day(given["since"]), _day(given["until"])
    return Wanted(
        persons=(given["person"],) if given["person"] else (),
        account=given["account"],
        institution=given["institution"],
        action=given["action"],
        allowed=_OUTCOMES.get(given["outcome"]),
        object=given["object"],
        since=since,
        until=until + timedelta(days=1) if until else None,
    )


def _day(text: str) -> datetime | None:
    """Its first moment in China."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(found, time(), CHINA) if 1970 <= found.year < 9999 else None
