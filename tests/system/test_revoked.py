"""Certificates by name, as openssl makes them: renewed ones go on, revoked ones do not, and dcmtk is told so."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.certificates import Authority, Certificate
from tests.objects import part10
from tests.serving import Server, huitong, serving

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(
        shutil.which("storescu") is None or shutil.which("openssl") is None, reason="dcmtk or openssl is not installed"
    ),
]
HEADINGS = "机构代码,接入点代码,接入方式,AE标题,网段,证书主体"
CONFIGURATION = """
[ca]
default_ca = ours
[ours]
dir = .
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
unique_subject = no
copy_extensions = copy
policy = any
[any]
commonName = supplied
organizationName = optional
countryName = optional
"""


class OpenSsl:
    """An authority as its keeper has it: the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "ca.cnf").write_text(CONFIGURATION)
        (folder / "index.txt").touch()
        for name in ("serial", "crlnumber"):
            (folder / name).write_text("1000\n")
        self.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
                 "-subj", "/CN=hospitals", "-days", "30")  # fmt: skip
        self.list()

    def run(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def certificate(self, name: str, subject: str, dns: str = "") -> tuple[Path, Path]:
        more = ["-addext", f"subjectAltName=DNS:{dns}"] if dns else []
        self.run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                 "-utf8", "-subj", subject, *more)  # fmt: skip
        self.run(
            "ca",
            "-batch",
            "-preserveDN",
            "-config",
            "ca.cnf",
            "-utf8",
            "-in",
            f"{name}.csr",
            "-out",
            f"{name}.pem",
            "-notext",
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def revoke(self, name: str) -> None:
        self.run("ca", "-config", "ca.cnf", "-revoke", f"{name}.pem")
        self.list()

    def list(self, *times: str) -> None:
        self.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "new.crl", *times)
        (self.folder / "new.crl").replace(self.folder / "revoked.crl")


@dataclass
class Place:
    server: Server
    authority: OpenSsl
    own: Authority
    own_certificate: Certificate
    image: Path

    def sent(self, aet: str, shown: tuple[Path, Path], program: str = "storescu") -> bool:
        certificate, key = shown
        command = [program, "+tls", str(key), str(certificate), "+cf", str(self.own.file), "-aet", aet,
                   "-aec", "HUITONG", "127.0.0.1", str(self.server.dimse_tls_port)]  # fmt: skip
        command += [str(self.image)] if program == "storescu" else []
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("revoked")
    (folder / "ca").mkdir()
    authority, own = OpenSsl(folder / "ca"), Authority(folder, "own")
    certificate = own.certificate("server")
    (folder / "institutions.csv").write_text(
        "机构代码,机构名称\nTAIYUAN,太原市中心医院\nYUNCHENG,运城市人民医院\n", "utf-8"
    )
    (folder / "endpoints.csv").write_text(
        f"{HEADINGS}\n"
        "TAIYUAN,TLS,DICOM（DIMSE）,TY_TLS,,pacs.taiyuan.example\n"
        'YUNCHENG,TLS,DICOM（DIMSE）,YC_TLS,,"CN=pacs,O=运城市人民医院,C=CN"\n',
        "utf-8",
    )
    for file in ("institutions", "endpoints"):
        loaded = huitong("directory", "load", str(folder / f"{file}.csv"), "--data", str(folder / "data"))
        assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    (folder / "image.dcm").write_bytes(part10())
    flags = ["--dimse-tls", "0", "--dimse-certificate", str(certificate.file), "--dimse-key", str(certificate.key),
             "--dimse-clients", str(authority.folder / "ca.pem"),
             "--dimse-revoked", str(authority.folder / "revoked.crl")]  # fmt: skip
    with serving(folder / "data", *flags) as server:
        yield Place(server, authority, own, certificate, folder / "image.dcm")


TAIYUAN = ("/C=CN/O=Taiyuan/CN=whatever", "pacs.taiyuan.example")


def test_a_renewed_certificate_goes_on_and_a_revoked_one_does_not(place: Place) -> None:
    first = place.authority.certificate("taiyuan-1", *TAIYUAN)
    assert place.sent("TY_TLS", first)
    assert place.sent("TY_TLS", first, "echoscu")
    renewed = place.authority.certificate("taiyuan-2", *TAIYUAN)
    assert place.sent("TY_TLS", renewed)  # nobody has changed the directory
    place.authority.revoke("taiyuan-1")
    time.sleep(1.2)  # files are looked at once a second
    assert not place.sent("TY_TLS", first)
    assert not place.sent("TY_TLS", first, "echoscu")
    assert place.sent("TY_TLS", renewed)


def test_a_subject_is_a_name_too_and_opens_nobody_elses(place: Place) -> None:
    yuncheng = place.authority.certificate("yuncheng", "/C=CN/O=运城市人民医院/CN=pacs")
    assert place.sent("YC_TLS", yuncheng)
    assert not place.sent("TY_TLS", yuncheng)
    taiyuan = place.authority.certificate("taiyuan-3", *TAIYUAN)
    assert not place.sent("YC_TLS", taiyuan)
    nearly = place.authority.certificate("nearly", "/C=CN/O=运城市人民医院/CN=pacs/CN=pacs")
    assert not place.sent("YC_TLS", nearly)


def test_the_same_name_of_another_authority_is_nothing(place: Place, tmp_path: Path) -> None:
    (tmp_path / "ca").mkdir()
    stranger = OpenSsl(tmp_path / "ca").certificate("taiyuan", *TAIYUAN)
    assert not place.sent("TY_TLS", stranger)


def test_a_list_that_is_out_of_date_lets_nobody_in(place: Place) -> None:
    good = place.authority.certificate("taiyuan-4", *TAIYUAN)
    try:
        place.authority.list("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200108000000Z")
        time.sleep(1.2)
        assert not place.sent("TY_TLS", good)
    finally:
        place.authority.list()
    time.sleep(1.2)
    assert place.sent("TY_TLS", good)
