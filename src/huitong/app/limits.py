"""How often one address, and one who signed in, may ask; sign-in is stricter. Answers 429 before anything is done.

What is counted lies in this process alone: of several, each allows as much. In memory a credential is only its hash.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from huitong.access.openid.actions import BACK
from huitong.base import metrics
from huitong.base.buckets import Buckets
from huitong.base.caller import host_of
from huitong.base.errors import TooOften
from huitong.base.log import logger
from huitong.base.settings import Settings
from huitong.web.errors import error_page
from huitong.wire.fhir.outcome import outcome_of
from huitong.wire.fhir.resources import MEDIA_TYPE as FHIR_TYPE
from huitong.wire.problem import MEDIA_TYPE, problem_of

log = logger(__name__)

#: Where somebody shows who they are: each try is a guess that may be a stranger's.
SIGN_IN = re.compile(r"/(auth/token|sign-in|signin|login|oidc|share|shl)(/|$)")
#: A machine that watches us must not be locked out by whoever asks from the same address.
_FREE = frozenset({"/healthz", "/readyz"})
_SESSION = re.compile(rb"(?:^|;\s*)huitong_session=([^;]+)")


@dataclass(frozen=True, slots=True)
class Limits:
    """The buckets of the settings; None where there is no limit."""

    addresses: Buckets | None
    callers: Buckets | None
    sign_ins: Buckets | None

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        sign_ins = settings.sign_ins_per_min
        return cls(
            _buckets(settings.requests_per_s, settings.requests_burst),
            _buckets(settings.caller_requests_per_s, settings.caller_requests_burst),
            _buckets(sign_ins / 60, max(1, round(sign_ins))),
        )


def _buckets(per_s: float, burst: int) -> Buckets | None:
    return Buckets(per_s, burst) if per_s > 0 else None


class Limited:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, limits: Limits, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._app, self._limits, self._clock_s = app, limits, clock_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (late := self._late(scope)) is not None:
            what, wait_s = late
            metrics.LIMITED.labels(what).inc()
            await _refusal(Request(scope), wait_s)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _late(self, scope: Scope) -> tuple[str, float] | None:
        """What was used up, and for how many seconds; None for a request that may go on."""
        path, now_s, limits = scope["path"], self._clock_s(), self._limits
        if path in _FREE:
            return None
        host = host_of(scope)
        if ":" in host:
            host = _whose(host)
        if limits.addresses is not None and (wait_s := limits.addresses.take(host, now_s)):
            return "address", wait_s
        if limits.callers is not None:
            caller = _credential(scope["headers"])
            if caller is not None and (wait_s := limits.callers.take(caller, now_s)):
                return "caller", wait_s
        if limits.sign_ins is not None and (path == BACK or (scope["method"] == "POST" and SIGN_IN.match(path))):
            wait_s = limits.sign_ins.take(host, now_s)
            return ("sign-in", wait_s) if wait_s else None
        return None


def _credential(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Stands for the token or session that is shown; nothing can be read from it."""
    for name, value in headers:
        if name == b"authorization":
            return hash(value)
        if name == b"cookie" and (found := _SESSION.search(value)):
            return hash(found[1])
    return None


def _whose(host: str) -> str:
    """Of IPv6 the network of 64 bits: whoever has one address there has all of them."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped) if mapped else str(ip_network((int(address) >> 64 << 64, 64)))


def _refusal(request: Request, wait_s: float) -> Response:
    error, after = TooOften(), str(max(1, math.ceil(wait_s)))
    headers: dict[str, Any] = {"Retry-After": after, "Cache-Control": "no-store"}
    path = request.url.path
    if path.startswith("/fhir/"):
        status, resource = outcome_of(error)
        return Response(orjson.dumps(resource), status, headers, FHIR_TYPE)
    if "text/html" in request.headers.get("accept", ""):
        page = error_page(request, 429)
        page.headers["Retry-After"] = after
        return page
    problem = problem_of(error)
    return Response(problem.document(), problem.status, headers, MEDIA_TYPE)
