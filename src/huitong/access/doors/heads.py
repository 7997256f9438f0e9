"""Heads of the audit, published: numbers of lines, roots and signatures, of nobody's record; nobody has to sign in."""

from __future__ import annotations

import base64

import orjson
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.access.heads import Head
from huitong.base.clock import iso, moment
from huitong.base.errors import BadRequest, NotFound

PATH = "/audit/heads"
CONSISTENCY_PATH = "/audit/consistency"
_PAGE = 100
_LATEST = {"Cache-Control": "no-cache"}
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
#: More lines there are in no log of ours.
_MOST_DIGITS = 18


def routes(access: Access) -> list[BaseRoute]:
    """For the app, before the pages."""
    heads = access.heads

    async def listed(request: Request) -> Response:
        before = _number(request, "before") if "before" in request.query_params else None
        found = await run_sync(lambda: heads.newest(_PAGE + 1, before=before))
        said: dict[str, object] = {
            "origin": heads.origin,
            "key": str(heads.signer.key) if heads.signer else None,
            "heads": [_said(each) for each in found[:_PAGE]],
        }
        if len(found) > _PAGE:
            said["next"] = f"{PATH}?before={found[_PAGE - 1].size}"
        return Response(orjson.dumps(said), 200, _LATEST, "application/json")

    async def latest(_request: Request) -> Response:
        found = await run_sync(heads.newest)
        if not found:
            raise NotFound("no head was made yet")
        return PlainTextResponse(found[0].note, headers=_LATEST)

    async def one(request: Request) -> Response:
        size = request.path_params["size"]
        if size >= 10**_MOST_DIGITS:
            raise NotFound("no head was made of so many lines")
        return PlainTextResponse((await run_sync(heads.of, size)).note, headers=_FOR_EVER)

    async def consistency(request: Request) -> Response:
        first, second = _number(request, "first"), _number(request, "second")
        proof = await run_sync(heads.consistency, first, second)
        said = {"first": first, "second": second, "consistency": [_base64(each) for each in proof]}
        return Response(orjson.dumps(said), 200, _FOR_EVER, "application/json")

    return [
        Route(PATH, listed),
        Route(f"{PATH}/latest", latest),
        Route(f"{PATH}/{{size:int}}", one),
        Route(CONSISTENCY_PATH, consistency),
    ]


def _said(head: Head) -> dict[str, object]:
    """Raises AuditDamaged."""
    checkpoint, note = head.published()
    return {
        "size": head.size,
        "root": _base64(checkpoint.root),
        "at": iso(moment(head.at_ms)),
        "signed": bool(note.signatures),
        "note": head.note,
    }


def _number(request: Request, name: str) -> int:
    """Raises BadRequest."""
    given = request.query_params.get(name, "")
    if not given.isascii() or not given.isdecimal() or len(given) > _MOST_DIGITS:
        raise BadRequest(f"`{name}` is a number of lines")
    return int(given)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
