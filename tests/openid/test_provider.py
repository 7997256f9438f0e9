"""What passes between this server and a real provider: how we prove who we are, where claims come from, what fails."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from tests.archives import TestArchive, archive_in
from tests.certificates import Authority
from tests.openid.provider import SECRET, Provider, provider_for

from huitong.access.openid.actions import CameBack, OpenId
from huitong.access.openid.model import Reason, SignInFailed

pytestmark = pytest.mark.peer
BASE = "http://127.0.0.1:9"
MAPPING = """
[create]
name = "preferred_username"
institution = "org"
roles = "groups"
[create.institutions]
"TY-ORG" = "TAIYUAN"
[create.role]
"ward-doctors" = "doctor"
"""


@contextmanager
def _archive(folder: Path, provider: Provider, **settings: Any) -> Iterator[TestArchive]:
    mapping = folder / "mapping.toml"
    mapping.write_text(MAPPING, "utf-8")
    how = {"oidc_client_secret": SECRET, **settings}
    known = {"oidc_issuer": provider.issuer, "oidc_client_id": "huitong", "public_url": BASE, "oidc_mapping": mapping}
    with archive_in(folder / "data", **{**known, **how}) as archive:
        yield archive


def _agree(address: str, name: str = "li", verify: Any = True) -> dict[str, str]:
    """As a browser signs in at the provider: the query with which it is sent back."""
    with httpx.Client(verify=verify) as browser:
        answer = browser.get(address)
        for form in ({"prompt": "login", "login": name, "password": "any"}, {"prompt": "consent"}):
            while answer.is_redirect and not answer.headers["location"].startswith(BASE):
                answer = browser.get(httpx.URL(address).join(answer.headers["location"]))
            action = answer.text.partition('action="')[2].partition('"')[0]
            answer = browser.post(action, data=form)
        while not answer.headers["location"].startswith(BASE):
            answer = browser.get(httpx.URL(address).join(answer.headers["location"]))
        return dict(httpx.URL(answer.headers["location"]).params)


def _openid(archive: TestArchive) -> OpenId:
    assert archive.access.openid is not None
    return archive.access.openid


def _sign_in(archive: TestArchive) -> CameBack:
    openid = _openid(archive)
    address, cookie = openid.begin("/people")
    return openid.come_back(_agree(address), cookie, "127.0.0.1")


def _is_li(archive: TestArchive) -> None:
    came = _sign_in(archive)
    account = came.signed_in.session.account
    assert (account.name, account.institution, sorted(account.roles)) == ("li", "TAIYUAN", ["doctor"])
    assert came.target == "/people"
    assert archive.access.by_session(came.signed_in.secret, "127.0.0.1").asker.display == "li 医师"


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_proves_who_we_are(tmp_path: Path, method: str) -> None:
    more = {"client": {"token_endpoint_auth_method": method}, "methods": [method]}
    with provider_for(BASE, **more) as provider, _archive(tmp_path, provider) as archive:
        _is_li(archive)


@pytest.mark.parametrize("kind", ["RSA", "EC"])
def test_a_key_proves_who_we_are(tmp_path: Path, kind: str) -> None:
    key: Any = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "client.key"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    to_jwk = RSAAlgorithm.to_jwk if kind == "RSA" else ECAlgorithm.to_jwk
    public = json.loads(to_jwk(key.public_key()))
    public.pop("key_ops", None)
    client = {"token_endpoint_auth_method": "private_key_jwt", "client_secret": None, "jwks": {"keys": [public]}}
    with (
        provider_for(BASE, client=client) as provider,
        _archive(tmp_path, provider, oidc_client_secret="", oidc_client_key=file) as archive,
    ):
        _is_li(archive)


def test_claims_that_are_not_in_the_id_token_come_from_user_info(tmp_path: Path) -> None:
    with provider_for(BASE, in_id_token=False) as provider, _archive(tmp_path, provider) as archive:
        _is_li(archive)


def test_a_provider_speaks_tls_under_an_authority_of_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    (tmp_path / "known").mkdir()
    (tmp_path / "unknown").mkdir()
    with provider_for(BASE, tls=authority.certificate("provider")) as provider:
        with _archive(tmp_path / "known", provider, oidc_authorities=authority.file) as archive:
            address, cookie = _openid(archive).begin("/")
            said = _agree(address, verify=ssl.create_default_context(cafile=authority.file))
            assert _openid(archive).come_back(said, cookie, "127.0.0.1").signed_in.session.account.name == "li"
        with _archive(tmp_path / "unknown", provider) as archive, pytest.raises(SignInFailed) as failed:
            _openid(archive).begin("/")
        assert failed.value.reason is Reason.DOWN


def test_a_wrong_secret_signs_nobody_in(tmp_path: Path) -> None:
    with provider_for(BASE) as provider, _archive(tmp_path, provider, oidc_client_secret="wrong") as archive:
        with pytest.raises(SignInFailed, match="invalid_client") as failed:
            _sign_in(archive)
        assert failed.value.reason is Reason.UNPROVED
        assert failed.value.target == "/people"


def test_a_code_goes_with_the_verifier_of_its_browser(tmp_path: Path) -> None:
    """Injected: the code of another sign-in, under the state of one's own (RFC 9700 4.5)."""
    with provider_for(BASE) as provider, _archive(tmp_path, provider) as archive:
        openid = _openid(archive)
        stolen = _agree(openid.begin("/")[0])
        address, cookie = openid.begin("/")
        said = {**_agree(address, "liu"), "code": stolen["code"]}
        with pytest.raises(SignInFailed, match="invalid_grant"):
            openid.come_back(said, cookie, "127.0.0.1")


def test_what_the_provider_says_of_itself_must_be_of_the_issuer_that_is_set(tmp_path: Path) -> None:
    with provider_for(BASE) as provider:
        provider.issuer = f"http://127.0.0.1:{provider.port}"  # it calls itself localhost
        with _archive(tmp_path, provider) as archive, pytest.raises(SignInFailed) as failed:
            _openid(archive).begin("/")
        assert failed.value.reason is Reason.DOWN


def test_a_provider_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    with provider_for(BASE) as provider, _archive(tmp_path, provider) as archive:
        openid = _openid(archive)
        address, cookie = openid.begin("/")
        said = _agree(address)
        provider.stop()
        with pytest.raises(SignInFailed) as failed:
            openid.come_back(said, cookie, "127.0.0.1")
        assert failed.value.reason is Reason.DOWN


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"error": "access_denied"}, Reason.CANCELLED),
        ({"error": "x\ny"}, Reason.CANCELLED),
        ({}, Reason.UNPROVED),
        ({"code": "x", "iss": "http://elsewhere.example"}, Reason.UNPROVED),
        ({"code": "x", "iss": None}, Reason.UNPROVED),  # this provider always says it (RFC 9207)
        ({"code": "made up"}, Reason.UNPROVED),
    ],
)
def test_answers_that_are_none(tmp_path: Path, said: dict[str, Any], reason: Reason) -> None:
    with provider_for(BASE) as provider, _archive(tmp_path, provider) as archive:
        openid = _openid(archive)
        address, cookie = openid.begin("/")
        whole = {"iss": provider.issuer, "state": httpx.URL(address).params["state"], **said}
        with pytest.raises(SignInFailed) as failed:
            openid.come_back({k: v for k, v in whole.items() if v is not None}, cookie, "127.0.0.1")
        assert failed.value.reason is reason
        assert "\n" not in failed.value.detail
