"""A resident's own pages, phone first: the card, the studies, who looked, who may see; of a child under 14 as well.

They stand at `/me` and, of a child, at `/me/child/{person}`; the people room decides whose they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from anyio import to_thread
from babel.dates import format_date
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.auditing import Whose
from huitong.access.model import Kind
from huitong.access.work import Work
from huitong.base.clock import CHINA
from huitong.base.errors import BadRequest, NotFound, NotSignedIn
from huitong.base.numbers import key_of
from huitong.catalog.access import RELATIONS, SENSITIVE
from huitong.catalog.health_card import STEPS
from huitong.imaging.actions import list_studies, representatives
from huitong.imaging.model import StudyRow
from huitong.people import own, rights
from huitong.people.cards import actions as cards
from huitong.people.own import Own
from huitong.people.rights import Guardian
from huitong.web import own_words
from huitong.web.card import card_values
from huitong.web.guardians import BASES
from huitong.web.headers import same_site
from huitong.web.i18n import language_of
from huitong.web.look import answer, dicom_date
from huitong.web.looked import days, studies_of
from huitong.web.place import Place
from huitong.web.study import thumbnail_url
from huitong.wire.query import Condition, Level, Match, Query

HOME = "/me"
_STUDIES, _LINES = 50, 100
#: What follows the address of the first page, by its last word.
_SECTIONS = {name: f"/{name}" for name in ("studies", "looked", "rights")}
#: For so long an emergency is told on the first page.
_TOLD = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Mine:
    """Whose pages are asked for, by whom, and where they stand."""

    work: Work
    own: Own
    children: list[Own]
    #: Address of the first of them: `/me` or `/me/child/…`.
    base: str

    @property
    def person(self) -> str:
        return self.own.exchange_id

    @property
    def is_child(self) -> bool:
        return self.base != HOME


@dataclass(frozen=True, slots=True)
class Examination:
    """A study of the timeline."""

    row: StudyRow
    kind: str
    picture: str
    #: Where it can be shared; empty where nothing can be.
    share: str


class MyPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def routes(self) -> list[BaseRoute]:
        return [
            route
            for base in (HOME, f"{HOME}/child/{{person}}")
            for route in (
                Route(base, self.home, name="me" if base == HOME else "my-child"),
                Route(f"{base}/studies", self.studies),
                Route(f"{base}/looked", self.looked),
                Route(f"{base}/rights", self.rights),
                Route(f"{base}/rights", self.say, methods=["POST"]),
            )
        ]

    async def home(self, request: Request) -> Response:
        """The card, and where everything is. Raises NotFound."""
        mine = await self._mine(request)
        card = await to_thread.run_sync(self._card, request, mine)
        held = await to_thread.run_sync(rights.rights_of, mine.work, mine.person)
        recent = [each for each in held.emergencies if each.at > mine.work.at - _TOLD]
        return self._page(request, mine, "me.html", held=held, recent=recent, **(card or {"card": None}))

    def _card(self, request: Request, mine: Mine) -> dict[str, Any] | None:
        return card_values(self.place, request, mine.work, mine.person) if cards.has_cards(mine.work) else None

    async def studies(self, request: Request) -> Response:
        """All studies of all hospitals, newest first. Raises NotFound."""
        mine = await self._mine(request)
        query = Query(
            Level.STUDY, (_of(mine.person),), limit=_STUDIES, after=request.query_params.get("after", "") or None
        )
        rows, found = await to_thread.run_sync(list_studies, mine.work, query)
        pictures = await to_thread.run_sync(representatives, mine.work, rows)
        shown = [
            Examination(
                row,
                own_words.kind_of(row.modalities),
                thumbnail_url(row.institution, row.study_uid, *picture) if picture else "",
                _share(request, row),
            )
            for row, picture in zip(rows, pictures, strict=True)
        ]
        following = f"{mine.base}/studies?{urlencode({'after': found.next})}" if found.next else ""
        return self._page(request, mine, "me-studies.html", years=_by_year(shown), total=found.total, next=following)

    async def looked(self, request: Request) -> Response:
        """Who looked, by day; `?whose=` others, refused or own, `?before=` a line. Raises NotFound."""
        mine = await self._mine(request)
        asked, before = request.query_params.get("whose", ""), key_of(request.query_params.get("before", ""))
        whose = Whose(asked) if asked in set(Whose) else Whose.OTHERS
        behind = {} if before is None else {"before": before}
        lines = await to_thread.run_sync(lambda: own.looked(mine.work, mine.person, whose, limit=_LINES + 1, **behind))
        held = await to_thread.run_sync(rights.rights_of, mine.work, mine.person)
        newest = whose is Whose.OTHERS and not behind
        uses = await to_thread.run_sync(cards.uses_of, mine.work, mine.person) if newest else []
        known = await to_thread.run_sync(studies_of, mine.work, lines[:_LINES])
        following = {"whose": whose.value, "before": lines[_LINES - 1].seq} if len(lines) > _LINES else {}
        return self._page(
            request,
            mine,
            "me-looked.html",
            whose=whose.value,
            days=days(lines[:_LINES], known, held.emergencies, mine.work.asker),
            emergencies=held.emergencies if newest else [],
            uses=uses,
            steps={code: names[_index(request)] for code, names in STEPS.items()},
            next=f"{mine.base}/looked?{urlencode(following)}" if following else "",
        )

    async def rights(self, request: Request) -> Response:
        """Who may see, what can be said about it, and what was said before. Raises NotFound."""
        mine = await self._mine(request)
        held = await to_thread.run_sync(rights.rights_of, mine.work, mine.person)
        said = await to_thread.run_sync(rights.spoken, mine.work, mine.person)
        classes = {code: each.names[_index(request)] for code, each in SENSITIVE.items()}
        return self._page(
            request,
            mine,
            "me-rights.html",
            held=held,
            said=said,
            classes=classes,
            about=own_words.SENSITIVE,
            hours=RELATIONS.break_glass // timedelta(hours=1),
            scan_hours=RELATIONS.card_scan // timedelta(hours=1),
            years_old=RELATIONS.guardian_until_years,
            bases=BASES,
            acts_for=await to_thread.run_sync(_acts_for, mine),
        )

    async def say(self, request: Request) -> Response:
        """Object, consent, or take it back. Raises NotAllowed, NotFound, BadRequest."""
        same_site(request)
        mine = await self._mine(request)
        form = await request.form(max_files=0, max_fields=6)
        what, about, to, pk = (str(form.get(name, "")) for name in ("do", "class", "to", "pk"))
        await to_thread.run_sync(self._said, mine, what, about, to, pk)
        return RedirectResponse(f"{mine.base}/rights", 303)

    def _said(self, mine: Mine, what: str, about: str, to: str, pk: str) -> None:
        if what == "object":
            rights.object_to(mine.work, mine.person)
        elif what == "withdraw-objection":
            rights.withdraw_objection(mine.work, mine.person)
        elif what == "consent":
            if to and self.place.access.directory.get(to) is None:
                raise BadRequest("the directory has no such institution")
            rights.consent(mine.work, mine.person, about, to)
        elif what == "withdraw-consent":
            if (key := key_of(pk)) is None:
                raise NotFound("what is to be ended")
            rights.withdraw_consent(mine.work, mine.person, key)
        else:
            raise BadRequest("what is to be said?")

    async def _mine(self, request: Request) -> Mine:
        """Raises NotSignedIn, NotFound where they are not the asker's."""
        work, child = self.place.reader(request), request.path_params.get("person", "")
        if work.asker.kind is Kind.OPEN and not child:
            raise NotSignedIn("sign in")
        mine = await to_thread.run_sync(_mine, work, child)
        request.state.me = mine.base  # the bar leads within the same person's pages
        return mine

    def _page(self, request: Request, mine: Mine, template: str, **values: Any) -> Response:
        locale = language_of(request).locale

        def long(day: date | None) -> str:
            here = day.astimezone(CHINA) if isinstance(day, datetime) else day
            return format_date(here, "long", locale=locale) if here else ""

        names = self.place.institution_names(request)
        words = {"words": own_words, "long": long, "long_of": lambda text: long(dicom_date(text)) or text}
        shares, section = _path(request, "shares"), _SECTIONS.get(request.url.path.rpartition("/")[2], "")
        own_values = {"mine": mine, "institution_names": names, "shares": shares, "section": section}
        return answer(request, template, **own_values, **words, **values)


