"""Errors as pages: what happened, and what the reader can do now."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from huitong.base.errors import HuitongError, answer_for
from huitong.web.headers import PAGE_POLICY
from huitong.web.i18n import language_of
from huitong.web.look import page
from huitong.web.modalities import _

_CUT = (
    _("This address is not understood"),
    _("It may have been cut when it was copied. Go back to the study list and open the study from there."),
)
#: HTTP status -> (title, advice). Others get those of their hundred.
_WORDS = {
    400: _CUT,
    401: (
        _("Reading needs a sign-in from here"),
        _(
            "Your computer is not among those that may read. "
            "Ask whoever runs this server to add its address to the setting `readers`."
        ),
    ),
    403: (_("You may not see this"), _("Ask whoever runs this server, if you think you should.")),
    404: (
        _("There is no such page or study"),
        _("It may have been sent under another number, or by another institution. Look for it in the study list."),
    ),
    405: _CUT,
    406: (_("No picture can be made of this"), _("The object is kept and can be downloaded, but not shown.")),
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
    html = page(request, "error.html", status=status, title=say(title), advice=say(advice), detail=detail)
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-store"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return HTMLResponse(html, status, headers=headers)


def page_for_exception(request: Request, error: Exception) -> Response:
    """An exception handler for everything that people open in a browser."""
    if isinstance(error, HTTPException):
        return error_page(request, error.status_code)
    answer = answer_for(error)
    # Our own faults are for the log; what the caller got wrong is said to the caller.
    detail = str(error) if isinstance(error, HuitongError) and answer.http < 500 else ""
    return error_page(request, answer.http, detail)
