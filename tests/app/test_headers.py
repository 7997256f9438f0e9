"""What every answer says to a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.serving import Server, serving

EVERYWHERE = (
    "/", "/about", "/healthz", "/readyz", "/metrics", "/people", "/nothing", "/static/nothing.js", "/viewer/",
    "/dicom-web/studies", "/dicom-web/nothing", "/dicom-web/studies/1.2.3/metadata", "/fhir/metadata",
    "/fhir/Patient/x",
    "/fhir/Nothing", "/card/figures", "/.well-known/smart-configuration", "/auth/token", "/favicon.svg",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("headers")) as started:
        yield started


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_an_answer_has_every_header(server: Server, path: str, accept: str) -> None:
    answer = httpx.get(f"{server.base}{path}", headers={"Accept": accept, "Origin": "https://evil.example"})
    said = answer.headers
    assert said["x-content-type-options"] == "nosniff"
    assert said["referrer-policy"] == "same-origin"
    assert "geolocation=()" in said["permissions-policy"]
    assert said["cross-origin-resource-policy"] == "same-origin"
    assert "strict-transport-security" not in said  # that is for TLS alone
    assert not [name for name in said if name.startswith("access-control-")]
    assert "server" not in said
    loaded = ("text/javascript", "image/", "text/css")
    if not said.get("content-type", "").startswith(loaded):
        assert "frame-ancestors" in said["content-security-policy"]
    if "html" not in said.get("content-type", "") and not said.get("content-type", "").startswith(loaded):
        assert "default-src 'none'" in said["content-security-policy"]


def test_nobody_elses_page_is_let_in(server: Server) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for path in ("/dicom-web/studies", "/fhir/Patient/$match", "/auth/token", "/"):
        answer = httpx.options(f"{server.base}{path}", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_a_304_leaves_the_policy_of_a_page_alone(server: Server) -> None:
    page = httpx.get(f"{server.base}/viewer/", follow_redirects=True)
    tag = page.headers.get("etag")
    if tag:
        again = httpx.get(str(page.url), headers={"If-None-Match": tag})
        assert "default-src 'none'" not in again.headers.get("content-security-policy", "")


def test_cookies_are_not_for_scripts_or_other_sites(server: Server) -> None:
    answer = httpx.get(f"{server.base}/language/en-US")
    for cookie in answer.headers.get_list("set-cookie"):
        assert "samesite=lax" in cookie.lower() or "samesite=strict" in cookie.lower()
