"""The DICOMweb door (PS3.18): one table of resources, the errors as problem details, and nothing decided here.

`/dicom-web/...` shows of each study the one of the first institution that sent it; `/dicom-web/at/{institution}/...`
is the whole tree again, of what that institution sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from huitong.access.actions import Access
from huitong.base.errors import HuitongError, NotFound, NotSignedIn
from huitong.base.log import logger, shape_of
from huitong.imaging.doors import (
    dicomweb_frames,
    dicomweb_links,
    dicomweb_metadata,
    dicomweb_query,
    dicomweb_rendered,
    dicomweb_retrieve,
    dicomweb_store,
)
from huitong.imaging.doors.dicomweb_call import Call
from huitong.wire.problem import MEDIA_TYPE, Problem, problem_of
from huitong.wire.query import Level

log = logger(__name__)

Handler = Callable[[Call], Awaitable[Response]]

ROOT = "/dicom-web"
_STUDY = "studies/{study}"
_SERIES = f"{_STUDY}/series/{{series}}"
_INSTANCE = f"{_SERIES}/instances/{{instance}}"

#: Every resource (PS3.18 table 10.1-1 and 10.4.1) and its handlers. Fixed words and values alternate in all of them.
RESOURCES: dict[str, dict[str, Handler]] = {
    "studies": {"GET": dicomweb_query.searching(Level.STUDY), "POST": dicomweb_store.store},
    _STUDY: {"GET": dicomweb_retrieve.retrieve_all, "POST": dicomweb_store.store},
    f"{_STUDY}/series": {"GET": dicomweb_query.searching(Level.SERIES)},
    f"{_STUDY}/instances": {"GET": dicomweb_query.searching(Level.INSTANCE)},
    f"{_STUDY}/metadata": {"GET": dicomweb_metadata.many},
    f"{_STUDY}/thumbnail": {"GET": dicomweb_rendered.thumbnail},
    _SERIES: {"GET": dicomweb_retrieve.retrieve_all},
    f"{_SERIES}/instances": {"GET": dicomweb_query.searching(Level.INSTANCE)},
    f"{_SERIES}/metadata": {"GET": dicomweb_metadata.many},
    f"{_SERIES}/thumbnail": {"GET": dicomweb_rendered.thumbnail},
    _INSTANCE: {"GET": dicomweb_retrieve.retrieve_instance},
    f"{_INSTANCE}/metadata": {"GET": dicomweb_metadata.one},
    f"{_INSTANCE}/rendered": {"GET": dicomweb_rendered.rendered},
    f"{_INSTANCE}/thumbnail": {"GET": dicomweb_rendered.thumbnail},
    f"{_INSTANCE}/bulkdata/{{bulk}}": {"GET": dicomweb_retrieve.retrieve_bulk},
    f"{_INSTANCE}/frames/{{frames}}": {"GET": dicomweb_frames.retrieve_frames},
    f"{_INSTANCE}/frames/{{frames}}/rendered": {"GET": dicomweb_rendered.rendered},
    f"{_INSTANCE}/frames/{{frames}}/thumbnail": {"GET": dicomweb_rendered.thumbnail},
    f"{_STUDY}/links": {"GET": dicomweb_links.links},
    f"{_SERIES}/links": {"GET": dicomweb_links.links},
    f"{_INSTANCE}/links": {"GET": dicomweb_links.links},
    "series": {"GET": dicomweb_query.searching(Level.SERIES)},
    "instances": {"GET": dicomweb_query.searching(Level.INSTANCE)},
}


class DicomWeb:
    """ASGI application below the root. Every error leaves it as problem details (RFC 9457)."""

    def __init__(self, access: Access) -> None:
        self._access = access
        #: Fixed words and number of segments to (names of the values, handlers).
        self._table = {_key(pattern.split("/")): (_names(pattern), by) for pattern, by in RESOURCES.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, started = Request(scope, receive), False

        async def starting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            response = await self._answer(request)
            await response(scope, receive, starting)
        except Exception as error:
            if started:
                raise
            await _problem(error, request)(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        base = request.scope.get("root_path", "")
        segments = request.scope["path"].removeprefix(base).strip("/").split("/")
        institution = None
        scope = request.scope
        root = f"{_origin(scope['scheme'], request.headers.get('host'), scope.get('server'))}{base}"
        if segments[0] == "at" and len(segments) > 2:
            institution = segments[1]
            root, segments = f"{root}/at/{institution}", segments[2:]
        names, handlers = self._table.get(_key(segments), ((), None))
        if handlers is None or not all(segments):
            raise NotFound("no DICOMweb resource has this address")
        method = "GET" if request.method == "HEAD" else request.method
        handler = handlers.get(method)
        if handler is None:
            return _other_method(request, handlers)
        parts = dict(zip(names, segments[1::2], strict=True))
        call = Call(request, self._access, root, institution, parts)
        response = await handler(call)
        if call.is_shared:
            response.headers["Cache-Control"] = "no-store"
        return response


@lru_cache(maxsize=64)
def _origin(scheme: str, host: str | None, server: tuple[str, int | None] | None) -> str:
    """Scheme and authority by which we are asked; the same for nearly all requests."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    url = URL(scope={"type": "http", "scheme": scheme, "server": server, "path": "/", "headers": headers})
    return f"{url.scheme}://{url.netloc}"


def _key(segments: list[str]) -> tuple[str, ...]:
    return (*segments[::2], str(len(segments)))


def _names(pattern: str) -> tuple[str, ...]:
    return tuple(segment.strip("{}") for segment in pattern.split("/")[1::2])


def _other_method(request: Request, handlers: Mapping[str, Handler]) -> Response:
    """OPTIONS says what there is (RFC 9110 9.3.7); anything else is refused in the same words."""
    allowed = {"Allow": ", ".join([*handlers, "HEAD", "OPTIONS"])}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    problem = Problem(405, "method-not-allowed", "This resource does not do that.", f"it has {allowed['Allow']}")
    return Response(problem.document(request.url.path), 405, allowed, MEDIA_TYPE)


def _problem(error: Exception, request: Request) -> Response:
    problem = problem_of(error)
    if not isinstance(error, HuitongError):
        log.exception("request failed", path=shape_of(request.url.path))
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="huitong"'
    return Response(problem.document(request.url.path), problem.status, headers, MEDIA_TYPE)
