"""A browser of the simplest kind: asks an ASGI app over httpx, one request after the other, and keeps cookies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp
from tests.archives import TestArchive

from huitong.web import errors, headers, routes


class Browser:
    """Calls from loopback and accepts what a browser accepts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.cookies = app, httpx.Cookies()

    def ask(self, method: str, url: str, *, follow: bool = True, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, url, follow, more))

    def get(self, url: str, **more: Any) -> httpx.Response:
        return self.ask("GET", url, **more)

    async def _ask(self, method: str, url: str, follow: bool, more: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=("127.0.0.1", 50000))
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://huitong.example",
            headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
            cookies=self.cookies,
            follow_redirects=follow,
        ) as client:
            answer = await client.request(method, url, **more)
            self.cookies = client.cookies
            return answer


@contextmanager
def pages_on(archive: TestArchive, **settings: Any) -> Iterator[Browser]:
    """The pages alone, on an open archive."""
    chosen = replace(archive.store.settings, **settings)
    app = Starlette(routes=routes.routes(archive.access, chosen), exception_handlers=errors.handlers())
    yield Browser(headers.Isolated(app))
