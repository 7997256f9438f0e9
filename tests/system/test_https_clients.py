"""Certificates of systems over HTTPS and behind a proxy: whose it is may send and read, all others are refused."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from tests.access.signing import assertion, ec_key, jwks
from tests.certificates import Authority, Certificate
from tests.objects import part10
from tests.serving import Server, huitong, serving

HEADINGS = "机构代码,接入点代码,接入方式,AE标题,网段,证书指纹"
NOBODY = ("--readers", "")


@dataclass
class Place:
    server: Server
    authority: Authority
    certificates: dict[str, Certificate]

    def client(self, name: str = "") -> httpx.Client:
        trusting = ssl.create_default_context(cafile=self.authority.file)
        if name:
            trusting.load_cert_chain(self.certificates[name].file, self.certificates[name].key)
        return httpx.Client(base_url=self.server.base, verify=trusting)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Authority, dict[str, Certificate]]:
    folder = tmp_path_factory.mktemp("https")
    authority = Authority(folder, "authority")
    found = {
        name: authority.certificate(name) for name in ("server", "taiyuan", "yuncheng", "far", "unlisted", "taken")
    }
    found["stranger"] = Authority(folder, "elsewhere").certificate("stranger")
    found["late"] = authority.certificate("late", days=-1)
    rows = [f"TAIYUAN,{n},DICOM（DIMSE）,,,{found[n].sha256}" for n in ("taiyuan", "late", "taken", "stranger")]
    rows += [
        f"YUNCHENG,{n},DICOM（DIMSE）,,{at},{found[n].sha256}" for n, at in (("yuncheng", ""), ("far", "192.0.2.0/24"))
    ]
    (folder / "endpoints.csv").write_text("\n".join([HEADINGS, *rows]) + "\n", "utf-8")
    (folder / "institutions.csv").write_text(
        "机构代码,机构名称\nTAIYUAN,太原市中心医院\nYUNCHENG,运城市人民医院\n", "utf-8"
    )
    for file in ("institutions", "endpoints"):
        loaded = huitong("directory", "load", str(folder / f"{file}.csv"), "--data", str(folder / "data"))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    _revoke(authority, found["taken"], folder / "revoked.crl")
    return folder, authority, found


def _revoke(authority: Authority, taken: Certificate, file: Path) -> None:
    own = x509.load_pem_x509_certificate(authority.file.read_bytes())
    gone = x509.load_pem_x509_certificate(taken.file.read_bytes())
    start, end = own.not_valid_before_utc, own.not_valid_after_utc
    row = x509.RevokedCertificateBuilder().serial_number(gone.serial_number).revocation_date(start).build()
    made = x509.CertificateRevocationListBuilder().issuer_name(own.subject).last_update(start).next_update(end)
    signed = made.add_revoked_certificate(row).sign(authority._key, SHA256())
    file.write_bytes(signed.public_bytes(Encoding.PEM))


@pytest.fixture(scope="module")
def place(made: tuple[Path, Authority, dict[str, Certificate]]) -> Iterator[Place]:
    folder, authority, certificates = made
    own = certificates["server"]
    flags = ("--http-certificate", str(own.file), "--http-key", str(own.key), "--http-clients", str(authority.file),
             "--http-revoked", str(folder / "revoked.crl"))  # fmt: skip
    with serving(folder / "data", *flags, *NOBODY) as server:
        yield Place(server, authority, certificates)


def stow(client: httpx.Client, **headers: str) -> httpx.Response:
    said = {"Content-Type": "application/dicom", "Accept": "application/dicom+json", **headers}
    return client.post("/dicom-web/studies", content=part10(), headers=said)


def test_a_hospital_sends_searches_and_reads_by_its_certificate_alone(place: Place) -> None:
    with place.client("taiyuan") as client:
        sent = stow(client)
        assert sent.status_code == 200, sent.text
        found = client.get("/dicom-web/studies")
        assert found.status_code == 200
        uid = found.json()[0]["0020000D"]["Value"][0]
        assert client.get(f"/dicom-web/studies/{uid}").status_code == 200
        assert client.get("/fhir/Organization").json()["total"] >= 2
        assert stow(client, Authorization="Bearer demo-TAIYUAN").status_code == 200


def test_another_hospital_sees_none_of_it_and_sends_nothing_in_its_name(place: Place) -> None:
    with place.client("taiyuan") as client:
        assert stow(client).status_code == 200
    with place.client("yuncheng") as client:
        assert client.get("/dicom-web/studies").json() == []
        assert client.post("/dicom-web/TAIYUAN/studies", content=b"").status_code in (403, 404)
        assert stow(client, Authorization="Bearer demo-TAIYUAN").status_code == 403
        assert client.get("/dicom-web/studies", headers={"Authorization": "Bearer demo-TAIYUAN"}).status_code == 403


@pytest.mark.parametrize("name", ["unlisted", "far"])
def test_a_certificate_of_nobody_or_from_elsewhere_opens_nothing(place: Place, name: str) -> None:
    with place.client(name) as client:
        assert stow(client).status_code == 403
        for path in ("/dicom-web/studies", "/fhir/Patient?identifier=urn:x|1"):
            assert client.get(path).status_code == 403
        # A token of its own is as good as without: nothing is listed for another.
        with_token = client.get("/dicom-web/studies", headers={"Authorization": "Bearer demo-YUNCHENG"})
        assert with_token.status_code == 200


@pytest.mark.parametrize("name", ["stranger", "late", "taken"])
def test_what_the_authority_does_not_stand_for_gets_no_connection(place: Place, name: str) -> None:
    with place.client(name) as client, pytest.raises(httpx.TransportError):
        client.get("/healthz")


def test_whoever_shows_none_is_served_as_before(place: Place) -> None:
    with place.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/dicom-web/studies").status_code == 401
        assert stow(client).status_code == 401
        assert stow(client, Authorization="Bearer demo-TAIYUAN").status_code == 200
        # Nor is the header believed that only a proxy may write.
        assert client.get("/dicom-web/studies", headers={"Client-Cert": written(place.certificates)}).status_code == 401


def test_an_access_token_is_good_with_the_certificate_it_was_asked_for_with(place: Place, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(jwks(ec_key()))
    whose = ("--institution", "TAIYUAN", "--scope", "system/ImagingStudy.rs", "--jwks", str(keys))
    data = str(place.authority.file.parent / "data")
    added = huitong("client", "add", "ris", *whose, "--data", data)
    assert added.returncode == 0, added.stderr
    with place.client("taiyuan") as client:
        said = client.get("/.well-known/smart-configuration").json()
        assert said["tls_client_certificate_bound_access_tokens"] is True
        form = {
            "grant_type": "client_credentials",
            "scope": "system/ImagingStudy.rs",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion(ec_key(), "ris", said["token_endpoint"]),
        }
        token = {"Authorization": f"Bearer {client.post('/auth/token', data=form).json()['access_token']}"}
        assert client.get("/dicom-web/studies", headers=token).status_code == 200
    for name in ("", "unlisted"):
        with place.client(name) as client:
            refused = client.get("/dicom-web/studies", headers=token)
            assert refused.status_code == 401, name
            assert refused.headers["www-authenticate"].startswith("Bearer")


def test_another_sites_page_gets_nothing_by_the_certificate_of_a_browser(place: Place) -> None:
    with place.client("taiyuan") as client:
        for site, status in (("cross-site", 401), ("same-site", 401), ("same-origin", 200), ("none", 200)):
            assert client.get("/dicom-web/studies", headers={"Sec-Fetch-Site": site}).status_code == status


def written(certificates: dict[str, Certificate], name: str = "taiyuan") -> str:
    """As RFC 9440 has it."""
    der = ssl.PEM_cert_to_DER_cert(certificates[name].file.read_text())
    return f":{base64.b64encode(der).decode()}:"


def test_a_proxy_that_is_named_says_who_it_was(made: tuple[Path, Authority, dict[str, Certificate]]) -> None:
    folder, _, certificates = made
    by_nginx = quote(certificates["taiyuan"].file.read_text(), safe="")
    proxies = ("--certificate-proxies", "127.0.0.0/8", "--trusted-proxies", "127.0.0.0/8")
    with serving(folder / "data", *NOBODY, *proxies) as server, httpx.Client(base_url=server.base) as client:
        from_afar = {"X-Forwarded-For": "198.51.100.9"}
        for said, status in (
            (written(certificates), 200), (by_nginx, 200), (written(certificates, "unlisted"), 403),
            ("", 401), (":!:", 401), (":AAAA:", 403), ("nonsense", 401),
        ):  # fmt: skip
            answer = client.get("/dicom-web/studies", headers={"Client-Cert": said, **from_afar})
            assert answer.status_code == status, said
        two = [("Client-Cert", written(certificates)), ("Client-Cert", written(certificates, "yuncheng"))]
        assert client.get("/dicom-web/studies", headers=two).status_code == 401


def test_a_proxy_that_is_trusted_with_addresses_alone_is_not_believed(
    made: tuple[Path, Authority, dict[str, Certificate]],
) -> None:
    folder, _, certificates = made
    with serving(folder / "data", *NOBODY, "--trusted-proxies", "127.0.0.0/8") as server:
        said = {"Client-Cert": written(certificates)}
        assert httpx.get(f"{server.base}/dicom-web/studies", headers=said).status_code == 401
