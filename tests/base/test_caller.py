from __future__ import annotations

import pytest
from starlette.requests import Request

from huitong.base.caller import host_of


@pytest.mark.parametrize(
    ("client", "host"), [(("192.0.2.7", 40000), "192.0.2.7"), (("2001:db8::7", 1), "2001:db8::7"), (None, "")]
)
def test_the_address_is_read_from_a_scope_and_from_a_request(client: object, host: str) -> None:
    scope = {"type": "http", "client": client, "headers": []}
    assert host_of(scope) == host_of(Request(scope)) == host


def test_a_server_that_says_nothing_of_its_callers_is_one() -> None:
    assert host_of({"type": "http"}) == ""
