"""The HTTP server: uvicorn, run inside a loop that others share, with a connection whose bodies the kernel moves.

What is added to uvicorn's httptools protocol, each for a measured reason (docs/benchmarks.md):
- the ASGI extensions `http.response.zerocopysend` and `http.response.pathsend`, so that stored bytes go from the page
  cache to the socket by sendfile(2) without passing through Python;
- request bodies that are handed on in the pieces in which they came, received into one buffer per connection;
- limits that uvicorn leaves to a proxy: size of the header, time without any progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from huitong.app.certificates import Certified
from huitong.app.zerocopy import Bounds, ZeroCopyProtocol, bounded
from huitong.base.errors import SettingsError
from huitong.base.setting_kinds import Network


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: whoever runs the loop decides when to stop."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the system choose. Raises SettingsError when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=1024)
        # Inherited by every connection. asyncio sets it only where the protocol is named, which accept(2) does not do;
        # without it the header waits 40 ms for the client's acknowledgement before the body goes out.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise SettingsError(f"cannot listen at {host}:{port}: {error.strerror or error}") from error
    return listener


async def serve_http(
    app: Any,
    host: str,
    port: int,
    *,
    stop: asyncio.Event,
    grace_s: float = 20.0,
    started: Callable[[int], None] = lambda port: None,
    trusted_proxies: str = "",
    certificate_proxies: Sequence[Network] = (),
    tls: ssl.SSLContext | None = None,
    bounds: Bounds | None = None,
) -> None:
    """Serve the ASGI `app` until `stop` is set; then finish running responses, for at most `grace_s` seconds.

    `started` is told the port once connections are accepted. Only the addresses in `trusted_proxies`
    (comma-separated) may say in X-Forwarded-For who their client is, only those in `certificate_proxies` in Client-Cert
    which certificate it has shown. `bounds` are of connections. Raises SettingsError
    if the address is taken.
    """
    listener = listen(host, port)
    if trusted_proxies:
        app = ProxyHeadersMiddleware(app, trusted_proxies)
    config = uvicorn.Config(
        # Outermost: it has to know the proxy itself.
        Certified(app, certificate_proxies),
        http=bounded(bounds) if bounds is not None else ZeroCopyProtocol,
        ws="none",
        interface="asgi3",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace_s)),
        ssl_context_factory=(lambda *_: tls) if tls is not None else None,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    waiting = asyncio.create_task(_until(stop, server.accepting, started, listener.getsockname()[1]), name="http-stop")
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        server.should_exit = True
        await serving
        listener.close()


async def _until(stop: asyncio.Event, accepting: asyncio.Event, started: Callable[[int], None], port: int) -> None:
    await accepting.wait()
    started(port)
    await stop.wait()
