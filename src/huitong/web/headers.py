"""The security headers of every answer, and the content security policies of pages and viewer.

`crossOriginIsolated` (HTML standard, 7.2.2) gives OHIF SharedArrayBuffer, so that volumes are decoded into memory that
its workers share. It holds only when the document and everything it loads agree: so the headers go on every answer.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from huitong.base.errors import NotAllowed

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Nothing here needs a device of the reader's; a camera scans codes on the pages of cards alone, if at all.
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()",
}
#: For what is no page and brings no policy of its own: data that a browser was made to open as a document.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_DATA = (b"content-security-policy", DATA_POLICY.encode())
#: Scripts, fonts and pictures are loaded by documents, whose own policy holds; it is the rest that may be opened.
_LOADED = (b"text/javascript", b"application/javascript", b"text/css", b"font/", b"image/", b"application/wasm",
           b"application/pdf", b"video/", b"text/html")  # fmt: skip

#: Browsers that came over TLS come no other way for a year (RFC 6797).
_STRICT = (b"strict-transport-security", b"max-age=31536000")

_RAW = [(name.lower().encode(), value.encode()) for name, value in ISOLATED.items()]

_PAGE = {
    "default-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}
#: OHIF starts with inline scripts, compiles WebAssembly and builds functions (`new Function`), and runs its decoders
#: in blob: workers. It may still not reach any other host.
_VIEWER = {
    **_PAGE,
    "script-src": "'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "worker-src": "'self' blob:",
    "connect-src": "'self' blob: data:",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "font-src": "'self' data:",
    "frame-src": "'self' blob:",
    "object-src": "'self' blob:",
}


def _policy(table: dict[str, str]) -> str:
    return "; ".join(f"{directive} {sources}" for directive, sources in table.items())


PAGE_POLICY = _policy(_PAGE)
VIEWER_POLICY = _policy(_VIEWER)


class Isolated:
    """ASGI middleware that puts `ISOLATED` on every answer that does not say otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        raw = [*_RAW, _STRICT] if scope["scheme"] == "https" else _RAW

        async def send_isolated(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower(): value for name, value in message.get("headers", ())}
                more = [each for each in raw if each[0] not in said]
                kind = said.get(b"content-type", b"")
                # What a 304 says goes over what the browser has kept, the policy of a page too.
                if kind and _DATA[0] not in said and message["status"] != 304 and not kind.startswith(_LOADED):
                    more.append(_DATA)
                message["headers"] = [*message.get("headers", ()), *more]
            await send(message)

        await self.app(scope, receive, send_isolated)


def same_site(request: Request) -> None:
    """Raises NotAllowed for what another site's page made the browser send (Fetch Metadata, else Origin)."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    # Behind a TLS proxy the scheme is another than the browser's: the host is what has to be ours.
    same = origin.partition("://")[2] == request.url.netloc
    if site not in (None, "same-origin") or (site is None and not same):
        raise NotAllowed("this was sent by another site's page")