def _mine(work: Work, child: str) -> Mine:
    found = own.own(work, child or work.asker.person)
    children = own.children(work)
    is_child = any(each.exchange_id == found.exchange_id for each in children)
    base = f"{HOME}/child/{quote(found.exchange_id)}" if is_child else HOME
    return Mine(work, found, children, base)


def _acts_for(mine: Mine) -> list[tuple[Own, Guardian]]:
    """The children on the asker's own page, each with what has made the asker the guardian."""
    if mine.is_child:
        return []
    held = ((each, rights.rights_of(mine.work, each.exchange_id).guardians) for each in mine.children)
    return [(child, one) for child, named in held for one in named if one.exchange_id == mine.person]


def _index(request: Request) -> int:
    """Of the reader's language in the names of catalogues: Chinese, English."""
    return 0 if language_of(request).locale == "zh_CN" else 1


def _of(person: str) -> Condition:
    return Condition("00100020", Match.EQUAL, (person,))


def _by_year(shown: Iterable[Examination]) -> list[tuple[str, list[Examination]]]:
    """In their order; those without a date have the year ""."""
    found: dict[str, list[Examination]] = {}
    for each in shown:
        day = dicom_date(each.row.study_date)
        found.setdefault(str(day.year) if day else "", []).append(each)
    return list(found.items())


def _share(request: Request, row: StudyRow) -> str:
    return _path(request, "share", institution=row.institution, study_uid=row.study_uid)


def _path(request: Request, name: str, **parameters: str) -> str:
    """The address of the route of this name; empty where the server has none."""
    route = next((each for each in request.app.routes if isinstance(each, Route) and each.name == name), None)
    return str(route.url_path_for(name, **parameters)) if route is not None else ""
