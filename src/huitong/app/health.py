"""What an operator's machine asks: is the process alive, can it do its work, what has it counted."""

from __future__ import annotations

from collections.abc import Callable

from anyio import to_thread
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from huitong import __version__
from huitong.base import metrics
from huitong.base.errors import HuitongError
from huitong.imaging.actions import count_unsettled
from huitong.store.files import free_bytes
from huitong.store.store import Store


def routes(store: Store, associations: Callable[[], int]) -> list[BaseRoute]:
    """`/healthz`, `/readyz`, `/metrics`; without any patient's data, so that they need no sign-in."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": __version__})

    async def readyz(_request: Request) -> Response:
        problems = await to_thread.run_sync(_problems, store)
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def counted(_request: Request) -> Response:
        await to_thread.run_sync(_gauge, store)
        metrics.ASSOCIATIONS_OPEN.set(associations())
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", counted)]


def _problems(store: Store) -> list[str]:
    """Why new objects could not be kept just now."""
    problems = []
    if free_bytes(store.layout.root) < store.settings.keep_free_bytes:
        problems.append("the data volume is full")
    try:
        with store.database.read():
            pass
    except HuitongError as e:
        problems.append(str(e))
    return problems


def _gauge(store: Store) -> None:
    metrics.FREE_BYTES.set(free_bytes(store.layout.root))
    metrics.UNSETTLED.set(count_unsettled(store))
