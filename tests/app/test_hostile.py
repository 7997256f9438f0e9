"""Nonsense and ill will over every address: no answer is a fault of ours, and none tells of our insides."""

from __future__ import annotations

import base64
import http.client
import json
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.routing import Route
from tests.archives import archive_in
from tests.objects import part10
from tests.serving import Server, serving

from huitong.app import fhir
from huitong.app.asgi import fhir_types, http_routes
from huitong.imaging.doors import dicomweb
from huitong.wire.smart import ASSERTION_TYPE

INSIDES = re.compile(
    rb'Traceback \(most|File "/|site-packages|src/huitong|psycopg\.|sqlalchemy\.|sqlite3\.|SELECT .* FROM |/tmp/pytest'
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "LOCK")
#: What stands in the places of a pattern.
VALUES = (
    "x", "1.2.3", "0", "-1", "99999999999999999999999", "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "..", "%2e%2e%2f",
    "%0d%0aSet-Cookie:%20a=b", "'%20OR%201=1--", "%E6%B1%9F" * 100, "a" * 3000, "%F0%9F%98%80", "$match", "*", "{x}",
)  # fmt: skip
QUERIES = (
    "", "limit=-1", "limit=99999999999999999999", "offset=x", "PatientName=%00", "PatientName=%ff", "q=%27%3B--",
    "includefield=zz", "StudyDate=9-9", "00100010=*" + "*" * 500, "_count=-5", "_id=%00", "name=%F0%9F", "a=" + "b" * 9000,
    "&".join(f"x{n}=1" for n in range(2000)), "accept=%0d%0a", "viewport=9e99,9e99", "quality=NaN", "name:exact=,|,",
    "birthdate=0000-99-99", "_format=xml", "window=1e999,nan,linear", "page=%2d1", "from=x&to=y", "code=%00",
)  # fmt: skip
HEADERS = (
    {}, {"Accept": "text/html"}, {"Accept": "\xff\xfe;q=nan"}, {"Accept": "a/b;" * 3000}, {"Accept": ";;,,/;q=2"},
    {"Content-Type": "multipart/related"}, {"Content-Type": 'multipart/related; boundary="'},
    {"Content-Type": "application/fhir+json"}, {"Content-Type": "\xff"}, {"Authorization": "Bearer \xff"},
    {"Authorization": "Bearer huitong_at_x"}, {"Authorization": "Basic ===="}, {"Cookie": "huitong_session=\xff; i18next=\x01"},
    {"Cookie": "i18next=" + "x" * 4000}, {"Range": "bytes=9-1,-,x"}, {"Range": "bytes=0-99999999999999999999"},
    {"If-None-Match": '"' * 200}, {"Host": "evil.example\xff"}, {"Host": ""}, {"X-Forwarded-For": "' OR 1"},
    {"Content-Encoding": "gzip"}, {"Expect": "nonsense"}, {"Accept-Language": "\xff," * 500}, {"Origin": "null"},
    {"Prefer": "handling=strict"}, {"Content-Length": "5"}, {"Transfer-Encoding": "gzip, chunked"},
)  # fmt: skip
BODIES = (
    b"",
    b"\xff\x00",
    b"{",
    b'{"resourceType": []}',
    b"[" * 5000,
    b'{"a":' * 2000,
    b"a=1&a=1",
    b"--\r\n\r\n--",
    b"--b\r\n" * 50,
)


def patterns() -> list[str]:
    """Every address that there is, as the tables have it."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder, archive_in(Path(folder)) as archive:
        found = [each.path for each in http_routes(archive.store, archive.access, lambda: 0) if isinstance(each, Route)]
        types = [each.name for each in fhir_types(archive.store, archive.access)]
    found += [f"{dicomweb.ROOT}/{each}" for each in dicomweb.RESOURCES]
    found += [f"{dicomweb.ROOT}/at/{{institution}}/{each}" for each in dicomweb.RESOURCES]
    for name in types:
        found += [f"{fhir.ROOT}/{name}", f"{fhir.ROOT}/{name}/{{id}}", f"{fhir.ROOT}/{name}/_search"]
        found += [
            f"{fhir.ROOT}/{name}/$match",
            f"{fhir.ROOT}/{name}/$ihe-pix",
            f"{fhir.ROOT}/{name}/{{id}}/$everything",
        ]
    return sorted({*found, "/viewer/{x}", "/static/{x}", "/{x}"})


PATTERNS = patterns()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = ["--requests-per-s", "0", "--caller-requests-per-s", "0", "--sign-ins-per-min", "0"]
    with serving(tmp_path_factory.mktemp("hostile"), *limits) as started:
        started.stow(part10())
        yield started


def _ask(server: Server, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, bytes]:
    """Status, header and body, without a client's own scruples. Status 0: the connection was closed on us."""
    names = {"Host": "x", "Connection": "close", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in names.items())
    with socket.create_connection(("127.0.0.1", server.http_port), 30) as peer:
        try:
            peer.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            answer = http.client.HTTPResponse(peer, method=method)
            answer.begin()
            return answer.status, str(answer.headers).encode(), answer.read()
        except (http.client.HTTPException, ConnectionError):
            return 0, b"", b""


