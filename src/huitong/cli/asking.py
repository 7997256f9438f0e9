"""Asking the demo's server over HTTP, as systems and browsers do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from huitong.access.actions import SESSION_COOKIE
from huitong.base.setting_kinds import Address
from huitong.cli.sending import SendingFailed

_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    #: What a browser would keep, by name.
    cookies: Mapping[str, str]


def sign_in(to: Address, name: str, password: str) -> str:
    """The cookie of a new session; raises SendingFailed."""
    answer = post(to, "/sign-in", {"name": name, "password": password, "next": "/"})
    if answer.status != HTTPStatus.SEE_OTHER or SESSION_COOKIE not in answer.cookies:
        raise SendingFailed(f"{name} could not sign in: {answer.status}")
    return f"{SESSION_COOKIE}={answer.cookies[SESSION_COOKIE]}"


def post(to: Address, path: str, form: Mapping[str, str], **headers: str) -> Answer:
    """A form, as the page of this server sends it."""
    told = {"content_type": "application/x-www-form-urlencoded", "origin": f"http://{to}", **headers}
    return ask(to, "POST", path, urlencode(form), **told)


def ask(to: Address, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
    """One request on a connection of its own; `_` in the name of a header stands for `-`."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(to.host, to.port, timeout=_TIMEOUT_S)) as connection:
        connection.request(method, path, body, told)
        answer = connection.getresponse()
        got = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, got, answer.read(), _cookies(answer.headers.get_all("set-cookie", [])))


def _cookies(told: list[str]) -> dict[str, str]:
    return {name: cookie.value for one in told for name, cookie in SimpleCookie(one).items() if cookie.value}
