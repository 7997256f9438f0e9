"""All accounts, for admins: find, add, give roles and new passwords, lock, end sessions."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from anyio import to_thread
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.accounts.actions import keep
from huitong.access.accounts.model import folded_name
from huitong.access.model import Role
from huitong.access.work import Work
from huitong.base.errors import BadRequest
from huitong.web.account import ROLES
from huitong.web.headers import same_site
from huitong.web.look import answer
from huitong.web.place import Place

_SHOWN = 50
_FIELDS = 16
_DOES = ("password", "roles", "lock", "unlock", "authenticator", "sessions")


class AccountsPages:
    """The endpoints; one object for each app. Forms are taken from our own pages only."""

    def __init__(self, place: Place) -> None:
        self.place, self.accounts = place, place.access.accounts

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/accounts", self.list, name="accounts"),
            Route("/accounts", self.add, methods=["POST"]),
            Route("/accounts/{name:path}", self.show, name="account-of"),
            Route("/accounts/{name:path}", self.change, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """By name, those that the text is found in. Raises NotAllowed."""
        return await self._list(request, self.place.reader(request))

    async def add(self, request: Request) -> Response:
        """A new account; its password is on this one page. Raises NotAllowed."""
        same_site(request)
        work = self.place.reader(request)
        form = await request.form(max_files=0, max_fields=_FIELDS)
        name, display, institution = (str(form.get(each, "")).strip() for each in ("name", "display", "institution"))
        roles, password = _roles(form), secrets.token_urlsafe(12)
        wrong = self._wrong(name, institution, roles)
        try:
            if not wrong:
                add, shown = self.accounts.add, display[:64]
                where = institution or None
                await to_thread.run_sync(
                    lambda: add(work, name, password, display=shown, institution=where, roles=roles)
                )
        except BadRequest:
            wrong = "exists"
        if wrong:
            typed: dict[str, object] = {"name": name, "display": display, "institution": institution, "roles": roles}
            return await self._list(request, work, given=typed, wrong=wrong)
        return await self._show(request, work, folded_name(name), password=password, done="added")

    async def show(self, request: Request) -> Response:
        """One. Raises NotAllowed, NotFound."""
        work, done = self.place.reader(request), request.query_params.get("done", "")
        return await self._show(request, work, request.path_params["name"], done=done)

    async def change(self, request: Request) -> Response:
        """What the button says. Raises NotAllowed, NotFound, BadRequest."""
        same_site(request)
        work, name = self.place.reader(request), request.path_params["name"]
        form = await request.form(max_files=0, max_fields=_FIELDS)
        what = str(form.get("do", ""))
        if what not in _DOES:
            raise BadRequest("what is to be done?")
        if what == "password":
            password = secrets.token_urlsafe(12)
            await to_thread.run_sync(self.accounts.set_password, work, name, password)
            return await self._show(request, work, name, password=password, done=what)
        try:
            await to_thread.run_sync(self._do, work, name, what, form)
        except BadRequest:
            return await self._show(
                request, work, name, wrong="roles" if what == "roles" and not _roles(form) else "own"
            )
        return RedirectResponse(f"/accounts/{quote(name)}?done={what}", 303)

    def _do(self, work: Work, name: str, what: str, form: FormData) -> None:
        accounts = self.accounts
        if what == "roles":
            accounts.set_roles(work, name, _roles(form))
        elif what in ("lock", "unlock"):
            accounts.set_active(work, name, active=what == "unlock")
        elif what == "authenticator":
            accounts.reset_totp(work, name)
        elif what == "sessions":
            accounts.end_all(work, name)

    def _wrong(self, name: str, institution: str, roles: frozenset[Role]) -> str:
        """What no account can be made of: "name", "institution" or "roles"; empty when all is well."""
        if not folded_name(name):
            return "name"
        if institution and self.place.access.directory.get(institution) is None:
            return "institution"
        return "" if roles else "roles"

    async def _list(
        self, request: Request, work: Work, *, given: dict[str, object] | None = None, wrong: str = ""
    ) -> Response:
        text, after = (request.query_params.get(each, "").strip() for each in ("q", "after"))
        found = await to_thread.run_sync(lambda: self.accounts.all(work, text, after=after, limit=_SHOWN + 1))
        names = self.place.institution_names(request)
        more = found[_SHOWN - 1].name if len(found) > _SHOWN else ""
        empty = {"name": "", "display": "", "institution": "", "roles": ()}
        shown: dict[str, Any] = {
            "found": found[:_SHOWN],
            "more": more,
            "text": text,
            "after": after,
            "given": given or empty,
        }
        return self._page(request, "accounts.html", names=names, role_names=ROLES, wrong=wrong, **shown)

    async def _show(
        self, request: Request, work: Work, name: str, *, password: str = "", done: str = "", wrong: str = ""
    ) -> Response:
        await to_thread.run_sync(keep, work)  # one's own is not enough here
        account = await to_thread.run_sync(self.accounts.get, work, name)
        sessions = await to_thread.run_sync(self.accounts.sessions_of, work, name)
        shown: dict[str, Any] = {"account": account, "sessions": sessions, "password": password, "done": done}
        names = self.place.institution_names(request)
        return self._page(request, "account-of.html", wrong=wrong, names=names, role_names=ROLES, **shown)

    def _page(self, request: Request, template: str, *, wrong: str, **values: Any) -> Response:
        return answer(request, template, 400 if wrong else 200, wrong=wrong, **values)


def _roles(form: FormData) -> frozenset[Role]:
    try:
        return frozenset(Role(str(each)) for each in form.getlist("role"))
    except ValueError as e:
        raise BadRequest("there is no such role") from e
