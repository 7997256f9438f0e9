"""To the provider and back: the browser's part of signing in by OpenID Connect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.accounts.model import SignedIn, device_of
from huitong.access.openid.actions import BACK, OpenId
from huitong.access.openid.model import Reason, SignInFailed
from huitong.base.caller import host_of
from huitong.base.errors import NotFound
from huitong.base.log import logger
from huitong.web.look import own_path
from huitong.web.modalities import _

log = logger(__name__)

#: Holds what a sign-in has begun with; sent to `BACK` and below alone.
_COOKIE, _PATH = "huitong_openid", "/sign-in/openid"
#: Reason -> (HTTP status, what the reader is told).
TROUBLES = {
    Reason.DOWN: (503, _("It does not answer just now. Try again in a minute.")),
    Reason.CANCELLED: (401, _("The sign-in was left off there. Begin anew.")),
    Reason.STALE: (401, _("This sign-in did not begin in this browser, or too long ago. Begin anew.")),
    Reason.UNPROVED: (401, _("What it said of you could not be made sure of. Begin anew.")),
    Reason.NOBODY: (403, _("It knows you, but you have no account here. Ask whoever runs this server.")),
}
GoOn = Callable[[Request, SignedIn, str], Response]
Fail = Callable[[Request, Reason, str], Awaitable[Response]]


def openid_routes(openid: OpenId | None, go_on: GoOn, fail: Fail) -> list[BaseRoute]:
    """Without a provider there is nothing at these addresses. `go_on` and `fail` end a sign-in: on, or the form."""

    def known() -> OpenId:
        if openid is None:
            raise NotFound("there is no provider in the settings")
        return openid

    async def leave(request: Request) -> Response:
        target = own_path(request.query_params.get("next", "/"))
        try:
            address, kept = await to_thread.run_sync(known().begin, target)
        except SignInFailed as failed:
            return await _failed(request, failed, target)
        response = RedirectResponse(address, 303, headers={"Cache-Control": "no-store"})
        secure = request.url.scheme == "https"
        response.set_cookie(_COOKIE, kept, path=_PATH, httponly=True, samesite="lax", secure=secure, max_age=600)
        return response

    async def back(request: Request) -> Response:
        said, kept = dict(request.query_params), request.cookies.get(_COOKIE, "")
        host = host_of(request)
        device = device_of(request.headers.get("user-agent", ""))
        try:
            came = await to_thread.run_sync(known().come_back, said, kept, host, device)
        except SignInFailed as failed:
            response = await _failed(request, failed, own_path(failed.target))
        else:
            response = go_on(request, came.signed_in, own_path(came.target))
        response.delete_cookie(_COOKIE, path=_PATH)
        return response

    async def _failed(request: Request, failed: SignInFailed, target: str) -> Response:
        log.warning("not signed in by the provider", reason=failed.reason.value, why=failed.detail)
        return await fail(request, failed.reason, target)

    handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {_PATH: leave, BACK: back}
    return [Route(path, handler) for path, handler in handlers.items()]
