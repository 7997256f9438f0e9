"""What an operator's machine asks: is the process alive, can it do its work, what has it counted."""

from __future__ import annotations

import os
from collections.abc import Callable
from math import nan

from anyio import to_thread
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from huitong import __version__
from huitong.base import metrics
from huitong.base.errors import HuitongError
from huitong.imaging.actions import count_unsettled
from huitong.store import groups
from huitong.store.files import disk_faults, free_bytes
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
    return [problem for check in (_volume, _database, _blobs, _threads) for problem in check(store)]


def _volume(store: Store) -> list[str]:
    try:
        with disk_faults():
            free, flags = free_bytes(store.layout.root), os.statvfs(store.layout.spool).f_flag
    except HuitongError as e:
        return [str(e)]
    if flags & os.ST_RDONLY or not os.access(store.layout.spool, os.W_OK | os.X_OK):
        return ["the data volume is not writable"]
    return ["the data volume is full"] if free < store.settings.keep_free_bytes else []


def _database(store: Store) -> list[str]:
    return _said(store.database.check)


def _blobs(store: Store) -> list[str]:
    return _said(store.blobs.check)


def _said(check: Callable[[], None]) -> list[str]:
    try:
        check()
    except HuitongError as e:
        return [str(e)]
    return []


def _threads(_store: Store) -> list[str]:
    return [f"the thread {name} has ended" for name in groups.stopped()]


def _gauge(store: Store) -> None:
    """What cannot be found out is not a number: the other counts are most wanted when the store is at fault."""
    try:
        metrics.FREE_BYTES.set(free_bytes(store.layout.root))
    except OSError:
        metrics.FREE_BYTES.set(nan)
    try:
        metrics.UNSETTLED.set(count_unsettled(store))
    except HuitongError:
        metrics.UNSETTLED.set(nan)
