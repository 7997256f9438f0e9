"""Who is at the other end of an HTTP request, before anybody has asked who they are.

Reads ASGI's connection scope, which a Starlette request is, too; knows no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huitong.base.tls import NO_CERTIFICATE, Certificate

#: Where a scope has what the caller has shown over TLS, here or at a proxy that is believed.
CERTIFICATE = "huitong.certificate"


def host_of(scope: Mapping[str, Any]) -> str:
    """The address of whoever asks; empty where the server was told of none."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def certificate_of(scope: Mapping[str, Any]) -> Certificate:
    """The certificate that whoever asks has shown, signed by an authority of ours."""
    shown = scope.get(CERTIFICATE, NO_CERTIFICATE)
    assert isinstance(shown, Certificate)
    return shown
