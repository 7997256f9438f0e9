"""SMART Backend Services against a server as an operator starts it, by clients that we did not write."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import import_key
from tests.access.signing import Key, assertion, ec_key, jwks, rsa_key
from tests.objects import part10
from tests.serving import Server, huitong, serving


def _registered(folder: Path, client_id: str, scope: str, *more: str, institution: str = "TAIYUAN") -> None:
    whose = ("--institution", institution, "--scope", scope, "--data", str(folder), "--demo")
    done = huitong("client", "add", client_id, *whose, *more)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """A server, which reads nobody by address, with a client that came after its start."""
    folder = tmp_path_factory.mktemp("smart")
    keys = folder / "jwks.json"
    keys.write_text(jwks(rsa_key(), ec_key()))
    with serving(folder / "data", "--readers", "10.0.0.0/8") as server:
        scope = "system/Organization.rs system/ImagingStudy.crs"
        _registered(folder / "data", "https://ris.example/client", scope, "--jwks", str(keys))
        yield server, folder


CLIENT = "https://ris.example/client"


def _configuration(server: Server) -> Any:
    return httpx.get(f"{server.base}/fhir/.well-known/smart-configuration").raise_for_status().json()


class Authlib(OAuth2Session):
    """Authlib's OAuth 2.0 client with `private_key_jwt`, as its documentation has it."""

    def __init__(self, server: Server, key: Key, scope: str, token_url: str = "") -> None:
        url = token_url or _configuration(server)["token_endpoint"]
        pem = key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        super().__init__(
            CLIENT,
            import_key(pem, "RSA" if key.algorithm.startswith("RS") else "EC"),
            scope=scope,
            token_endpoint=url,
            token_endpoint_auth_method=PrivateKeyJWT(
                url, headers={"kid": key.kid}, alg=key.algorithm, claims={"exp": int(time.time()) + 240}
            ),
            grant_type="client_credentials",
        )


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
def test_a_client_of_another_project_signs_in_and_reads(place: tuple[Server, Path], key: Key) -> None:
    server, _ = place
    with Authlib(server, key, "system/Organization.rs system/Patient.rs") as client:
        token = client.fetch_token()
        assert (token["scope"], token["expires_in"], token["token_type"]) == ("system/Organization.rs", 300, "bearer")
        assert client.get(f"{server.base}/fhir/Organization").json()["resourceType"] == "Bundle"
        refused = client.get(f"{server.base}/fhir/Patient")
        assert refused.status_code == 403
        assert refused.json()["issue"][0]["code"] == "forbidden"
        assert client.get(f"{server.dicomweb}/studies").status_code == 403
        assert client.get(f"{server.base}/").status_code == 403
        assert client.get(f"{server.base}/card/figures").status_code == 403
    assert httpx.get(f"{server.base}/fhir/Organization").status_code == 401


def test_a_pacs_sends_and_finds_its_study_over_dicomweb(place: tuple[Server, Path]) -> None:
    server, _ = place
    with Authlib(server, ec_key(), "system/ImagingStudy.crs") as client:
        client.fetch_token()
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + part10() + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        sent = client.post(f"{server.dicomweb}/studies", data=body, headers={"Content-Type": kind})
        assert sent.status_code == 200, sent.text
        found = client.get(f"{server.dicomweb}/studies").json()
        assert len(found) == 1
    with Authlib(server, ec_key(), "system/ImagingStudy.rs") as client:
        client.fetch_token()
        assert client.post(f"{server.dicomweb}/studies", data=body, headers={"Content-Type": kind}).status_code == 403


def _post(server: Server, **form: str) -> httpx.Response:
    said = {
        "grant_type": "client_credentials",
        "scope": "system/*.rs",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        **form,
    }
    return httpx.post(f"{server.base}/auth/token", data={name: value for name, value in said.items() if value})


