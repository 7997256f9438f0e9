"""Signing in and out: password, then the code of an authenticator, which is enrolled here when a role demands one, then
another password where somebody else knows the one that was given.

Forms are taken from our own pages only (`same_site`): no other site's page can sign somebody in or out.
"""

from __future__ import annotations

from urllib.parse import urlencode

import segno
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.accounts import demo
from huitong.access.accounts.model import SignedIn, Stage, device_of
from huitong.access.accounts.secrets import totp_uri
from huitong.access.actions import SESSION_COOKIE
from huitong.access.openid.model import Reason
from huitong.base.caller import host_of
from huitong.base.errors import BadRequest, NotSignedIn
from huitong.catalog.sign_in import SIGN_IN
from huitong.web.account import ROLES
from huitong.web.headers import same_site
from huitong.web.i18n import language_of
from huitong.web.look import answer, own_path
from huitong.web.modalities import _
from huitong.web.openid import TROUBLES, openid_routes
from huitong.web.place import Place

#: Where what a sign-in still awaits is asked for.
_STEPS = {Stage.CODE: "/sign-in/code", Stage.ENROL: "/sign-in/code", Stage.PASSWORD: "/sign-in/password"}


class SignInPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place, self.accounts = place, place.access.accounts

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/sign-in", self.ask, name="sign-in"),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-in/code", self.ask_code, name="sign-in-code"),
            Route("/sign-in/code", self.give_code, methods=["POST"]),
            Route("/sign-in/password", self.ask_password, name="sign-in-password"),
            Route("/sign-in/password", self.choose_password, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
            *openid_routes(self.place.access.openid, self._go_on, self._no_provider),
        ]

    async def ask(self, request: Request) -> Response:
        """The form."""
        return await self._form(request, 200, own_path(request.query_params.get("next", "/")))

    async def sign_in(self, request: Request) -> Response:
        """Name and password. Raises NotAllowed for another site's page."""
        same_site(request)
        form = await request.form(max_files=0, max_fields=4)
        name, password, target = (str(form.get(field, "")) for field in ("name", "password", "next"))
        target = own_path(target)
        device = device_of(request.headers.get("user-agent", ""))
        try:
            signed_in = await to_thread.run_sync(self.accounts.sign_in, name, password, host_of(request), device)
        except NotSignedIn:
            return await self._form(request, 401, target, wrong=True)
        return self._go_on(request, signed_in, target)

    async def ask_code(self, request: Request) -> Response:
        """The form for the code, with the QR code of a new authenticator where there is none yet."""
        return await self._code_page(request, own_path(request.query_params.get("next", "/")), wrong=False)

    async def give_code(self, request: Request) -> Response:
        """The code. Raises NotAllowed for another site's page."""
        same_site(request)
        form = await request.form(max_files=0, max_fields=4)
        code, target = str(form.get("code", "")), own_path(str(form.get("next", "/")))
        try:
            signed_in = await to_thread.run_sync(self.accounts.give_code, _secret(request), code, host_of(request))
        except NotSignedIn:
            return await self._code_page(request, target, wrong=True)
        return self._go_on(request, signed_in, target)

    async def ask_password(self, request: Request) -> Response:
        """The form for another password, where somebody else knows the one that was given."""
        return await self._password_page(request, own_path(request.query_params.get("next", "/")))

    async def choose_password(self, request: Request) -> Response:
        """The password. Raises NotAllowed for another site's page."""
        same_site(request)
        form = await request.form(max_files=0, max_fields=4)
        new, again, target = (str(form.get(field, "")) for field in ("new", "again", "next"))
        target = own_path(target)
        if new != again:
            return await self._password_page(request, target, wrong="again")
        try:
            choose = self.accounts.choose_password
            signed_in = await to_thread.run_sync(choose, _secret(request), new, host_of(request))
        except NotSignedIn:
            return _to("/sign-in", target)
        except BadRequest:
            size = SIGN_IN.min_password <= len(new) <= SIGN_IN.max_password
            return await self._password_page(request, target, wrong="known" if size else "new")
        return self._go_on(request, signed_in, target)

    async def sign_out(self, request: Request) -> Response:
        """The session ends everywhere; where it began at a provider, a page leads on to end it there, too.

        A page, because a form may lead to our own addresses alone (form-action). Raises NotAllowed for another site's.
        """
        same_site(request)
        openid = self.place.access.openid
        hint = await to_thread.run_sync(self.accounts.sign_out, _secret(request), host_of(request))
        ending = await to_thread.run_sync(openid.end_url, hint) if openid and hint else None
        response: Response = RedirectResponse("/sign-in", 303)
        if ending:
            response = self._page(request, "sign-out.html", 200, ending=ending, provider=self._provider(request))
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    async def _form(
        self, request: Request, status: int, target: str, *, wrong: bool = False, trouble: str = ""
    ) -> Response:
        settings = self.place.settings
        provider = self._provider(request) if self.place.access.openid else ""
        offered = await to_thread.run_sync(self.accounts.of_demo)
        of_demo = {
            "offered": offered,
            "names": self.place.institution_names(request),
            "password": demo.PASSWORD,
            "role_names": ROLES,
        }
        shown = {"wrong": wrong, "trouble": trouble, "provider": provider, "local": settings.local_sign_in}
        return self._page(request, "sign-in.html", status, next=target, **shown, **of_demo)

    def _provider(self, request: Request) -> str:
        return self.place.settings.oidc_name or language_of(request).translations.ugettext(_("unified identity"))

    async def _no_provider(self, request: Request, reason: Reason, target: str) -> Response:
        status, text = TROUBLES[reason]
        return await self._form(request, status, target, trouble=language_of(request).translations.ugettext(text))

    async def _code_page(self, request: Request, target: str, *, wrong: bool) -> Response:
        try:
            waiting = await to_thread.run_sync(self.accounts.waiting, _secret(request))
        except NotSignedIn:
            return RedirectResponse("/sign-in", 303)
        key = waiting.enrolling
        picture = segno.make(totp_uri(key, waiting.account.name)).svg_data_uri(scale=5, light="#fff") if key else ""
        status = 401 if wrong else 200
        return self._page(request, "sign-in-code.html", status, next=target, wrong=wrong, key=key, picture=picture)

    async def _password_page(self, request: Request, target: str, *, wrong: str = "") -> Response:
        if not await to_thread.run_sync(self.accounts.awaits_password, _secret(request)):
            return _to("/sign-in", target)
        sizes = {"least": SIGN_IN.min_password, "most": SIGN_IN.max_password}
        return self._page(request, "sign-in-password.html", 400 if wrong else 200, next=target, wrong=wrong, **sizes)

    def _go_on(self, request: Request, signed_in: SignedIn, target: str) -> Response:
        """To where they wanted to go, or to the next step; under a new cookie in any case."""
        step = _STEPS.get(signed_in.session.stage)
        response = _to(step, target) if step else RedirectResponse(target, 303)
        response.set_cookie(
            SESSION_COOKIE,
            signed_in.secret,
            path="/",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    def _page(self, request: Request, template: str, status: int, **values: object) -> Response:
        return answer(request, template, status, **values)


def _to(path: str, target: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode({'next': target})}", 303)


def _secret(request: Request) -> str:
    return request.cookies.get(SESSION_COOKIE, "")
