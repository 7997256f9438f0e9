"""The own account: who I am here, my password, my authenticator, and where I am signed in."""

from __future__ import annotations

import segno
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.accounts.secrets import totp_uri
from huitong.access.model import Role
from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotSignedIn
from huitong.catalog.sign_in import SIGN_IN
from huitong.web.headers import same_site
from huitong.web.look import answer
from huitong.web.modalities import _
from huitong.web.place import Place

#: What pages call the roles.
ROLES = {
    Role.DOCTOR: _("Doctor"),
    Role.CLERK: _("Clerk"),
    Role.REGISTRAR: _("Registrar"),
    Role.SUPERVISOR: _("Supervisor"),
    Role.ADMIN: _("Administrator"),
}


class AccountPage:
    """The endpoints; one object for each app. Forms are taken from our own pages only."""

    def __init__(self, place: Place) -> None:
        self.place, self.accounts = place, place.access.accounts

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/account", self.show, name="account"),
            Route("/account/password", self.password, methods=["POST"]),
            Route("/account/authenticator", self.authenticator, methods=["POST"]),
            Route("/account/authenticator/code", self.code, methods=["POST"]),
            Route("/account/sessions", self.end, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """All of it. Raises NotSignedIn."""
        return await self._page(request, self._work(request), done=request.query_params.get("done", ""))

    async def password(self, request: Request) -> Response:
        """Another password. Raises NotSignedIn, NotAllowed for another site's page."""
        work, form = await self._form(request)
        if form["new"] != form["again"]:
            return await self._page(request, work, wrong="again")
        name = work.asker.name
        try:
            await to_thread.run_sync(lambda: self.accounts.set_password(work, name, form["new"], old=form["old"]))
        except NotSignedIn:
            return await self._page(request, work, wrong="old")
        except BadRequest:
            return await self._page(request, work, wrong="new")
        return RedirectResponse("/account?done=password", 303)

    async def authenticator(self, request: Request) -> Response:
        """The password, before a new authenticator is shown. Raises NotSignedIn, NotAllowed."""
        work, form = await self._form(request)
        try:
            await to_thread.run_sync(self.accounts.begin_totp, work, form["old"])
        except NotSignedIn:
            return await self._page(request, work, wrong="password")
        return RedirectResponse("/account#authenticator", 303)

    async def code(self, request: Request) -> Response:
        """The first code of the new authenticator. Raises NotSignedIn, NotAllowed."""
        work, form = await self._form(request)
        try:
            await to_thread.run_sync(self.accounts.finish_totp, work, form["code"])
        except NotSignedIn:
            return await self._page(request, work, wrong="code")
        return RedirectResponse("/account?done=authenticator", 303)

    async def end(self, request: Request) -> Response:
        """One session, or all others. Raises NotSignedIn, NotAllowed."""
        work, form = await self._form(request)
        if form["session"]:
            await to_thread.run_sync(self.accounts.end_session, work, work.asker.name, form["session"])
        else:
            await to_thread.run_sync(self.accounts.end_others, work)
        return RedirectResponse("/account?done=sessions", 303)

    def _work(self, request: Request) -> Work:
        work = self.place.reader(request)
        if not work.asker.session:
            raise NotSignedIn("sign in")
        return work

    async def _form(self, request: Request) -> tuple[Work, dict[str, str]]:
        same_site(request)
        work, form = self._work(request), await request.form(max_files=0, max_fields=4)
        return work, {name: str(form.get(name, "")) for name in ("old", "new", "again", "code", "session")}

    async def _page(self, request: Request, work: Work, *, wrong: str = "", done: str = "") -> Response:
        account = await to_thread.run_sync(self.accounts.get, work, work.asker.name)
        sessions = await to_thread.run_sync(self.accounts.sessions_of, work, work.asker.name)
        key = await to_thread.run_sync(self.accounts.enrolling, work)
        return answer(
            request,
            "account.html",
            400 if wrong else 200,
            account=account,
            institution=self.place.institution_names(request).get(account.institution or "", account.institution),
            role_names=ROLES,
            sessions=sessions,
            key=key,
            picture=segno.make(totp_uri(key, account.name)).svg_data_uri(scale=5, light="#fff") if key else "",
            least=SIGN_IN.min_password,
            most=SIGN_IN.max_password,
            wrong=wrong,
            done=done,
        )
