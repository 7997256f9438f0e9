"""Files of installed packages and our own, sent as a browser wants them: compressed once, validated, cached.

Knows paths and headers; knows no page.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
import threading
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

#: Names that carry the digest of their content (OHIF's bundles) never change what they name.
_DIGEST_IN_NAME = re.compile(r"(^|\.)[0-9a-f]{16}\.")
_COMPRESSIBLE = {".js", ".mjs", ".css", ".wasm", ".json", ".svg", ".html", ".txt"}
#: Above this a file is sent as it is (OHIF's 25 MB inference runtimes, which few ever ask for).
_COMPRESS_BELOW_BYTES = 20 << 20
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".svg": "image/svg+xml"}


class Files(BaseRoute):
    """A route for a fixed set of files: URL path -> file. One look-up decides, however many there are."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files
        self._compressed: dict[Path, tuple[bytes, str]] = {}
        self._lock = threading.Lock()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """FULL for a GET or HEAD of one of the files."""
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"] in self.files:
            return Match.FULL, {"endpoint": self}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        response = await self._answer(request, self.files[scope["path"]])
        await response(scope, receive, send)

    async def _answer(self, request: Request, path: Path) -> Response:
        versioned = _DIGEST_IN_NAME.search(path.name) or "v" in request.query_params
        headers = {"Cache-Control": IMMUTABLE if versioned else REVALIDATE}
        media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        made = await to_thread.run_sync(self._pack, path) if path.suffix in _COMPRESSIBLE else None
        if made is None:
            return FileResponse(path, media_type=media_type, headers=headers)
        packed, etag = made
        headers |= {"ETag": etag, "Vary": "Accept-Encoding"}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type=media_type, headers=headers | {"Content-Encoding": "gzip"})
        return FileResponse(path, media_type=media_type, headers=headers)

    def _pack(self, path: Path) -> tuple[bytes, str] | None:
        if path.stat().st_size > _COMPRESS_BELOW_BYTES:
            return None
        # One at a time: the first page asks for dozens at once, and the machine has better to do meanwhile.
        with self._lock:
            if path not in self._compressed:
                plain = path.read_bytes()
                etag = f'"{hashlib.sha256(plain).hexdigest()[:16]}"'
                self._compressed[path] = gzip.compress(plain, 6, mtime=0), etag
            return self._compressed[path]


def under(folder: Path, prefix: str = "/") -> dict[str, Path]:
    """Every file below `folder`, by the URL path it has under `prefix`."""
    return {prefix + path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
