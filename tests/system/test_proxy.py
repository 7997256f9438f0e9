"""The reverse proxy of deploy/nginx.conf in front of a server: who asks is known, and no log has a search term."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.certificates import Authority
from tests.serving import free_port, serving

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
CONF = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
pytestmark = [pytest.mark.peer, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]


@contextmanager
def _nginx(folder: Path, upstream: int) -> Iterator[tuple[int, Authority]]:
    """With the file as it is, but for ports, folders and names."""
    port, plain, authority = free_port(), free_port(), Authority(folder, "authority")
    own = authority.certificate("server")
    text = CONF.read_text("utf-8")
    changes = {
        "127.0.0.1:8080": f"127.0.0.1:{upstream}", "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "        listen [::]:80;\n": "", "        listen [::]:443 ssl;\n": "", "/var/log/nginx": str(folder),
        "/etc/huitong/server.pem": str(own.file), "/etc/huitong/server.key": str(own.key),
        "worker_processes auto": f"pid {folder}/nginx.pid;\ndaemon off;\nworker_processes 1",
    }  # fmt: skip
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    kept = "".join(
        f"{each}_temp_path {folder}/{each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(text.replace("http {", "http { " + kept, 1))
    assert NGINX is not None
    running = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")])
    try:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, authority
    finally:
        running.terminate()
        running.wait(20)


def test_the_proxy_says_who_asks_and_writes_no_search_term(tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    flags = ("--trusted-proxies", "127.0.0.1/32", "--public-url", "https://exchange.example")
    with (
        serving(tmp_path / "data", *flags) as server,
        _nginx(tmp_path / "proxy", server.http_port) as (port, authority),
    ):
        trusted = ssl.create_default_context(cafile=authority.file)
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted) as client:
            found = client.get(
                "/dicom-web/studies", params={"PatientID": "ZY7730451"}, headers={"Referer": "/?q=ZY7730451"}
            )
            assert found.status_code == 200
            assert "strict-transport-security" in found.headers
            for path in ("/person/ZY7730451", "/fhir/Patient/ZY7730451?name=ZY7730451", "/ZY7730451", "/healthz"):
                client.get(path)
            said = client.get("/fhir/.well-known/smart-configuration").json()
            assert said["token_endpoint"] == "https://exchange.example/auth/token"
            assert client.get("/metrics").status_code == 403
            # What a client says of itself is not believed: it stays the address from which it came to the proxy.
            assert client.get("/dicom-web/studies", headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 200
    logged = (tmp_path / "proxy" / "access.log").read_text()
    assert logged.count("\n") == 8
    assert "GET /dicom-web/* 200" in logged
    assert "GET /person/* 404" in logged
    assert "GET /healthz 200" in logged
    for file in (tmp_path / "proxy").glob("*.log"):
        assert "ZY7730451" not in file.read_text()
    assert "ZY7730451" not in "".join(server.said)
