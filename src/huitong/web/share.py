"""Sharing: the person's form, what it gives, the list of links, and the page on which a link is opened.

What a link holds stands behind the `#` of its address, which no browser sends: the page's script reads it, and what is
secret of it goes in bodies of requests alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson
import segno
from anyio import to_thread
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import SESSION_COOKIE, SHARE_COOKIE, SHARE_COOKIE_EVERYWHERE
from huitong.access.model import Kind
from huitong.access.sharing.model import Opened, Share, Wish, WrongPasscode
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.base.errors import BadRequest, LinkEnded, NotSignedIn, PasswordToChoose
from huitong.catalog.sharing import SHARING
from huitong.imaging.actions import list_studies, share_study, study_to_share
from huitong.imaging.model import StudyRow
from huitong.people import sharing as own
from huitong.web import own_words
from huitong.web.headers import same_site
from huitong.web.look import answer, dicomweb_url, light_url, viewer_url
from huitong.web.place import Place
from huitong.wire.query import Condition, Level, Match, Query

#: The viewer of a link, before its `#`.
OPENED_AT = "/s"
_MOST_BYTES = 4096
_MOST_DIGITS = 8


class SharePages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place, self.sharing = place, place.access.sharing

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/me/share/{institution}/{study_uid}", self.ask, name="share"),
            Route("/me/share/{institution}/{study_uid}", self.make, methods=["POST"]),
            Route("/me/shares", self.shares, name="shares"),
            Route("/me/shares/{share}/end", self.end, methods=["POST"]),
            Route(OPENED_AT, self.arrive, name="shared"),
            Route("/share/open", self.open, methods=["POST"]),
        ]

    # --- the person ---

    async def ask(self, request: Request) -> Response:
        """How long, with a passcode or without. Raises NotFound."""
        return await self._form(request, self.place.reader(request))

    async def make(self, request: Request) -> Response:
        """The link, shown this once. Raises NotAllowed, NotFound, BadRequest."""
        same_site(request)
        work, form = self.place.reader(request), await request.form(max_files=0, max_fields=6)
        lasting, label = str(form.get("seconds", "")), " ".join(str(form.get("label", "")).split())
        if not (lasting.isascii() and lasting.isdecimal() and len(lasting) <= _MOST_DIGITS):
            raise BadRequest("for how long?")
        wish = Wish(timedelta(seconds=int(lasting)), form.get("passcode") == "yes", label)
        institution, study_uid = request.path_params["institution"], request.path_params["study_uid"]
        origin, name = self.place.origin(request), self._name(institution)
        made = await to_thread.run_sync(share_study, work, self.sharing, study_uid, institution, wish, origin, name)
        address = f"{origin}{OPENED_AT}#{made.link}"
        values = {"share": made.share, "passcode": made.passcode, "address": address, "qr": _qr(address)}
        return self._page(request, "shared.html", **values)

    async def shares(self, request: Request) -> Response:
        """All links, newest first. Raises NotFound."""
        work = self.place.reader(request)
        if work.asker.kind is Kind.OPEN:
            raise NotSignedIn("sign in")
        found = await to_thread.run_sync(own.shares, work, self.sharing)
        rows = [(share, share.state(work.now()).value) for share in found]
        known = await to_thread.run_sync(_studies, work, found)
        ended = request.query_params.get("ended") == "1"
        return self._page(request, "shares.html", shares=rows, known=known, kind_of=own_words.kind_of, ended=ended)

    async def end(self, request: Request) -> Response:
        """A link opens nothing any more. Raises NotAllowed, NotFound."""
        same_site(request)
        work = self.place.reader(request)
        await to_thread.run_sync(own.revoke, work, self.sharing, request.path_params["share"])
        return RedirectResponse("/me/shares?ended=1", 303)

    async def _form(self, request: Request, work: Work) -> Response:
        institution, study_uid = request.path_params["institution"], request.path_params["study_uid"]
        row = await to_thread.run_sync(study_to_share, work, study_uid, institution)
        kind = own_words.kind_of(row.modalities)
        durations = SHARING.durations(demo=work.store.settings.demo)
        return self._page(request, "share.html", row=row, kind=kind, rules=SHARING, durations=durations)

    def _name(self, institution: str) -> str:
        found = self.place.access.directory.get(institution)
        return found.name if found is not None else institution

    # --- whoever has the link ---

    async def arrive(self, request: Request) -> Response:
        """The page of every link: what it is of stands behind its `#`."""
        return self._page(request, "share-open.html")

    async def open(self, request: Request) -> Response:
        """Where to go, with a cookie for that alone. Raises NotAllowed, BadRequest, LinkEnded."""
        same_site(request)
        secret, passcode = await _given(request)
        host = host_of(request)
        try:
            opened = await to_thread.run_sync(self.sharing.open_page, secret, passcode, host)
        except WrongPasscode as wrong:
            return _json({"remainingAttempts": wrong.remaining}, 401)
        except LinkEnded:
            return _json({}, 404)
        signed_in = await to_thread.run_sync(self._is_signed_in, request.cookies.get(SESSION_COOKIE), host)
        study = opened.share.study_uid, opened.share.institution
        answer = _json({"look": light_url(*study[::-1]), "viewer": viewer_url(*study)})
        if not signed_in:
            answer.delete_cookie(SESSION_COOKIE, path="/")
        secure = self.place.origin(request).startswith("https:")
        for name, path in _cookies(opened, signed_in=signed_in):
            # Without an age: what is shown when the link has ended is told by it.
            answer.set_cookie(name, opened.secret, path=path, httponly=True, samesite="lax", secure=secure)
        return answer

    def _is_signed_in(self, cookie: str | None, host: str) -> bool:
        try:
            self.place.access.by_session(cookie, host)
        except NotSignedIn:
            return False
        except PasswordToChoose:  # about to be, in this browser
            return True
        return True

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        names = self.place.institution_names(request)
        return answer(request, template, institution_names=names, **values)


def _studies(work: Work, found: Sequence[Share]) -> dict[tuple[str, str], StudyRow]:
    """What was shared, by institution and UID, as far as it is still the asker's."""
    if not found:
        return {}
    uids = tuple(sorted({share.study_uid for share in found}))
    query = Query(Level.STUDY, (Condition("0020000D", Match.EQUAL, uids),), limit=len(uids) * 2)
    return {(row.institution, row.study_uid): row for row in list_studies(work, query)[0]}