def test_there_are_addresses_of_every_kind() -> None:
    assert len(PATTERNS) > 90
    for each in ("/auth/token", "/card/resolve", "/person/{exchange_id}", "/dicom-web/studies", "/fhir/Patient"):
        assert each in PATTERNS


@pytest.mark.parametrize("pattern", PATTERNS)
def test_nonsense_is_answered_as_such(server: Server, pattern: str) -> None:
    chance = random.Random(pattern)
    for number in range(24):
        values = [chance.choice(VALUES) for _ in range(8)]
        path = re.sub(r"\{[^}]*\}", lambda _, v=values: v.pop() if v else "x", pattern)
        query = chance.choice(QUERIES)
        method = METHODS[number % len(METHODS)]
        headers, body = chance.choice(HEADERS), chance.choice(BODIES) if method not in ("GET", "HEAD") else b""
        asked = (method, f"{path}?{query}" if query else path, headers, body)
        status, head, said = _ask(server, *asked)
        assert status < 500, (status, said[:300], asked)
        assert not INSIDES.search(said), (said[:300], asked)
        assert b"set-cookie: a=b" not in head.lower(), asked


DIGITS = ("9" * 18, "9" * 19, "9" * 30, "9" * 5000)
NUMBERED = (
    "GET /audit/heads/{}", "GET /audit/{}", "GET /audit?before={}", "GET /audit/heads?before={}", "GET /question/{}",
    "POST /question/{}", "POST /break-glass/{}", "GET /emergencies?before={}", "GET /directory/loads/{}", "GET /?days={}",
    "GET /fhir/Patient?name=x&_after={}", "GET /fhir/AuditEvent?_after={}",
)  # fmt: skip


@pytest.mark.parametrize("numbered", NUMBERED)
def test_numbers_that_no_database_has_are_answered_as_nonsense(server: Server, numbered: str) -> None:
    method, path = numbered.split()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    for digits in DIGITS:
        body = b"answer=joined&verdict=justified" if method == "POST" else b""
        status, _, said = _ask(server, method, path.format(digits), headers, body)
        assert 200 <= status < 500, (len(digits), status, said[:300])


@pytest.mark.parametrize("claims", [{"iss": "\ud800"}, {"iss": "\0"}, {"iss": "x", "jti": "\ud800"}, {"iss": 1}, []])
def test_an_assertion_of_odd_claims_gives_no_token(server: Server, claims: object) -> None:
    parts = (base64.urlsafe_b64encode(json.dumps(each).encode()) for each in ({"alg": "ES384", "kid": "k"}, claims))
    assertion = b".".join((*(each.rstrip(b"=") for each in parts), b"AAAA"))
    form = b"grant_type=client_credentials&scope=system/*.rs&client_assertion=" + assertion
    form += b"&client_assertion_type=" + quote(ASSERTION_TYPE).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert _ask(server, "POST", "/auth/token", headers, form)[0] == 401


RAW = (
    b"", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 5000,
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n",
    b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    b"POST /auth/token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", b"GET //evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /language/en-US?next=//evil.example HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /viewer/..%2f..%2f..%2fpackage.json HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /static/%2e%2e/%2e%2e/headers.py HTTP/1.1\r\nHost: x\r\n\r\n",
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(RAW)))
def test_what_is_no_request_or_two_at_once_does_no_harm(server: Server, number: int) -> None:
    with socket.create_connection(("127.0.0.1", server.http_port), 10) as peer:
        said = b""
        try:
            peer.sendall(RAW[number])
            peer.shutdown(socket.SHUT_WR)
            while piece := peer.recv(65536):
                said += piece
        except OSError:
            pass
    assert not re.match(rb"HTTP/1\.\d 5", said), said[:300]
    assert not INSIDES.search(said), said[:300]
    assert said.count(b"HTTP/1.1 ") <= 1
    assert b"evil.example" not in b"".join(re.findall(rb"(?im)^location:.*$", said))
    with socket.create_connection(("127.0.0.1", server.http_port), 10) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 200")
