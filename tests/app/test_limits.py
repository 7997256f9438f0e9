"""Limits of an address, of who signed in and of signing in; limits of connections; slow clients."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.archives import settings_for
from tests.serving import Server, serving

from huitong.app.limits import Limited, Limits
from huitong.app.zerocopy import Bounds


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Peer:
    """Asks the middleware alone."""

    def __init__(self, **limits: Any) -> None:
        none = {"requests_per_s": 0.0, "caller_requests_per_s": 0.0, "sign_ins_per_min": 0.0}
        self.clock = Clock()
        self.app = Limited(_nothing, Limits.of(settings_for(Path("/nowhere"), **{**none, **limits})), self.clock)

    def ask(self, path: str = "/", host: str = "10.0.0.1", method: str = "GET", **headers: str) -> httpx.Response:
        async def one() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=(host, 1234))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(one())

    def taken(self, count: int, **asked: Any) -> int:
        return sum(self.ask(**asked).status_code == 204 for _ in range(count))


def test_an_address_has_its_limit_and_another_has_its_own() -> None:
    peer = Peer(requests_per_s=2.0, requests_burst=5)
    assert (peer.taken(8), peer.taken(8, host="10.0.0.2")) == (5, 5)
    peer.clock.now_s = 1.0
    assert peer.taken(8) == 2
    assert peer.ask("/healthz").status_code == 204


def test_one_who_has_a_network_of_ipv6_has_one_limit() -> None:
    peer = Peer(requests_per_s=1.0, requests_burst=3)
    hosts = ["2001:db8:1:2::1", "2001:db8:1:2::2", "2001:db8:1:2:ffff::9", "2001:db8:1:2::7", "2001:db8:1:3::1"]
    assert [peer.ask(host=host).status_code for host in hosts] == [204, 204, 204, 429, 204]
    assert [peer.ask(host=host).status_code for host in ["10.0.0.9"] * 3 + ["::ffff:10.0.0.9"]] == [204] * 3 + [429]


def test_a_session_and_a_token_have_their_own_limit_wherever_they_ask_from() -> None:
    peer = Peer(caller_requests_per_s=1.0, caller_requests_burst=2)
    hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert [peer.ask(host=h, Authorization="Bearer a").status_code for h in hosts] == [204, 204, 429]
    cookies = ["huitong_session=x; a=b", "a=b; huitong_session=x", "c=d; huitong_session=x"]
    assert [peer.ask(Cookie=cookie).status_code for cookie in cookies] == [204, 204, 429]
    assert peer.taken(9, Cookie="huitong_session=y") == 2
    assert peer.taken(9) == 9


@pytest.mark.parametrize("path", ["/auth/token", "/sign-in", "/sign-in/totp"])
def test_signing_in_is_stricter(path: str) -> None:
    peer = Peer(sign_ins_per_min=6.0)
    assert peer.taken(20, path=path, method="POST") == 6
    assert peer.taken(20, path=path) == 20
    peer.clock.now_s = 10.0
    assert peer.taken(20, path=path, method="POST") == 1


def test_a_refusal_says_when_to_come_again_in_the_words_of_each_door() -> None:
    peer = Peer(requests_per_s=0.1, requests_burst=1)
    peer.ask()
    program, fhir = peer.ask("/dicom-web/studies"), peer.ask("/fhir/Patient?name=王")
    page = peer.ask(Accept="text/html")
    assert [each.status_code for each in (program, fhir, page)] == [429] * 3
    assert [each.headers["retry-after"] for each in (program, fhir, page)] == ["10"] * 3
    assert program.json()["type"] == "urn:huitong:problem:too-often"
    assert fhir.json()["issue"][0]["code"] == "throttled"
    assert page.headers["content-type"].startswith("text/html")
    assert "请求过多" in page.text


def test_limits_may_be_none() -> None:
    assert Peer().taken(50, path="/auth/token", method="POST", Authorization="x") == 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ["--max-http-connections-of-one", "12", "--http-header-s", "1", "--sign-ins-per-min", "5"]
    with serving(tmp_path_factory.mktemp("limits"), *flags) as started:
        yield started


def _gone(peer: socket.socket, within_s: float) -> bool:
    peer.settimeout(within_s)
    try:
        return peer.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_one_address_has_so_many_connections(server: Server) -> None:
    peers = [socket.create_connection(("127.0.0.1", server.http_port)) for _ in range(16)]
    try:
        time.sleep(0.2)
        gone = [_gone(peer, 0.05) for peer in peers]
        assert gone.count(True) == 4
    finally:
        for peer in peers:
            peer.close()
    time.sleep(0.2)
    assert httpx.get(f"{server.base}/healthz").status_code == 200


def test_a_header_that_comes_octet_by_octet_ends_the_connection(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port)) as peer:
        began_s = time.monotonic()
        try:
            for octet in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 100:
                peer.send(bytes([octet]))
                time.sleep(0.1)
        except OSError:
            pass
        assert 0.8 < time.monotonic() - began_s < 5


def test_a_second_header_on_a_connection_has_the_same_time(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port)) as peer:
        for _ in range(2):
            peer.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            peer.settimeout(5)
            said = b""
            while not said.endswith(b"}"):
                said += peer.recv(65536)
            time.sleep(1.5)  # between requests the connection stays
        peer.send(b"GET /healthz HT")
        assert _gone(peer, 4)


def test_guessing_at_the_token_endpoint_ends_soon(server: Server) -> None:
    form = {"grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion": "x"}
    statuses = [httpx.post(f"{server.base}/auth/token", data=form).status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    assert 'huitong_limited_total{limit="sign-in"} 2.0' in httpx.get(f"{server.base}/metrics").text


def test_connections_are_counted_by_address_but_not_those_of_a_proxy() -> None:
    bounds = Bounds(5, 2, proxies=(ip_network("10.0.0.0/24"),))
    assert [bounds.take(h) for h in ("a", "a", "a", "10.0.0.1", "10.0.0.1", "10.0.0.1", "b")] == [
        True, True, False, True, True, True, False,
    ]  # fmt: skip
    bounds.give_back("a")
    bounds.give_back("a")
    assert (bounds.take("b"), dict(bounds.open)) == (True, {"10.0.0.1": 3, "b": 1})


@pytest.mark.parametrize(("trusted", "status"), [("127.0.0.1/32", 401), ("10.0.0.0/8", 200)])
def test_only_a_trusted_proxy_says_who_asks(tmp_path: Path, trusted: str, status: int) -> None:
    flags = ["--readers", "127.0.0.0/8", "--trusted-proxies", trusted]
    with serving(tmp_path, *flags) as server:
        said = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
        answer = httpx.get(f"{server.base}/dicom-web/studies", headers=said)
        assert answer.status_code == status
        assert ("strict-transport-security" in answer.headers) is (status == 401)