def _cookies(opened: Opened, *, signed_in: bool) -> list[tuple[str, str]]:
    """Names and paths: those of the one study, so that a link never takes the place of who is signed in elsewhere."""
    share = opened.share
    institution, study_uid = quote(share.institution, safe=""), quote(share.study_uid, safe="")
    images = dicomweb_url(share.institution, "studies", share.study_uid)
    found = [(SHARE_COOKIE, f"/look/{institution}/{study_uid}"), (SHARE_COOKIE, images)]
    return found if signed_in else [*found, (SHARE_COOKIE_EVERYWHERE, "/dicom-web")]


async def _given(request: Request) -> tuple[str, str]:
    """Secret and passcode. Raises BadRequest."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise BadRequest("the request is too long")
    try:
        said = orjson.loads(bytes(body))
    except orjson.JSONDecodeError:
        raise BadRequest("the body is not JSON") from None
    given = [said.get(name, "") for name in ("secret", "passcode")] if isinstance(said, dict) else [None]
    if not all(isinstance(each, str) for each in given):
        raise BadRequest("`secret` and `passcode` are texts")
    return str(given[0]), str(given[1])


def _json(said: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(said), status, {"Cache-Control": "no-store"}, "application/json")


def _qr(text: str) -> Markup:
    """With error correction M, as the specification recommends, whatever the size."""
    made = segno.make(text, error="m", micro=False, boost_error=False)
    return Markup(made.svg_inline(border=4, dark="#000", light="#fff", omitsize=True, svgclass="qr"))  # noqa: S704
