"""Emergencies: the form by which a doctor opens a person's records, and the supervisor's list of what was opened."""

from __future__ import annotations

from urllib.parse import quote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.base.numbers import key_of
from huitong.people import rights
from huitong.web.headers import same_site
from huitong.web.look import answer
from huitong.web.place import Place

_SHOWN = 50


class EmergencyPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/person/{exchange_id}/break-glass", self.open, methods=["POST"]),
            Route("/break-glass", self.waiting, name="emergencies"),
            Route("/break-glass/{pk:int}", self.review, methods=["POST"]),
        ]

    async def open(self, request: Request) -> Response:
        """The records are open to this doctor. Raises NotAllowed, NotFound, BadRequest."""
        same_site(request)
        work, person = self.place.reader(request), request.path_params["exchange_id"]
        form = await request.form(max_files=0, max_fields=4)
        await to_thread.run_sync(rights.break_glass, work, person, str(form.get("reason", "")))
        return RedirectResponse(f"/person/{quote(person)}", 303)

    async def waiting(self, request: Request) -> Response:
        """What nobody has judged yet, newest first; `?verdict=` shows what was. Raises NotAllowed."""
        work = self.place.reader(request)
        verdict = request.query_params.get("verdict", "")
        verdict = verdict if verdict in rights.VERDICTS else ""
        behind = key_of(request.query_params.get("before", ""))
        found = await to_thread.run_sync(lambda: rights.emergencies(work, verdict, before=behind, limit=_SHOWN + 1))
        return answer(
            request,
            "emergencies.html",
            institution_names=self.place.institution_names(request),
            found=found[:_SHOWN],
            more=found[_SHOWN - 1].pk if len(found) > _SHOWN else 0,
            verdict=verdict,
        )

    async def review(self, request: Request) -> Response:
        """A verdict. Raises NotAllowed, NotFound, BadRequest."""
        same_site(request)
        work, pk = self.place.reader(request), request.path_params["pk"]
        form = await request.form(max_files=0, max_fields=4)
        said = (str(form.get("verdict", "")), str(form.get("note", "")))
        await to_thread.run_sync(rights.review, work, pk, *said)
        return RedirectResponse("/break-glass", 303)
