"""The one ASGI application: DICOMweb, FHIR, pages, health; every request counted and named."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huitong.access.actions import Access
from huitong.access.doors import heads, openid, shl, smart
from huitong.access.work import Work
from huitong.app import fhir, health, limits, numbers
from huitong.base import log as logs
from huitong.base import metrics
from huitong.directory.doors import fhir as directory_fhir
from huitong.imaging.doors import dicomweb
from huitong.people.doors import card
from huitong.people.doors import fhir as people
from huitong.people.doors.fhir_audit import audit_events
from huitong.store.store import Store
from huitong.web import errors, headers
from huitong.web import routes as pages
from huitong.wire.fhir.interactions import ResourceType

log = logs.logger(__name__)


def fhir_types(store: Store, access: Access) -> tuple[ResourceType[Work], ...]:
    """What is served over FHIR: the tables of the rooms' doors."""

    def takes_part(institution: str) -> bool:
        return access.directory.get(institution) is not None

    patients = people.patients(store.settings.identifier_base, takes_part)
    return (*directory_fhir.RESOURCES, patients, audit_events(store.settings))


def http_routes(store: Store, access: Access, associations: Callable[[], int]) -> list[BaseRoute]:
    """All but DICOMweb and FHIR; `app.paths` has the decision that stands before each."""
    numbers.bound()
    resources = [each.name for each in fhir_types(store, access)]
    return [
        *health.routes(store, associations),
        *smart.routes(access, store.settings, resources, fhir.ROOT),
        *shl.routes(access, store.settings),
        *openid.routes(access),
        *heads.routes(access),
        *card.routes(access),
        *pages.routes(access, store.settings),
    ]


def application(store: Store, access: Access, associations: Callable[[], int]) -> ASGIApp:
    """Everything that HTTP serves."""
    others = Starlette(
        routes=http_routes(store, access, associations),
        exception_handlers=errors.handlers(),
    )
    resources = fhir.Fhir(access, store.settings, fhir_types(store, access))
    mounted = Mounted(dicomweb.ROOT, dicomweb.DicomWeb(access), Mounted(fhir.ROOT, resources, others))
    return Counted(headers.Isolated(limits.Limited(mounted, limits.Limits.of(store.settings))))


class Mounted:
    """Gives an application what lies below its root, past the middleware and patterns of all others."""

    def __init__(self, root: str, app: ASGIApp, others: ASGIApp) -> None:
        self._root, self._app, self._others = root, app, others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(f"{self._root}/") and not path.startswith(f"{self._root}/.well-known/"):
            await self._app({**scope, "root_path": self._root}, receive, send)
        else:
            await self._others(scope, receive, send)


@lru_cache(maxsize=256)
def _counters(method: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(method, str(status)), metrics.REQUEST_SECONDS.labels(method)


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
                requests, seconds = _counters(scope["method"], status)
                requests.inc()
                seconds.observe(took_s)
                if status >= 500:
                    log.warning(
                        "request failed", method=scope["method"], path=logs.shape_of(scope["path"]), status=status
                    )
