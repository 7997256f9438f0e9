"""The pages of the directory: institutions, one institution, what was loaded. Nothing here is about patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.base.clock import CHINA, moment
from huitong.directory import actions, codes
from huitong.directory.codes import Word
from huitong.web.i18n import language_of
from huitong.web.look import answer
from huitong.web.place import Place

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Search:
    """The form above the list."""

    q: str = ""
    region: str = ""
    level: str = ""
    #: Code behind which the page begins.
    after: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Search:
        return cls(**{f.name: parameters.get(f.name, "").strip() for f in fields(cls)})

    @property
    def asks(self) -> bool:
        return bool(self.q or self.region or self.level)

    def path(self, **changed: str) -> str:
        """The address of the list, with these values instead."""
        new = replace(self, **changed)
        said = {f.name: value for f in fields(new) if (value := getattr(new, f.name))}
        return "/directory?" + urlencode(said) if said else "/directory"


class DirectoryPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/directory", self.institutions, name="directory"),
            Route("/directory/loads", self.loads, name="loads"),
            Route("/directory/loads/{pk:int}", self.load, name="load"),
            Route("/directory/at/{code}", self.institution, name="institution"),
        ]

    async def institutions(self, request: Request) -> Response:
        """The list, by name, code, region and level."""
        work, search = self.place.reader(request), Search.read(request.query_params)

        def found() -> tuple[int, list[Any]]:
            asked = (search.q, search.region, search.level)
            return actions.find_institutions(work, *asked, after=search.after, limit=PAGE_ROWS + 1)

        total, rows = await to_thread.run_sync(found)
        more = rows[PAGE_ROWS - 1].code if len(rows) > PAGE_ROWS else ""
        return _answer(request, "directory.html", search=search, rows=rows[:PAGE_ROWS], total=total, more=more)

    async def institution(self, request: Request) -> Response:
        """One institution and all that belongs to it."""
        work = self.place.reader(request)
        found = await to_thread.run_sync(actions.institution_page, work, request.path_params["code"])
        day = work.at.astimezone(CHINA).strftime("%Y%m%d")
        certificates = [(each, state_of(each, day)) for each in found.certificates]
        return _answer(request, "institution.html", page=found, certificates=certificates, today=day)

    async def loads(self, request: Request) -> Response:
        """The files that were loaded, newest first."""
        reports = await to_thread.run_sync(actions.load_reports, self.place.reader(request))
        return _answer(request, "loads.html", reports=reports)

    async def load(self, request: Request) -> Response:
        """One file with each refused line."""
        pk = request.path_params["pk"]
        report = await to_thread.run_sync(actions.load_report, self.place.reader(request), pk)
        return _answer(request, "load.html", report=report)


def state_of(certificate: Any, day: str) -> str:
    """What a certificate is worth on the day YYYYMMDD: "failed", "later", "over" or "valid"."""
    if certificate.result != "passed":
        return "failed"
    if certificate.valid_from > day:
        return "later"
    return "over" if certificate.valid_until < day else "valid"


def _answer(request: Request, template: str, **values: Any) -> Response:
    chinese = language_of(request).locale == "zh_CN"

    def word(words: Mapping[str, Word], code: str) -> str:
        """A code in the reader's language."""
        found = words.get(code)
        return code if found is None else found.zh if chinese else found.en

    def name(row: Any) -> str:
        return str(row.name if chinese else row.name_en or row.name)

    return answer(request, template, codes=codes, word=word, name=name, moment=moment, chinese=chinese, **values)
