"""Errors as pages: what happened, and what the reader can do now."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ExceptionHandler

from huitong.base.errors import HuitongError, LinkEnded, PasswordToChoose, retry_after
from huitong.web.i18n import language_of
from huitong.web.look import answer
from huitong.web.modalities import _
from huitong.wire.problem import MEDIA_TYPE, Problem, problem_of

_CUT = (
    _("This address is not understood"),
    _("It may have been cut when it was copied. Go back to the study list and open the study from there."),
)
_ENDED = (
    _("This link has ended"),
    _(
        "Links to studies end after the time for which they were given, or when the person who gave them ends them. "
        "Ask that person for a new one."
    ),
)
#: HTTP status -> (title, advice). Others get those of their hundred.
_WORDS = {
    400: _CUT,
    401: (
        _("Sign in to see this"),
        _("Your sign-in has ended, or there was none. Sign in and open this page again."),
    ),
    403: (_("You may not see this"), _("Ask whoever runs this server, if you think you should.")),
    404: (
        _("There is no such page or study"),
        _("It may have been sent under another number, or by another institution. Look for it in the study list."),
    ),
    405: _CUT,
    406: (_("No picture can be made of this"), _("The object is kept and can be downloaded, but not shown.")),
    429: (
        _("Too many requests came from here"),
        _("Wait a minute and try again. Nothing that was sent is lost."),
    ),
    500: (
        _("Something went wrong here"),
        _(
            "Nothing that was sent is lost. Try again; if it happens again, tell whoever runs this server the time "
            "and this address."
        ),
    ),
    503: (_("The archive cannot answer just now"), _("It will be back by itself. Try again in a minute.")),
}


def error_page(request: Request, status: int, detail: str = "") -> Response:
    """The page for an HTTP status."""
    title, advice = _WORDS.get(status) or _WORDS[500 if status >= 500 else 400]
    say = language_of(request).translations.ugettext
    words = {"status": status, "title": say(title), "advice": say(advice), "detail": detail}
    response = answer(request, "error.html", status, **words)
    response.headers.update(retry_after(status))
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def ended_page(request: Request) -> Response:
    """For a link that has ended, or that never was one: whoever has it may know nothing of this service."""
    title, advice = map(language_of(request).translations.ugettext, _ENDED)
    return answer(request, "share-ended.html", 404, title=title, advice=advice)


async def answer_exception(request: Request, error: Exception) -> Response:
    """The exception handler: a page for whoever accepts one, problem details (RFC 9457) for programs."""
    problem = _problem(error)
    if "text/html" in request.headers.get("accept", ""):
        if problem.status == HTTPStatus.UNAUTHORIZED and request.method == "GET":
            here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/sign-in?{urlencode({'next': here})}", 303)
        if isinstance(error, PasswordToChoose):
            here = request.url.path if request.method == "GET" else "/"
            return RedirectResponse(f"/sign-in/password?{urlencode({'next': here})}", 303)
        if isinstance(error, LinkEnded):
            return ended_page(request)
        # Our own faults are for the log; what the caller got wrong is said to the caller.
        return error_page(request, problem.status, problem.detail if problem.status < 500 else "")
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else retry_after(problem.status)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(problem.document(request.url.path), problem.status, headers, media_type=MEDIA_TYPE)


def handlers() -> Mapping[Any, ExceptionHandler]:
    """What the app gives to Starlette as `exception_handlers`."""
    return {HuitongError: answer_exception, HTTPException: answer_exception, Exception: answer_exception}


def _problem(error: Exception) -> Problem:
    if not isinstance(error, HTTPException):
        return problem_of(error)
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return Problem(error.status_code, code, HTTPStatus(error.status_code).phrase)
