"""Asking the demo's server over HTTP, as systems and browsers do."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection

from huitong.base.setting_kinds import Address

_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(to: Address, method: str, path: str, body: str | None = None, **headers: str) -> Answer:
    """One request on a connection of its own; `_` in the name of a header stands for `-`."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(HTTPConnection(to.host, to.port, timeout=_TIMEOUT_S)) as connection:
        connection.request(method, path, body, told)
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
