"""The pages about people, for staff: search, a person with all records, and the work list of questions for registrars.

They ask the people room's actions. What decides something is a POST, and taken from our own pages only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from huitong.access.actions import SESSION_COOKIE
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.base.errors import BadRequest, NotAllowed
from huitong.base.numbers import key_of
from huitong.catalog.access import RELATIONS
from huitong.imaging.actions import list_studies
from huitong.people import actions, rights
from huitong.people.cards import actions as cards
from huitong.people.model import Question, Record
from huitong.web import guardians
from huitong.web.evidence import FIELDS, KINDS, LEVELS, OPENED, RULES
from huitong.web.headers import same_site
from huitong.web.look import answer, dicom_date, shown_date, shown_name
from huitong.web.modalities import NAMES
from huitong.web.place import Place
from huitong.wire.query import Condition, Level, Match, Query

_SHOWN_STUDIES = 100
_WAITING = 100


@dataclass(frozen=True, slots=True)
class Line:
    """A field of two records side by side."""

    label: str
    one: str
    other: str

    @property
    def differs(self) -> bool:
        return bool(self.one and self.other) and self.one != self.other


class PeoplePages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def people(self, request: Request) -> Response:
        """Search for persons; without a text, what can be searched for."""
        work = self.place.reader(request)
        text, born = (request.query_params.get(name, "").strip() for name in ("q", "born"))
        day = dicom_date(born)
        wanted = day.strftime("%Y%m%d") if day else ""
        found = await to_thread.run_sync(lambda: actions.find_people(work, text, birth_date=wanted))
        waiting = await to_thread.run_sync(actions.open_questions, work)
        return self._page(request, "people.html", text=text, born=born, found=found, waiting=waiting)

    async def person(self, request: Request) -> Response:
        """All that is known of one person; an id that was joined leads to who it is now. Raises NotFound."""
        return await self._person(request, self.place.reader(request), {}, "")

    async def guardians(self, request: Request) -> Response:
        """Name a guardian of this child, or end one. Raises NotAllowed, NotFound."""
        same_site(request)
        work, child = self.place.reader(request), request.path_params["exchange_id"]
        form = await request.form(max_files=0, max_fields=8)
        given = guardians.typed(form)
        wrong = await to_thread.run_sync(guardians.say, work, child, given, str(form.get("ends", "")))
        if wrong:
            return await self._person(request, work, given, wrong)
        return RedirectResponse(f"/person/{quote(child)}#guardians", 303)

    async def _person(self, request: Request, work: Work, given: dict[str, str], wrong: str) -> Response:
        asked = request.path_params["exchange_id"]
        shown = await to_thread.run_sync(actions.person_page, work, asked)
        if shown.person.exchange_id != asked:
            return RedirectResponse(f"/person/{shown.person.exchange_id}", 303)
        whose = Condition("00100020", Match.EQUAL, (asked,))
        query = Query(Level.STUDY, (whose,), limit=_SHOWN_STUDIES)
        studies, _found = await to_thread.run_sync(list_studies, work, query)
        has_card = await to_thread.run_sync(cards.has_card, work, asked)
        standing = await to_thread.run_sync(rights.standing, work, asked)
        may_decide = self._may_decide(request)
        chosen = request.query_params.get("guardian", "")
        guarding = await to_thread.run_sync(guardians.section, work, shown, given, chosen, wrong)
        return self._page(
            request,
            "person.html",
            400 if wrong else 200,
            **guarding,
            shown=shown,
            studies=studies,
            standing=standing,
            opened=OPENED.get(standing.opened_by, ""),
            least=RELATIONS.break_glass_reason_characters,
            hours=RELATIONS.break_glass // timedelta(hours=1),
            may_decide=may_decide,
            has_card=has_card,
        )

    async def split(self, request: Request) -> Response:
        """Undo a join of this person's records. Raises NotAllowed, NotFound, BadRequest."""
        work = self._registrar(request)
        form = await request.form()
        event = key_of(str(form.get("event", "")))
        if event is None:
            raise BadRequest("which join?")
        await to_thread.run_sync(actions.split, work, event, str(form.get("note", "")))
        return RedirectResponse(f"/person/{request.path_params['exchange_id']}", 303)

    async def questions(self, request: Request) -> Response:
        """The work list: pairs of records that a human has to look at, oldest first."""
        work = self.place.reader(request)
        waiting = await to_thread.run_sync(lambda: actions.questions(work, limit=_WAITING))
        count = await to_thread.run_sync(actions.open_questions, work)
        return self._page(request, "questions.html", waiting=waiting, count=count)

    async def question(self, request: Request) -> Response:
        """Two records side by side, with the evidence. Raises NotFound."""
        work = self.place.reader(request)
        asked = await to_thread.run_sync(actions.question, work, request.path_params["pk"])
        ids = await to_thread.run_sync(lambda: actions.persons_of(work, [asked.low.key, asked.high.key]))
        return self._page(
            request,
            "question.html",
            asked=asked,
            lines=list(side_by_side(asked)),
            ids=[ids[each.key].exchange_id for each in (asked.low, asked.high)],
            count=await to_thread.run_sync(actions.open_questions, work),
            may_decide=self._may_decide(request),
        )

    async def answer(self, request: Request) -> Response:
        """是同一人, 不是同一人 or 以后再说, then the next question. Raises NotAllowed, NotFound, BadRequest."""
        work, pk = self._registrar(request), request.path_params["pk"]
        form = await request.form()
        said = str(form.get("answer", ""))
        if said != "later":
            await to_thread.run_sync(actions.answer, work, pk, said, str(form.get("note", "")))
        following = await to_thread.run_sync(_next, work, pk)
        return RedirectResponse("/questions" if following is None else f"/question/{following}", 303)

    def _registrar(self, request: Request) -> Work:
        """Raises NotAllowed."""
        same_site(request)
        return self.place.access.registrar(host_of(request), request.cookies.get(SESSION_COOKIE))

    def _may_decide(self, request: Request) -> bool:
        try:
            return self.place.access.registrar(host_of(request), request.cookies.get(SESSION_COOKIE)).may_decide
        except NotAllowed:
            return False

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        names = self.place.institution_names(request)
        words = {"kinds": KINDS, "rules": RULES, "fields": FIELDS, "levels": LEVELS, "modality_names": NAMES}
        return answer(request, template, status, institution_names=names, **words, **values)


def _next(work: Work, pk: int) -> int | None:
    """The open question after this one, else the first that is another."""
    following = actions.questions(work, after=pk, limit=1) or actions.questions(work, limit=1)
    return following[0].pk if following and following[0].pk != pk else None


def side_by_side(asked: Question) -> Iterator[Line]:
    """Every field that one of the two has, in the order in which people compare."""
    ones, others = _shown(asked.low), _shown(asked.high)
    for label, one in ones.items():
        if one or others[label]:
            yield Line(label, one, others[label])


def _shown(record: Record) -> dict[str, str]:
    known = record.known
    return {
        "name": " / ".join(map(shown_name, known.names)),
        "sex": known.sex,
        "birth_date": shown_date(known.birth_date),
        "certificate": ", ".join(number for _, number in known.certificates),
        "phone": ", ".join(known.phones),
        "address": known.address,
        "mother": shown_name(known.mother_name),
        "mother_certificate": ", ".join(number for _, number in known.mother_certificates),
        "birth_order": str(known.birth_order or ""),
    }
