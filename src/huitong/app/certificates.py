"""Which certificate an HTTP caller has shown: to this process over TLS, or to a proxy that the settings name.

Knows RFC 9440 and how nginx writes the same; who the certificate belongs to is for `access` to say.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from huitong.base.caller import CERTIFICATE, host_of
from huitong.base.log import logger
from huitong.base.setting_kinds import Network, is_within
from huitong.base.tls import NO_CERTIFICATE, Certificate, certificate_of

log = logger(__name__)

#: How a browser marks what another site's page made it send (Fetch Metadata).
_FOREIGN = frozenset({b"cross-site", b"same-site"})


class Certified:
    """ASGI middleware, before all that changes the caller's address."""

    def __init__(self, app: ASGIApp, proxies: Sequence[Network] = ()) -> None:
        self._app, self._proxies = app, tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._proxies and is_within(host_of(scope), self._proxies):
                # Whatever the proxy has shown of its own is not the caller's.
                scope[CERTIFICATE] = _said(scope)
            if CERTIFICATE in scope and _values(scope, b"sec-fetch-site") & _FOREIGN:
                # A browser shows its certificate to whoever another site makes it ask.
                scope[CERTIFICATE] = NO_CERTIFICATE
        await self._app(scope, receive, send)


def _values(scope: Scope, wanted: bytes) -> set[bytes]:
    return {value for name, value in scope["headers"] if name == wanted}


def _said(scope: Scope) -> Certificate:
    """What the proxy says. Two that differ are none: one of them would be the caller's own word."""
    values = _values(scope, b"client-cert")
    if len(values) != 1:
        return NO_CERTIFICATE
    try:
        return read_header(values.pop())
    except ValueError as error:
        log.warning("a proxy's header Client-Cert cannot be read", error=str(error))
        return NO_CERTIFICATE


@lru_cache(maxsize=1024)
def read_header(value: bytes) -> Certificate:
    """Of a byte sequence (RFC 9440 2.2), or the PEM, percent-encoded, of nginx's `$ssl_client_escaped_cert`.

    Raises ValueError.
    """
    text = value.strip()
    if text.startswith(b"-----BEGIN"):
        return certificate_of(ssl.PEM_cert_to_DER_cert(unquote_to_bytes(text).decode("ascii")))
    if len(text) < 3 or not (text.startswith(b":") and text.endswith(b":")):
        raise ValueError("neither a byte sequence nor percent-encoded PEM")
    try:
        return certificate_of(base64.b64decode(text[1:-1], validate=True))
    except binascii.Error as e:
        raise ValueError("no base64") from e
