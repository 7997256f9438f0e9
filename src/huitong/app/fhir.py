"""The FHIR door's common part (FHIR R4 3.1): addresses, media types, paging and errors of all resource types.

The rooms' tables (`doors/fhir.py`) say what there is; nothing is decided here. JSON only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import orjson
from anyio.to_thread import run_sync
from starlette.datastructures import URL
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from huitong import __version__
from huitong.access.actions import SESSION_COOKIE, Access
from huitong.access.model import Need
from huitong.access.work import Work
from huitong.base.caller import host_of
from huitong.base.errors import (
    BadRequest,
    HuitongError,
    NotAcceptable,
    NotFound,
    NotSignedIn,
    TooLarge,
    UnsupportedMedia,
    retry_after,
)
from huitong.base.log import logger, shape_of
from huitong.base.settings import Settings
from huitong.wire.accept import first_of, parse_accept
from huitong.wire.fhir.bundle import Page, page_links, searchset
from huitong.wire.fhir.capability import capability_statement
from huitong.wire.fhir.interactions import Operation, OperationCall, ResourceType
from huitong.wire.fhir.outcome import Issue, outcome, outcome_of
from huitong.wire.fhir.resources import JSON_TYPES, MEDIA_TYPE, Resource, parameters
from huitong.wire.fhir.search import read_search
from huitong.wire.media_type import parse_list

log = logger(__name__)

ROOT = "/fhir"
#: Of a search form or of Parameters; neither is long.
_MOST_BODY_BYTES = 1 << 20
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class _Call:
    """A request, and who makes it."""

    request: Request
    access: Access
    #: Absolute address of the FHIR root.
    root: str

    def work(self, resource: str, letter: str) -> Work:
        """The key for reading ("r") or searching ("s") resources of a type. Raises NotSignedIn, NotAllowed."""
        cookie = self.request.cookies.get(SESSION_COOKIE)
        authorization = self.request.headers.get("authorization")
        return self.access.reader(authorization, host_of(self.request), Need(resource, letter), cookie=cookie)

    @property
    def strict(self) -> bool:
        """Whether what is not understood is refused rather than ignored (3.1.1.3, Prefer: handling)."""
        wishes = {wish.strip() for wish in self.request.headers.get("prefer", "").lower().split(",")}
        return "handling=strict" in wishes

    async def body(self) -> bytes:
        """Raises TooLarge."""
        data = bytearray()
        async for chunk in self.request.stream():
            data += chunk
            if len(data) > _MOST_BODY_BYTES:
                raise TooLarge(f"a request may have {_MOST_BODY_BYTES} bytes")
        return bytes(data)

    @property
    def content_type(self) -> str:
        named = parse_list(self.request.headers.get("content-type", ""))
        return named[0].essence if named else ""


#: Methods of one address, and what each does.
_Methods = Mapping[str, Callable[[_Call], Awaitable[Response]]]


class Fhir:
    """ASGI application below the root. Every error leaves it as OperationOutcome."""

    def __init__(self, access: Access, settings: Settings, types: Sequence[ResourceType[Work]]) -> None:
        self._access, self._settings = access, settings
        self._types = {each.name: each for each in types}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Exception as error:
            response = _fault(error, request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        base = request.scope.get("root_path", "")
        segments = request.scope["path"].removeprefix(base).strip("/").split("/")
        methods = self._methods(segments)
        method = "GET" if request.method == "HEAD" else request.method
        allowed = {"Allow": ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])}
        if method == "OPTIONS":
            return Response(status_code=204, headers=allowed)
        if method not in methods:
            issue = Issue("error", "not-supported", "This address does not do that.", f"it has {allowed['Allow']}")
            return _json(request, outcome([issue]), 405, allowed)
        _check_acceptable(request)
        url = URL(scope=request.scope)
        return await methods[method](_Call(request, self._access, f"{url.scheme}://{url.netloc}{base}"))

    def _methods(self, segments: list[str]) -> _Methods:
        """What the address does. Raises NotFound."""
        match segments:
            case ["metadata"]:
                return {"GET": self._metadata}
            case [name] if name in self._types:
                return {"GET": partial(self._search, self._types[name])}
            case [name, "_search"] if name in self._types:
                return {"POST": partial(self._search, self._types[name])}
            case [name, last] if name in self._types and last.startswith("$"):
                return _operation(self._types[name], last[1:], "")
            case [name, logical_id, last] if name in self._types and last.startswith("$"):
                return _operation(self._types[name], last[1:], logical_id)
            case [name, logical_id] if name in self._types:
                return {"GET": partial(_read, self._types[name], logical_id)}
        raise NotFound("no FHIR resource has this address")

    async def _metadata(self, call: _Call) -> Response:
        """For everybody, as a client must know how to ask before it can show who it is (3.1.0.9)."""
        return _json(call.request, capability_statement(self._types.values(), call.root, __version__))

    async def _search(self, served: ResourceType[Work], call: _Call) -> Response:
        work, pairs = call.work(served.name, "s"), list(call.request.query_params.multi_items())
        if call.request.method == "POST":
            if call.content_type != _FORM:
                raise UnsupportedMedia(f"a search is posted as {_FORM}")
            pairs += _form(await call.body())
        limits = {"rows": self._settings.page_rows, "most_rows": self._settings.page_rows_limit}
        asked = read_search(served.search_parameters(), pairs, **limits)
        if asked.ignored and call.strict:
            raise BadRequest(f"search parameters not known of {served.name}: {', '.join(asked.ignored)}")
        page = await run_sync(served.search, work, asked.search)
        if asked.search.total == "none":
            page = replace(page, total=None)
        links = page_links(f"{call.root}/{served.name}", asked, page.next)
        return _json(call.request, searchset(page, call.root, links, asked.ignored))


async def _read(served: ResourceType[Work], logical_id: str, call: _Call) -> Response:
    resource = await run_sync(served.read, call.work(served.name, "r"), logical_id)
    headers = _validators(resource)
    if headers.get("ETag") in [each.strip() for each in call.request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return _json(call.request, resource, 200, headers)


def _validators(resource: Resource) -> dict[str, str]:
    """ETag of the version (3.1.0.1.3)."""
    version = resource.get("meta", {}).get("versionId")
    return {"ETag": f'W/"{version}"'} if version else {}


def _operation(served: ResourceType[Work], name: str, logical_id: str) -> _Methods:
    for each in served.operations:
        if each.name == name and (each.on_instance if logical_id else each.on_type):
            run = partial(_run, served, each, logical_id)
            return {"POST": run, "GET": run} if each.by_get else {"POST": run}
    raise NotFound(f"{served.name} has no operation ${name} here")


async def _run(served: ResourceType[Work], operation: Operation[Work], logical_id: str, call: _Call) -> Response:
    work = call.work(served.name, "r" if logical_id else "s")
    if call.request.method == "POST":
        asked = _parameters(call.content_type, await call.body())
    else:
        pairs = call.request.query_params.multi_items()
        asked = parameters({"name": name, "valueString": value} for name, value in pairs if name not in _OURS)
    found = await run_sync(operation.run, work, OperationCall(asked, logical_id))
    return _json(call.request, searchset(found, call.root) if isinstance(found, Page) else found)


_OURS = ("_format", "_pretty")


def _parameters(content_type: str, body: bytes) -> Resource:
    """Of a resource alone, it is the parameter `resource` (R4 3.2.0.5.1). Raises UnsupportedMedia, BadRequest."""
    if content_type not in JSON_TYPES:
        raise UnsupportedMedia(f"a resource is sent as {MEDIA_TYPE}")
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise BadRequest(f"the body is no JSON: {e}") from e
    if not isinstance(said, dict) or not isinstance(said.get("resourceType"), str):
        raise BadRequest("an operation is asked with a Parameters resource")
    if said["resourceType"] == "Parameters":
        return said
    return parameters([{"name": "resource", "resource": said}])


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError as e:  # of which UnicodeDecodeError is one
        raise BadRequest("the form cannot be read") from e


def _check_acceptable(request: Request) -> None:
    """`_format` wins over Accept (3.1.0.1.11). Raises NotAcceptable."""
    wanted = request.query_params.get("_format", "").partition(";")[0].strip().lower()
    if wanted:
        good = wanted in ("json", *JSON_TYPES) or wanted.replace(" ", "+") in JSON_TYPES
    else:
        good = first_of(parse_accept(request.headers.getlist("accept")), JSON_TYPES) is not None
    if not good:
        raise NotAcceptable(f"there is {MEDIA_TYPE} only")


def _json(
    request: Request, resource: Resource, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    indented = orjson.OPT_INDENT_2 if request.query_params.get("_pretty") == "true" else None
    said = {"Cache-Control": "no-store", "Vary": "Accept, Authorization, Cookie", **(headers or {})}
    body = orjson.dumps(resource, option=indented)
    return Response(body, status, said, f"{MEDIA_TYPE}; charset=utf-8")


def _fault(error: Exception, request: Request) -> Response:
    if not isinstance(error, HuitongError):
        log.exception("request failed", path=shape_of(request.url.path))
    status, resource = outcome_of(error)
    headers: dict[str, Any] = retry_after(status)
    if isinstance(error, NotSignedIn):
        headers["WWW-Authenticate"] = 'Bearer realm="huitong"'
    return _json(request, resource, status, headers)
