"""The one ASGI application: DICOMweb, pages, health; every request counted and named."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huitong.access.actions import Access
from huitong.app import health
from huitong.base import log as logs
from huitong.base import metrics
from huitong.imaging.doors import dicomweb
from huitong.store.store import Store
from huitong.web import errors, headers
from huitong.web import routes as pages

log = logs.logger(__name__)


def application(store: Store, access: Access, associations: Callable[[], int]) -> ASGIApp:
    """Everything that HTTP serves."""
    app = Starlette(
        routes=[
            *health.routes(store, associations),
            *dicomweb.routes(access),
            *pages.routes(access, store.settings),
        ],
        exception_handlers=errors.handlers(),
    )
    return Counted(headers.Isolated(app))


class Counted:
    """Gives each request an id, counts it, and logs those that failed on our side."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, began = 0, time.perf_counter()

        async def watching(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with logs.request(logs.new_request_id()):
            try:
                await self.app(scope, receive, watching)
            finally:
                took_s = time.perf_counter() - began
                metrics.REQUESTS.labels(scope["method"], str(status)).inc()
                metrics.REQUEST_SECONDS.labels(scope["method"]).observe(took_s)
                if status >= 500:
                    log.warning("request failed", method=scope["method"], path=scope["path"], status=status)