def test_errors_are_those_of_oauth_and_tell_nothing(place: tuple[Server, Path]) -> None:
    server, _ = place
    url = _configuration(server)["token_endpoint"]
    good = assertion(rsa_key(), CLIENT, url)
    assert _post(server, client_assertion=good).json()["token_type"] == "bearer"
    replayed = _post(server, client_assertion=good)
    unknown = _post(server, client_assertion=assertion(rsa_key(), "nobody", url))
    wrong = _post(server, client_assertion=assertion(Key("rsa-1", "RS384", rsa_key("x").private), CLIENT, url))
    assert {each.status_code for each in (replayed, unknown, wrong)} == {401}
    assert len({each.text for each in (replayed, unknown, wrong)}) == 1
    assert replayed.headers["cache-control"] == "no-store"
    for form, error in (
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"client_assertion": ""}, "invalid_client"),
        ({"client_assertion_type": "x"}, "invalid_client"),
        ({"scope": "system/Patient.rs"}, "invalid_scope"),
    ):
        said = _post(server, **{"client_assertion": assertion(rsa_key(), CLIENT, url), **form})
        assert (said.json()["error"], said.status_code) == (error, 401 if error == "invalid_client" else 400)
    for answer in (
        httpx.post(f"{server.base}/auth/token", json={"grant_type": "client_credentials"}),
        httpx.post(
            f"{server.base}/auth/token",
            content=b"a=1&a=2",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        httpx.post(f"{server.base}/auth/token", data={"scope": "x" * 70_000}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert httpx.get(f"{server.base}/auth/token").status_code == 405


def test_an_assertion_for_another_server_is_not_made_good_by_naming_that_server(place: tuple[Server, Path]) -> None:
    server, _ = place
    said = assertion(rsa_key(), CLIENT, "http://elsewhere.example/auth/token")
    form = {
        "grant_type": "client_credentials", "scope": "system/*.rs", "client_assertion": said,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }  # fmt: skip
    answer = httpx.post(f"{server.base}/auth/token", data=form, headers={"Host": "elsewhere.example"})
    assert answer.status_code == 401


def test_of_many_who_show_one_assertion_at_once_one_gets_a_token(place: tuple[Server, Path]) -> None:
    server, _ = place
    good = assertion(ec_key(), CLIENT, _configuration(server)["token_endpoint"])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _post(server, client_assertion=good).status_code, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_what_the_server_says_of_itself(place: tuple[Server, Path]) -> None:
    server, _ = place
    said = _configuration(server)
    assert said == httpx.get(f"{server.base}/.well-known/smart-configuration").json()
    assert said["token_endpoint"] == f"{server.base}/auth/token"
    assert said["token_endpoint_auth_signing_alg_values_supported"] == ["RS384", "ES384"]
    assert "client-confidential-asymmetric" in said["capabilities"]
    assert said["tls_client_certificate_bound_access_tokens"] is False
    security = httpx.get(f"{server.base}/fhir/metadata").json()["rest"][0]["security"]
    assert security["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"


@contextmanager
def _keys_at_an_address(said: list[Key]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(jwks(*said).encode())

        def log_message(self, *_: Any) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{web.server_port}/jwks"
    finally:
        web.shutdown()
        web.server_close()


def test_a_client_rotates_its_keys_at_its_own_address(place: tuple[Server, Path]) -> None:
    server, folder = place
    keys = [rsa_key("old")]
    url = _configuration(server)["token_endpoint"]
    with _keys_at_an_address(keys) as address:
        _registered(folder / "data", "moving", "system/Organization.rs", "--jwks-url", address)
        assert _post(server, client_assertion=assertion(rsa_key("old"), "moving", url)).status_code == 200
        keys[:] = [rsa_key("new")]
        assert _post(server, client_assertion=assertion(rsa_key("new"), "moving", url)).status_code == 200
        assert _post(server, client_assertion=assertion(rsa_key("old"), "moving", url)).status_code == 401


def test_the_operator_lists_and_disables_clients(place: tuple[Server, Path]) -> None:
    server, folder = place
    keys, data = folder / "jwks.json", str(folder / "data")
    _registered(folder / "data", "short-lived", "system/Organization.rs", "--jwks", str(keys))
    listed = huitong("client", "list", "--data", data, "--demo").stdout
    assert "short-lived" in listed
    url = _configuration(server)["token_endpoint"]
    assert _post(server, client_assertion=assertion(rsa_key(), "short-lived", url)).status_code == 200
    assert huitong("client", "disable", "short-lived", "--data", data, "--demo").returncode == 0
    assert _post(server, client_assertion=assertion(rsa_key(), "short-lived", url)).status_code == 401
    assert huitong("client", "enable", "short-lived", "--data", data, "--demo").returncode == 0
    assert huitong("client", "keys", "short-lived", "--jwks", str(keys), "--data", data, "--demo").returncode == 0
    assert huitong("client", "disable", "nobody", "--data", data, "--demo").returncode == 2
    assert (
        huitong(
            "client",
            "add",
            "x",
            "--institution",
            "NOBODY",
            "--scope",
            "system/*.rs",
            "--jwks",
            str(keys),
            "--data",
            data,
            "--demo",
        ).returncode
        == 2
    )
