"""The health card's pages: the card as its holder shows it on a phone, and the field into which scanners type."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import segno
from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.catalog.health_card import OTHER_STEP, STEPS, WINDOW
from huitong.people.cards import actions
from huitong.people.cards.model import Attribute, Card, Reason, Refusal, Shown, State, Terminal
from huitong.web.headers import same_site
from huitong.web.i18n import language_of
from huitong.web.look import answer
from huitong.web.modalities import _
from huitong.web.place import Place
from huitong.wire.names import masked

REFUSED = {
    Reason.MALFORMED: _("This is no code of a health card. Scan the QR code again, as a whole."),
    Reason.UNKNOWN: _("No health card has this number. Ask for a certificate and look for the person by it."),
    Reason.WRONG_KEY: _("This code was made with another key, or altered. It may be the card of another province."),
    Reason.EXPIRED: _("This code has expired. Let the holder show a fresh one."),
    Reason.AHEAD: _("This code is of a later time than now. The clocks differ: tell whoever runs this server."),
    Reason.REPLAYED: _("This code was taken before. Let the holder show a fresh one."),
    Reason.SUSPENDED: _("This card is suspended. Ask for a certificate."),
}


class CardPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def card(self, request: Request) -> Response:
        """The card, phone first; with `?code=static` the code that may be printed."""
        return await self._shown(request, "card.html")

    async def code(self, request: Request) -> Response:
        """Only the code, for htmx: a fresh one each time it is asked for."""
        return await self._shown(request, "_card_code.html")

    async def _shown(self, request: Request, template: str) -> Response:
        work = self.place.reader(request)
        person = request.path_params["person"]
        static = request.query_params.get("code") == "static"
        values = await to_thread.run_sync(lambda: card_values(self.place, request, work, person, static=static))
        if values is None:
            raise NotFound("this person has no health card")
        return self._page(request, template, **values)

    async def scan(self, request: Request) -> Response:
        """The field for scanners; what was scanned opens the person."""
        work = self.place.reader(request)
        if not actions.has_cards(work):
            raise NotFound("this server has no health cards")
        if request.method != "POST":
            return self._scan(request, next(iter(STEPS)))
        same_site(request)
        form = await request.form(max_files=0, max_fields=4)
        text, step = str(form.get("code", "")), str(form.get("step", ""))
        step = step if step in STEPS else OTHER_STEP
        found = await to_thread.run_sync(actions.resolve, work, text, Terminal(step, work.host or "local", WINDOW))
        if isinstance(found, Refusal):
            return self._scan(request, step, REFUSED[found.reason], 409)
        return RedirectResponse(f"/person/{quote(found.card.holder.exchange_id)}", 303)

    def _scan(self, request: Request, step: str, refused: str = "", status: int = 200) -> Response:
        chinese = language_of(request).locale == "zh_CN"
        steps = {code: names[0 if chinese else 1] for code, names in STEPS.items()}
        response = self._page(request, "card-scan.html", steps=steps, step=step, refused=refused)
        response.status_code = status
        return response

    def _page(self, request: Request, template: str, **values: object) -> Response:
        return answer(request, template, **values)


def card_values(
    place: Place, request: Request, work: Work, person: str, *, static: bool = False
) -> dict[str, Any] | None:
    """What the templates of a card show of the person's; None without one. Raises NotFound."""
    cards = actions.cards_of(work, person)
    if not cards:
        return None
    card = cards[0]
    static = static or not actions.shows_code(work, card)
    shown, names = _code(work, card, static), place.institution_names(request)
    return {
        "card": card,
        "name": masked(card.holder.name),
        "institution": names.get(card.institution, card.institution),
        "temporary": card.attribute == Attribute.TEMPORARY,
        "suspended": card.state == State.SUSPENDED,
        "static": static,
        "address": f"/health-card/{quote(person)}",
        "qr": qr(shown.text) if shown else "",
        "seconds": place.settings.card_code_s,
    }


def routes(place: Place) -> list[BaseRoute]:
    pages = CardPages(place)
    return [
        Route("/health-card", pages.scan, methods=["GET", "POST"], name="card-scan"),
        Route("/health-card/{person}", pages.card, name="card"),
        Route("/health-card/{person}/code", pages.code, name="card-code"),
    ]


def qr(text: str) -> Markup:
    """The QR code (GB/T 18284, ISO/IEC 18004) as SVG, with its quiet zone: dark on white in dark mode too."""
    made = segno.make(text, error="m", micro=False, boost_error=False)
    return Markup(made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr"))  # noqa: S704


def _code(work: Work, card: Card, static: bool) -> Shown | None:
    if card.state == State.SUSPENDED:
        return None
    return actions.static_code(card) if static else actions.dynamic_code(work, card)
