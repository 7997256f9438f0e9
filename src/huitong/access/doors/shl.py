"""SMART Health Links for other people's programs (HL7 SMART Health Cards and Links 1.0.0): manifest and file.

Nobody is signed in here and no cookie is looked at, so that pages of any origin may ask (CORS), as viewers of links do.
"""

from __future__ import annotations

import orjson
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.access.sharing.actions import FHIR_JSON, PATH
from huitong.access.sharing.model import WrongPasscode
from huitong.base.caller import host_of
from huitong.base.errors import BadRequest, HuitongError, LinkEnded
from huitong.base.settings import Settings
from huitong.wire import shl
from huitong.wire.problem import MEDIA_TYPE, problem_of

_MOST_BYTES = 16 * 1024
_ANYBODY = {"Cache-Control": "no-store", "Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_ANYBODY,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}


def routes(access: Access, settings: Settings) -> list[BaseRoute]:
    """For the app, before the pages."""

    async def manifest(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        try:
            asked = shl.read_request(await _body(request))
            given = request.path_params["secret"], asked.passcode, host_of(request), asked.recipient
            share, file = await run_sync(access.sharing.open_file, *given)
            if asked.embedded_most is None or len(file) <= asked.embedded_most:
                return _json(200, shl.manifest(FHIR_JSON, embedded=file))
            secret = await run_sync(access.sharing.leave_file, share, file)
            origin = settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"
            return _json(200, shl.manifest(FHIR_JSON, location=f"{origin}{PATH}file/{secret}"))
        except WrongPasscode as wrong:
            return _json(401, {"remainingAttempts": wrong.remaining})
        except (LinkEnded, BadRequest) as refused:
            return _problem(refused)

    async def file(request: Request) -> Response:
        try:
            text = await run_sync(access.sharing.fetch_file, request.path_params["secret"])
        except LinkEnded as ended:
            return _problem(ended)
        return Response(text, headers=_ANYBODY, media_type="application/jose")

    return [
        Route(f"{PATH}file/{{secret}}", file, methods=["GET"]),
        Route(f"{PATH}{{secret}}", manifest, methods=["POST", "OPTIONS"]),
    ]


async def _body(request: Request) -> bytes:
    """Raises BadRequest."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                raise BadRequest("the request is too long")
    except ClientDisconnect as gone:
        raise BadRequest("the request broke off") from gone
    return bytes(body)


def _json(status: int, said: object) -> Response:
    return Response(orjson.dumps(said), status, _ANYBODY, "application/json")


def _problem(error: HuitongError) -> Response:
    problem = problem_of(error)
    return Response(problem.document(), problem.status, _ANYBODY, MEDIA_TYPE)
