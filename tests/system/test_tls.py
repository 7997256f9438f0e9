"""TLS at every door of a server as an operator starts it, spoken by dcmtk, pynetdicom, openssl and Python's own."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pynetdicom
import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from tests.certificates import Authority, Certificate
from tests.objects import part10
from tests.people.doors.mllp_sink import Peer, adt
from tests.serving import Server, huitong, serving

HEADINGS = "机构代码,接入点代码,接入方式,AE标题,网段,HL7应用,HL7机构,证书指纹"
dcmtk = pytest.mark.skipif(shutil.which("storescu") is None, reason="storescu (dcmtk) is not installed")
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@dataclass
class Place:
    server: Server
    folder: Path
    authority: Authority
    certificates: dict[str, Certificate]
    tls_port: int

    @property
    def image(self) -> Path:
        file = self.folder / "image.dcm"
        file.write_bytes(part10())
        return file

    def storescu(self, aet: str, certificate: Certificate | None, *, port: int = 0, tls: bool = True) -> int:
        shown = ["--anonymous-tls", "+cf", str(self.authority.file)]
        if certificate is not None:
            shown = ["+tls", str(certificate.key), str(certificate.file), "+cf", str(self.authority.file)]
        to = ["127.0.0.1", str(port or self.tls_port), str(self.image)]
        command = ["storescu", *(shown if tls else []), "-aet", aet, "-aec", "HUITONG", *to]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Two hospitals whose endpoints list certificates; that of RUNNER may call from anywhere."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder, "authority")
    names = ("server", "taiyuan", "yuncheng", "unlisted")
    made = {name: authority.certificate(name) for name in names}
    made["stranger"] = Authority(folder, "elsewhere").certificate("stranger")
    made["late"] = authority.certificate("late", days=-1)
    (folder / "endpoints.csv").write_text(
        f"{HEADINGS}\n"
        f"TAIYUAN,TLS,DICOM（DIMSE）,TY_TLS,127.0.0.0/8,,,{made['taiyuan'].sha256} {made['late'].sha256}\n"
        f"YUNCHENG,TLS,DICOM（DIMSE）,YC_TLS,,,,{made['yuncheng'].sha256}\n"
        f"TAIYUAN,ADT,HL7 v2（MLLP）,,127.0.0.0/8,TY_TLS,TY_SAFE,{made['taiyuan'].sha256}\n",
        "utf-8",
    )
    (folder / "institutions.csv").write_text(
        "机构代码,机构名称\nTAIYUAN,太原市中心医院\nYUNCHENG,运城市人民医院\n", "utf-8"
    )
    for file in ("institutions", "endpoints"):
        loaded = huitong("directory", "load", str(folder / f"{file}.csv"), "--data", str(folder / "data"))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    own = (str(made["server"].file), str(made["server"].key))
    flags = [
        "--dimse-tls", "0", "--dimse-certificate", own[0], "--dimse-key", own[1],
        "--dimse-clients", str(authority.file),
        "--mllp", "0", "--mllp-certificate", own[0], "--mllp-key", own[1], "--mllp-clients", str(authority.file),
        "--http-certificate", own[0], "--http-key", own[1],
    ]  # fmt: skip
    with serving(folder / "data", *flags) as server:
        yield Place(server, folder, authority, made, server.dimse_tls_port)


def test_the_directory_took_the_endpoints(place: Place) -> None:
    shown = httpx.get(f"{place.server.base}/fhir/Endpoint", verify=trusting(place)).json()
    assert shown["total"] >= 3


def trusting(place: Place, certificate: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=place.authority.file)
    if certificate is not None:
        context.load_cert_chain(certificate.file, certificate.key)
    return context


@dcmtk
@pytest.mark.peer
@pytest.mark.parametrize(
    ("aet", "shown", "taken"),
    [
        ("TY_TLS", "taiyuan", True),
        ("YC_TLS", "yuncheng", True),  # known by its certificate alone, from any address
        ("TAIYUAN", "unlisted", True),  # an AE title without certificates: address and authority
        ("TAIYUAN", "taiyuan", True),
        ("TY_TLS", "yuncheng", False),  # another hospital's certificate
        ("YC_TLS", "taiyuan", False),
        ("TAIYUAN", "yuncheng", False),  # also where the AE title lists none
        ("TY_TLS", "unlisted", False),
        ("TY_TLS", "stranger", False),  # of an authority that is not ours
        ("TY_TLS", "late", False),
        ("NOBODY", "taiyuan", False),
    ],
)
def test_ae_title_and_certificate_have_to_agree(place: Place, aet: str, shown: str, *, taken: bool) -> None:
    assert (place.storescu(aet, place.certificates[shown]) == 0) is taken


@dcmtk
@pytest.mark.peer
def test_an_ae_title_with_certificates_is_not_taken_without_one(place: Place) -> None:
    assert place.storescu("TY_TLS", None) != 0
    assert place.storescu("TY_TLS", None, port=place.server.dimse_port, tls=False) != 0
    assert place.storescu("TAIYUAN", None, port=place.server.dimse_port, tls=False) == 0
    assert place.storescu("TAIYUAN", None, tls=False) != 0  # in the clear to the port of TLS


def test_pynetdicom_speaks_it(place: Place) -> None:
    peer = pynetdicom.AE("TY_TLS")
    peer.add_requested_context(Verification)
    for shown, good in (("taiyuan", True), ("yuncheng", False)):
        context = trusting(place, place.certificates[shown])
        association = peer.associate("127.0.0.1", place.tls_port, ae_title="HUITONG", tls_args=(context, "localhost"))
        assert association.is_established is good
        if good:
            assert association.send_c_echo().Status == 0
            association.release()


def _s_client(place: Place, port: int, *options: str) -> str:
    shown = place.certificates["taiyuan"]
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-cert", str(shown.file), "-key", str(shown.key)]
    done = subprocess.run([*command, *options], input=b"", capture_output=True, timeout=30, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


@openssl
@pytest.mark.peer
@pytest.mark.parametrize("door", ["http", "dimse", "mllp"])
@pytest.mark.parametrize(
    ("options", "spoken"),
    [
        (("-tls1_3",), "TLSv1.3"),
        (("-tls1_2",), "TLSv1.2"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "ECDHE-ECDSA-AES128-GCM-SHA256"),
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), ""),
        (("-tls1", "-cipher", "ALL:@SECLEVEL=0"), ""),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"), ""),  # CBC
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0"), ""),
        (("-tls1_2", "-cipher", "ALL:!ECDHE:!aNULL:@SECLEVEL=0"), ""),  # without forward secrecy by ECDHE
    ],
)
def test_only_todays_versions_and_suites_are_spoken(
    place: Place, door: str, options: tuple[str, ...], spoken: str
) -> None:
    port = {"http": place.server.http_port, "dimse": place.tls_port, "mllp": place.server.mllp_port}[door]
    said = _s_client(place, port, *options)
    if spoken:
        assert spoken in said
        assert "Cipher is (NONE)" not in said
    else:
        assert "Cipher is (NONE)" in said


async def _said(place: Place, certificate: str, *, facility: str = "TAIYUAN") -> str:
    peer = await Peer.connect(place.server.mllp_port, ssl=trusting(place, place.certificates[certificate]))
    try:
        await peer.send(adt(1, facility=facility).replace(b"|HIS|", b"|TY_TLS|"))
        return (await peer.said())[0]
    finally:
        await peer.close()


async def test_messages_are_taken_from_whom_the_certificate_is(place: Place) -> None:
    assert await _said(place, "taiyuan", facility="TY_SAFE") == "AA"
    assert await _said(place, "unlisted") == "AA"  # by code and address: that endpoint lists none
    for shown, facility in (("unlisted", "TY_SAFE"), ("yuncheng", "TY_SAFE"), ("yuncheng", "TAIYUAN")):
        assert await _said(place, shown, facility=facility) in ("AE", "AR")
    with pytest.raises((ssl.SSLError, OSError, AssertionError)):
        await _said(place, "stranger")


def test_pages_are_served_over_https_and_say_so(place: Place) -> None:
    answer = httpx.get(f"{place.server.base}/healthz", verify=trusting(place))
    assert place.server.base.startswith("https://")
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    url = httpx.get(f"{place.server.base}/.well-known/smart-configuration", verify=trusting(place)).json()
    assert url["token_endpoint"] == f"{place.server.base}/auth/token"


def test_a_sender_that_says_nothing_of_tls_is_let_go(place: Place) -> None:
    """A handshake that does not come ends the connection; one that is not TLS at once."""

    async def clear() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.tls_port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.read(), 15)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    assert b"HTTP" not in asyncio.run(clear())


def _serial(place: Place) -> int:
    pem = ssl.get_server_certificate(("127.0.0.1", place.server.http_port))
    from cryptography import x509

    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def test_certificates_are_read_anew_without_a_restart_and_a_bad_file_changes_nothing(place: Place) -> None:
    own = place.certificates["server"]
    before, good = _serial(place), own.file.read_bytes()
    own.file.write_bytes(b"nonsense")
    time.sleep(1.1)
    assert _serial(place) == before
    new = place.authority.certificate("server")  # writes over both files
    assert new.file == own.file
    assert new.file.read_bytes() != good
    deadline = time.monotonic() + 10
    while _serial(place) == before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _serial(place) != before
    assert httpx.get(f"{place.server.base}/healthz", verify=trusting(place)).status_code == 200
