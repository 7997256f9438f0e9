"""What others publish at an address (keys, descriptions of themselves), fetched over TLS and kept for a while."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BufferedReader, RawIOBase
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from huitong.base.clock import Clock
from huitong.base.errors import BadRequest
from huitong.base.log import logger

log = logger(__name__)

_MOST_BYTES = 64 * 1024
#: For a connection, for the whole of an answer, and for others' fetching of the same address.
_FETCH_S = 5.0
#: How long what was fetched is kept where its server says nothing, and at most.
_KEPT_S, _KEPT_MOST_S = 300.0, 3600.0
#: What is missing may have been added since: then it is fetched anew, but not more often than this.
_AGAIN_S = 10.0
T = TypeVar("T")
#: Address -> body and Cache-Control. Raises OSError.
Fetch = Callable[[str], tuple[bytes, str]]


def check_url(url: str) -> str:
    """An address from which we fetch over TLS, or from this machine. Raises BadRequest."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return url
    if parts.scheme == "http" and parts.hostname and _is_loopback(parts.hostname):
        return url
    raise BadRequest(f"{url[:200]!r} is no https:// address")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class _Fetched(Generic[T]):
    what: T | None
    at: datetime
    until: datetime


class Fetched(Generic[T]):
    """What stands at addresses, read by `read`; kept for as long as its server allows. Any thread."""

    def __init__(self, clock: Clock, read: Callable[[bytes], T], fetch: Fetch) -> None:
        """`read` raises ValueError or BadRequest for what cannot be used."""
        self._clock, self._read, self._fetch = clock, read, fetch
        self._fetched: dict[str, _Fetched[T]] = {}
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}

    def get(self, url: str, *, again: bool = False) -> T | None:
        """None where it cannot be had. May wait for its server. `again`: what is known lacks what is looked for."""
        with self._lock:
            lock = self._fetching.setdefault(url, threading.Lock())
        if not lock.acquire(timeout=_FETCH_S):  # somebody else waits for the server: not all do
            return self._known(url)
        try:
            known, now = self._fetched.get(url), self._clock()
            if known is not None and (now < known.until if not again else now < known.at + timedelta(seconds=_AGAIN_S)):
                return known.what
            try:
                data, cache_control = self._fetch(url)
                what: T | None = self._read(data)
                kept_s = _kept_s(cache_control)
            except (OSError, ValueError, BadRequest) as e:
                log.warning("could not be fetched", url=url, error=f"{type(e).__name__}: {e}"[:200])
                what, kept_s = self._known(url), _AGAIN_S
            self._fetched[url] = _Fetched(what, now, now + timedelta(seconds=kept_s))
            return what
        finally:
            lock.release()

    def _known(self, url: str) -> T | None:
        """Without asking: what was fetched before is not to be trusted once it is out of date."""
        known = self._fetched.get(url)
        return known.what if known is not None and self._clock() < known.until else None


def _kept_s(cache_control: str) -> float:
    """No longer than Cache-Control allows (for clients' keys SMART 2.2, "Client Authentication: Asymmetric")."""
    if re.search(r"no-(store|cache)", cache_control):
        return 0.0
    found = re.search(r"max-age=(\d{1,9})", cache_control)
    return min(float(found[1]), _KEPT_MOST_S) if found else _KEPT_S


class _Reading(RawIOBase):
    """An answer that has to be there by a certain time, however its octets come."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer, self._raw = peer, peer.makefile("rb", buffering=0)
        self._until_s = time.monotonic() + _FETCH_S

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"not all of the answer came within {_FETCH_S} s")
        self._peer.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self.fp.close()
        self.fp = BufferedReader(_Reading(sock))


class _Http(http.client.HTTPConnection):
    response_class = _Answer


class _Https(http.client.HTTPSConnection):
    response_class = _Answer


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(context=tls)
        self._tls = tls

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Https, req, context=self._tls)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """What is fetched is where it was said to be; another address has not been looked at by anybody."""

    def redirect_request(self, *_: Any) -> None:
        return None


def opened(request: urllib.request.Request | str, tls: ssl.SSLContext | None = None) -> Any:
    """The answer, to be closed. `tls`: by which authorities a server must be known. Raises OSError, BadRequest."""
    check_url(request if isinstance(request, str) else request.full_url)
    opener = urllib.request.build_opener(_NoRedirect, _HttpHandler, _HttpsHandler(tls))
    try:
        return opener.open(request, timeout=_FETCH_S)
    except http.client.HTTPException as e:
        raise OSError(f"no answer of HTTP: {type(e).__name__}") from e


def body(answer: Any) -> bytes:
    """Raises OSError for one that is too long, or has not come in time."""
    try:
        data: bytes = answer.read(_MOST_BYTES + 1)
    except http.client.HTTPException as e:
        raise OSError(f"the answer broke off: {type(e).__name__}") from e
    if len(data) > _MOST_BYTES:
        raise OSError(f"more than {_MOST_BYTES} bytes")
    return data


def fetch(url: str, tls: ssl.SSLContext | None = None) -> tuple[bytes, str]:
    """Body and Cache-Control. Raises OSError."""
    with opened(url, tls) as answer:
        return body(answer), str(answer.headers.get("Cache-Control", "")).lower()
