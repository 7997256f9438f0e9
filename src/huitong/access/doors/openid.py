"""Where a provider says that a session has ended there (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.access.openid.model import Reason, SignInFailed
from huitong.base.errors import NotFound
from huitong.base.log import logger

log = logger(__name__)

ENDED_PATH = "/auth/openid/ended"
_MOST_BYTES = 64 * 1024
_NO_STORE = {"Cache-Control": "no-store"}


def routes(access: Access) -> list[BaseRoute]:
    """For the app, before the pages."""
    openid = access.openid

    async def ended(request: Request) -> Response:
        if openid is None:  # nobody is listened to
            raise NotFound("there is no provider in the settings")
        try:
            count = await run_sync(openid.ended, await _token(request))
        except SignInFailed as failed:
            log.warning("logout token refused", why=failed.detail)
            return Response(status_code=503 if failed.reason is Reason.DOWN else 400, headers=_NO_STORE)
        log.info("sessions ended by the provider", count=count)
        return Response(headers=_NO_STORE)

    return [Route(ENDED_PATH, ended, methods=["POST"])]


async def _token(request: Request) -> str:
    """Raises SignInFailed."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                raise SignInFailed(Reason.UNPROVED, "too long")
        return dict(parse_qsl(bytes(body).decode(), max_num_fields=20)).get("logout_token", "")
    except (ValueError, ClientDisconnect) as e:
        raise SignInFailed(Reason.UNPROVED, "the form cannot be read") from e
