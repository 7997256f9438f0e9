"""The pages: study list, a study, about, the choice of language. They ask the rooms' actions and fill templates."""

from __future__ import annotations

from datetime import date
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from huitong.access.work import Work
from huitong.base.clock import CHINA
from huitong.base.errors import NotFound
from huitong.imaging.actions import list_studies, representatives
from huitong.imaging.model import StudyRow
from huitong.web.i18n import COOKIE, COOKIE_MAX_AGE_S, LANGUAGES
from huitong.web.look import answer, own_path
from huitong.web.modalities import NAMES, OFFERED
from huitong.web.place import Place, home_of
from huitong.web.search import Search
from huitong.web.study import read, study_page, thumbnail_url, version
from huitong.wire.query import Condition, Level, Match, Query


class Pages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def studies(self, request: Request) -> Response:
        """The study list, whole or (for htmx) the list alone; who sees no studies has another page to begin with."""
        work = self.place.reader(request)
        if home := home_of(work.asker):
            return RedirectResponse(home, 303)
        search = Search.read(request.query_params)
        today: date = work.at.astimezone(CHINA).date()
        rows, found = await to_thread.run_sync(list_studies, work, search.query(today))
        pictures = await to_thread.run_sync(_pictures, work, rows)
        part = "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
        response = self._page(
            request,
            "_studies.html" if part else "studies.html",
            search=search,
            rows=list(zip(rows, pictures, strict=True)),
            found=found,
            pages=bool(search.after or found.next),
            arriving=any(not row.settled for row in rows),
            offered=OFFERED,
            sending=self.place.sending(request),
        )
        response.headers["Vary"] = "HX-Request, Cookie"
        if part and "hx-boosted" not in request.headers:
            response.headers["HX-Replace-Url"] = search.path()  # without the empty fields of the form
        return response

    async def study(self, request: Request) -> Response:
        """One study as one institution sent it."""
        work = self.place.reader(request)
        institution, study_uid = request.path_params["institution"], request.path_params["study_uid"]
        row, series = await to_thread.run_sync(study_page, work, study_uid, institution)
        others = await to_thread.run_sync(_at_others, work, row) if "uid-elsewhere" in row.flags else []
        return self._page(request, "study.html", row=row, series=series, others=others)

    async def version(self, request: Request) -> Response:
        """One of several contents that came under the same number, to be saved as a file."""
        work = self.place.reader(request)
        parameters = request.path_params
        wanted = (work, parameters["study_uid"], parameters["institution"], parameters["sha256"])
        stored = await to_thread.run_sync(version, *wanted)
        headers = {
            "Content-Disposition": f'attachment; filename="{stored.sop_instance_uid}-{stored.sha256[:8]}.dcm"',
            "Content-Length": str(stored.size_bytes),
            "Cache-Control": "no-store",
        }
        return StreamingResponse(read(work, stored), media_type="application/dicom", headers=headers)

    async def about(self, request: Request) -> Response:
        """Version, licence, what is pinned."""
        return self._page(
            request,
            "about.html",
            parts=self.place.parts,
            sending=self.place.sending(request),
            dicomweb=str(request.base_url) + "dicom-web",
        )

    async def language(self, request: Request) -> Response:
        """Remember the language and go back to where the reader was; only paths of our own are gone to."""
        chosen = LANGUAGES.get(request.path_params["tag"])
        if chosen is None:
            raise NotFound(request.path_params["tag"])
        response = RedirectResponse(own_path(request.query_params.get("next", "/")), 303)
        response.set_cookie(COOKIE, chosen.tag, max_age=COOKIE_MAX_AGE_S, path="/", samesite="lax")
        return response

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        names = self.place.institution_names(request)
        return answer(request, template, modality_names=NAMES, institution_names=names, **values)


def _pictures(work: Work, rows: list[StudyRow]) -> list[str]:
    """For each study the address of the small picture that stands for it, or nothing."""
    return [
        thumbnail_url(row.institution, row.study_uid, *found) if found else ""
        for row, found in zip(rows, representatives(work, rows), strict=True)
    ]


def _at_others(work: Work, row: StudyRow) -> list[StudyRow]:
    """The studies of the same UID that other institutions sent."""
    query = Query(Level.STUDY, (Condition("0020000D", Match.EQUAL, (row.study_uid,)),))
    return [each for each in list_studies(work, query)[0] if each.institution != row.institution]
