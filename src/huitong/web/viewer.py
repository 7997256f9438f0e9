"""OHIF, the diagnostic viewer: its pinned build as published, on our origin, with our configuration.

The build asks for its files at the root of the origin (its public path is "/"), so they stand there beside our own
pages; `/` itself is our study list. Its index page is ours, because the published one registers a service worker
fetched from another host.
"""

from __future__ import annotations

import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from huitong.web.files import Files, under
from huitong.web.headers import VIEWER_POLICY
from huitong.web.look import page

#: OHIF's modes, by the first part of their path; all of them are this one document.
MODES = ("viewer", "basic", "segmentation", "tmtv", "microscopy", "dynamic-volume", "usAnnotation")
#: What is in the build for other ways of hosting it.
_LEFT_OUT = {"index.html", "app-config.js", "google.js", "init-service-worker.js", "sw.js", "silent-refresh.html"}
_LEFT_OUT |= {"_headers", "_redirects", "serve.json", "manifest.json"}
_ENTRY = re.compile(r'<script defer src="(/app\.bundle\.[0-9a-f]+\.js)">')
_STYLE = re.compile(r'<link href="(/app\.bundle\.css)" rel="stylesheet">')


def viewer_routes(build: Path) -> list[BaseRoute]:
    """The viewer's document and files; where it is not installed, a page that says how to install it."""
    if not (build / "index.html").is_file():
        return [Route(f"/{mode}", _missing) for mode in MODES]
    entry, style = _entry_points(build)

    async def document(request: Request) -> Response:
        html = page(request, "viewer.html", entry=entry, style=style)
        return HTMLResponse(html, headers={"Content-Security-Policy": VIEWER_POLICY, "Cache-Control": "no-cache"})

    files = {path: file for path, file in under(build).items() if file.relative_to(build).as_posix() not in _LEFT_OUT}
    files["/app-config.js"] = Path(__file__).parent / "static" / "app-config.js"
    return [
        *(Route(f"/{mode}", document, name=mode) for mode in MODES),
        *(Route(f"/{mode}/{{rest:path}}", document) for mode in MODES),
        Files(files),
    ]


def _entry_points(build: Path) -> tuple[str, str]:
    index = (build / "index.html").read_text("utf-8")
    entry, style = _ENTRY.search(index), _STYLE.search(index)
    if entry is None or style is None:
        raise ValueError(f"{build / 'index.html'} is not the index page of the OHIF build that is pinned")
    return entry[1], style[1]


async def _missing(request: Request) -> Response:
    html = page(request, "no-viewer.html")
    return HTMLResponse(html, 503, headers={"Retry-After": "60"})
