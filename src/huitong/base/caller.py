"""Who is at the other end of an HTTP request, before anybody has asked who they are.

Reads ASGI's connection scope, which a Starlette request is, too; knows no server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def host_of(scope: Mapping[str, Any]) -> str:
    """The address of whoever asks; empty where the server was told of none."""
    client = scope.get("client")
    return str(client[0]) if client else ""
