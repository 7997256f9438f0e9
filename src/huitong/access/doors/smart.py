"""The token endpoint of SMART Backend Services (RFC 6749 4.4 and 5, RFC 7523 2.2, RFC 8705 3) and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

import orjson
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.access.systems.model import TokenRefused
from huitong.base import metrics
from huitong.base.caller import certificate_of, host_of
from huitong.base.log import logger
from huitong.base.settings import Settings
from huitong.wire.smart import ASSERTION_TYPE, configuration, written

log = logger(__name__)

TOKEN_PATH = "/auth/token"  # noqa: S105 - an address
_MOST_BYTES = 64 * 1024
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
#: How the form must be (RFC 6749 3.2: no parameter twice), and what is said where it is not.
_FORM = "application/x-www-form-urlencoded"


def origin(request: Request, settings: Settings) -> str:
    """Scheme and authority by which others reach us.

    Never from the header Host: an assertion for another server would be good here for whoever names that server in it.
    """
    if settings.public_url:
        return settings.public_url
    host, port = request.scope.get("server") or (settings.http.host, settings.http.port)
    name = f"[{host}]" if ":" in str(host) else host
    return f"{request.scope['scheme']}://{name}:{port}"


def routes(access: Access, settings: Settings, resources: Sequence[str], fhir_root: str) -> list[BaseRoute]:
    """For the app, before the pages. `resources` are the types that scopes can name."""
    scopes = ["system/*.rs", *(f"system/{name}.rs" for name in resources), "system/ImagingStudy.cruds"]
    certificates = bool(settings.http_clients or settings.certificate_proxies)

    async def found(request: Request) -> Response:
        document = configuration(f"{origin(request, settings)}{TOKEN_PATH}", scopes, with_certificates=certificates)
        return Response(orjson.dumps(document), headers={"Cache-Control": "no-cache"}, media_type="application/json")

    async def token(request: Request) -> Response:
        try:
            form = await _form(request)
            _check(form)
            audience = f"{origin(request, settings)}{TOKEN_PATH}"
            asked = form["client_assertion"], form["scope"], audience, host_of(request), certificate_of(request.scope)
            given = await run_sync(access.systems.give_token, *asked)
        except TokenRefused as refused:
            metrics.TOKENS.labels(refused.error).inc()
            log.warning("no token given", error=refused.error, why=refused.detail)
            return _refusal(refused)
        metrics.TOKENS.labels("given").inc()
        scope = written(given.scopes)
        said = {"access_token": given.text, "token_type": "bearer", "expires_in": given.lasts_s, "scope": scope}
        return Response(orjson.dumps(said), headers=_NO_STORE, media_type="application/json")

    at_root, below = "/.well-known/smart-configuration", f"{fhir_root}/.well-known/smart-configuration"
    return [Route(TOKEN_PATH, token, methods=["POST"]), Route(at_root, found), Route(below, found)]


async def _form(request: Request) -> dict[str, str]:
    """Raises TokenRefused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise TokenRefused("invalid_request", "not a form")
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_BYTES:
                raise TokenRefused("invalid_request", "too long")
        pairs = parse_qsl(bytes(body).decode(), keep_blank_values=True, max_num_fields=50)
    except (ValueError, ClientDisconnect) as e:
        raise TokenRefused("invalid_request", "the form cannot be read") from e
    if len({name for name, _ in pairs}) != len(pairs):
        raise TokenRefused("invalid_request", "a parameter stands twice")
    return dict(pairs)


def _check(form: dict[str, str]) -> None:
    """Raises TokenRefused."""
    if form.get("grant_type") != "client_credentials":
        raise TokenRefused("unsupported_grant_type", "only client_credentials is")
    if form.get("client_assertion_type") != ASSERTION_TYPE or not form.get("client_assertion"):
        raise TokenRefused("invalid_client", "no assertion")
    if not form.get("scope", "").strip():
        raise TokenRefused("invalid_scope", "no scope")


_SAID = {
    "invalid_client": "the client is not known here, or its assertion is not good",
    "invalid_scope": "none of the scopes asked for is registered for this client",
    "unsupported_grant_type": "grant_type must be client_credentials",
    "invalid_request": "a form (application/x-www-form-urlencoded) of at most 64 KiB, no parameter twice",
}


def _refusal(refused: TokenRefused) -> Response:
    """Why exactly is in our log: who tries assertions learns nothing from the answer."""
    status = 401 if refused.error == "invalid_client" else 400
    said = {"error": refused.error, "error_description": _SAID[refused.error]}
    return Response(orjson.dumps(said), status, _NO_STORE, "application/json")
