"""Access tokens of institutions' systems: what an assertion must have, and what a token then opens."""

from __future__ import annotations

import base64
import hmac
import json
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.access.signing import Key, assertion, ec_key, jwks, rsa_key
from tests.archives import settings_for

from huitong.access import fetching
from huitong.access.actions import Access
from huitong.access.fetching import Fetched, check_url, fetch
from huitong.access.model import Kind, Need
from huitong.access.systems import actions
from huitong.access.systems.keys import Keys, read_keys
from huitong.access.systems.model import TokenRefused
from huitong.base.errors import BadRequest, HuitongError, NotAllowed, NotFound, NotSignedIn
from huitong.base.tls import NO_CERTIFICATE, Certificate
from huitong.directory.actions import read_directory
from huitong.store import ledger
from huitong.store.store import Store

AUDIENCE = "https://exchange.example/auth/token"
PATIENTS = Need("Patient", "s")


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 26, 4, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Place:
    """An archive with one client, and its clock."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock = store, Clock()
        self.access = Access(store, read_directory(None, demo=True), self.clock)
        self.add("ris", "system/Patient.rs system/ImagingStudy.rs", rsa_key(), ec_key())

    def add(self, client_id: str, scope: str, *keys: Key, institution: str = "TAIYUAN", **more: str) -> None:
        given = {"jwks": jwks(*keys)} if keys else {}
        actions.add_client(self.access.local(institution), client_id, scope=scope, **given, **more)

    def assertion(self, key: Key | None = None, client_id: str = "ris", audience: str = AUDIENCE, **more: Any) -> str:
        return assertion(key or rsa_key(), client_id, audience, now=self.clock().timestamp(), **more)

    def token(self, said: str | None = None, scope: str = "system/*.rs", host: str = "10.9.8.7") -> str:
        return self.access.systems.give_token(said or self.assertion(), scope, AUDIENCE, host).text


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    store = Store(settings_for(tmp_path))
    yield Place(store)
    store.close()


@pytest.mark.parametrize("key", [rsa_key(), ec_key()], ids=lambda key: key.algorithm)
def test_a_good_assertion_gives_a_token_that_is_the_institutions_system(place: Place, key: Key) -> None:
    work = place.access.by_token(f"Bearer {place.token(place.assertion(key))}", "10.9.8.7", PATIENTS)
    assert (work.asker.kind, work.asker.name, work.institution) == (Kind.SYSTEM, "ris", "TAIYUAN")
    assert (work.may_send, work.may_decide, work.door) == (False, False, "http")
    assert work.asker.session.startswith("token-")


def _tampered(said: str, **claims: Any) -> str:
    """With other claims under the signature of the first."""
    head, body, signature = said.split(".")
    new = {**json.loads(base64.urlsafe_b64decode(body + "==")), **claims}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(new).encode()).decode().rstrip('=')}.{signature}"


def _part(said: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def _symmetric(place: Place, algorithm: str) -> str:
    """Signed with the public key as if it were a shared secret: the old confusion of algorithms."""
    claims = jwt.decode(place.assertion(), options={"verify_signature": False})
    body = f"{_part({'alg': algorithm, 'kid': 'rsa-1'})}.{_part(claims)}"
    if algorithm == "none":
        return f"{body}."
    public = rsa_key().private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signature = hmac.digest(public, body.encode(), f"sha{algorithm[2:]}")
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


REFUSED = {
    "expired": lambda p: p.assertion(exp=int(p.clock().timestamp()) - 31),
    "good for too long": lambda p: p.assertion(exp=int(p.clock().timestamp()) + 331),
    "not good yet": lambda p: p.assertion(nbf=int(p.clock().timestamp()) + 60),
    "for another server": lambda p: p.assertion(audience="https://elsewhere.example/auth/token"),
    "for our pages, not the token endpoint": lambda p: p.assertion(audience="https://exchange.example"),
    "without audience": lambda p: p.assertion(aud=None),
    "without jti": lambda p: p.assertion(jti=None),
    "without exp": lambda p: p.assertion(exp=None),
    "exp is a text": lambda p: p.assertion(exp="tomorrow"),
    "jti too long": lambda p: p.assertion(jti="x" * 256),
    "of an unknown client": lambda p: p.assertion(client_id="nobody"),
    "issuer and subject differ": lambda p: p.assertion(sub="another"),
    "signed by a key of somebody else": lambda p: p.assertion(Key("rsa-1", "RS384", rsa_key("other").private)),
    "kid not known": lambda p: p.assertion(Key("rsa-9", "RS384", rsa_key().private)),
    "kid of a key of the other kind": lambda p: p.assertion(Key("ec-1", "RS384", rsa_key().private)),
    "a shorter hash": lambda p: p.assertion(Key("rsa-1", "RS256", rsa_key().private)),
    "none": lambda p: _symmetric(p, "none"),
    "HS256": lambda p: _symmetric(p, "HS256"),
    "HS384": lambda p: _symmetric(p, "HS384"),
    "altered": lambda p: _tampered(p.assertion(), jti="another"),
    "keys from where it says itself": lambda p: p.assertion(headers={"jku": "https://evil.example/jwks"}),
    "issuer is no text": lambda p: _tampered(p.assertion(), iss="\ud800"),
    "issuer has a NUL": lambda p: _tampered(p.assertion(), iss="ris\0"),
    "no JWT": lambda p: "nonsense",
    "much too long": lambda p: p.assertion(name="x" * 20_000),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_assertion_is_refused(place: Place, name: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        place.token(REFUSED[name](place))
    assert refused.value.error == "invalid_client"


def test_a_token_is_good_with_the_certificate_with_which_it_was_asked_for_and_with_no_other(place: Place) -> None:
    own, other = Certificate("11" * 32), Certificate("22" * 32)
    given = place.access.systems.give_token(place.assertion(), "system/*.rs", AUDIENCE, "10.9.8.7", own)
    shown = f"Bearer {given.text}", "10.9.8.7", PATIENTS
    elsewhere = Access(place.store, read_directory(None, demo=True), place.clock)
    for access in (place.access, elsewhere):
        assert access.system(*shown, own).asker.name == "ris"
        for certificate in (other, NO_CERTIFICATE):
            with pytest.raises(NotSignedIn):
                access.system(*shown, certificate)
    free = f"Bearer {place.token()}", "10.9.8.7", PATIENTS
    assert place.access.system(*free, other).asker.name == "ris"


def test_an_assertion_is_good_once_for_all_processes_and_clients_have_their_own_numbers(place: Place) -> None:
    said = place.assertion(jti="7")
    place.token(said)
    other_process = Access(place.store, read_directory(None, demo=True), place.clock)
    for access in (place.access, other_process):
        with pytest.raises(TokenRefused, match="shown before"):
            access.systems.give_token(said, "system/*.rs", AUDIENCE, "10.9.8.7")
    place.add("lis", "system/Patient.rs", ec_key("lis-1"), institution="YUNCHENG")
    place.token(place.assertion(ec_key("lis-1"), "lis", jti="7"))
    place.clock.pass_s(700)  # nobody can show the first any more, so its number is forgotten
    place.token(place.assertion(jti="7"))
    odd = place.assertion(jti="\ud800")
    place.token(odd)
    with pytest.raises(TokenRefused, match="shown before"):
        place.token(odd)


def test_a_key_of_another_institution_opens_nothing_in_this_ones_name(place: Place) -> None:
    place.add("lis", "system/Patient.rs", ec_key("lis-1"), institution="YUNCHENG")
    with pytest.raises(TokenRefused):
        place.token(place.assertion(ec_key("lis-1"), "ris"))
    work = place.access.by_token(f"Bearer {place.token(place.assertion(ec_key('lis-1'), 'lis'))}", "::1", PATIENTS)
    assert work.institution == "YUNCHENG"


def test_a_token_ends_after_five_minutes_and_one_that_was_made_up_never_began(place: Place) -> None:
    token = place.token()
    place.clock.pass_s(299)
    assert place.access.by_token(f"Bearer {token}", "::1", PATIENTS)
    place.clock.pass_s(1)
    for text in (token, "huitong_at_nonsense"):
        with pytest.raises(NotSignedIn):
            place.access.by_token(f"Bearer {text}", "::1", PATIENTS)


def test_texts_that_are_no_tokens_are_not_remembered(place: Place) -> None:
    token, systems = place.token(), place.access.systems
    for n in range(100):
        for text in (f"{actions.PREFIX}{n:060000d}", f"{actions.PREFIX}{n:043d}"):
            assert systems.by_token(text, "::1") is None
    assert systems.by_token(token, "::1")
    assert list(systems._known._kept) == [token]


def test_a_token_is_good_in_every_process_and_lies_nowhere(place: Place) -> None:
    token = place.token()
    other_process = Access(place.store, read_directory(None, demo=True), place.clock)
    assert other_process.by_token(f"Bearer {token}", "::1", PATIENTS).institution == "TAIYUAN"
    from huitong.access.systems.tables import TOKEN

    with place.store.database.read() as tx:
        assert token not in repr(tx.execute(TOKEN.select()).all())


@pytest.mark.parametrize(
    ("scope", "need", "allowed"),
    [
        ("system/*.rs", Need("Patient", "s"), True),
        ("system/*.rs", Need("ImagingStudy", "r"), True),
        ("system/*.rs", Need("Practitioner", "s"), False),  # not registered
        ("system/Patient.r", Need("Patient", "r"), True),
        ("system/Patient.r", Need("Patient", "s"), False),
        ("system/Patient.rs", Need("ImagingStudy", "s"), False),
        ("system/Patient.read", Need("Patient", "s"), True),
        ("system/*.cruds", Need("ImagingStudy", "c"), False),  # registered without c
        ("system/*.rs", None, False),  # what no scope can name: cards, pages
    ],
)
def test_scopes_are_what_was_asked_for_and_registered(
    place: Place, scope: str, need: Need | None, *, allowed: bool
) -> None:
    token = f"Bearer {place.token(scope=scope)}"
    if allowed:
        assert place.access.reader(token, "::1", need).institution == "TAIYUAN"
    else:
        with pytest.raises(NotAllowed):
            place.access.reader(token, "::1", need)


@pytest.mark.parametrize("scope", ["", "patient/*.rs", "system/Practitioner.rs", "system/Patient.sr", "openid"])
def test_no_token_without_a_scope_that_is_registered(place: Place, scope: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        place.token(scope=scope)
    assert refused.value.error == "invalid_scope"


def test_who_may_create_studies_sends_them_as_its_institution(place: Place) -> None:
    place.add("pacs", "system/ImagingStudy.crs", ec_key("pacs-1"))
    token = place.token(place.assertion(ec_key("pacs-1"), "pacs"), "system/*.cruds")
    work = place.access.by_token(f"Bearer {token}", "::1", Need("ImagingStudy", "c"))
    assert (work.may_send, work.institution) == (True, "TAIYUAN")


def test_a_disabled_client_gets_no_token_and_loses_those_it_has_within_seconds(place: Place) -> None:
    token = f"Bearer {place.token()}"
    assert place.access.by_token(token, "::1", PATIENTS)
    actions.set_active(place.access.local(), "ris", active=False)
    with pytest.raises(TokenRefused):
        place.token()
    place.clock.pass_s(5)
    with pytest.raises(NotSignedIn):
        place.access.by_token(token, "::1", PATIENTS)
    actions.set_active(place.access.local(), "ris", active=True)
    assert place.token()


def test_a_client_asks_from_its_networks_only(place: Place) -> None:
    place.add("edge", "system/Patient.rs", ec_key("edge-1"), networks="10.1.0.0/16, 10.2.0.0/16")
    with pytest.raises(TokenRefused):
        place.token(place.assertion(ec_key("edge-1"), "edge"), host="10.3.0.1")
    token = f"Bearer {place.token(place.assertion(ec_key('edge-1'), 'edge'), host='10.2.0.1')}"
    assert place.access.by_token(token, "10.1.0.1", PATIENTS)
    with pytest.raises(NotSignedIn):
        place.access.by_token(token, "10.3.0.1", PATIENTS)


def test_a_client_of_an_institution_that_left_gets_nothing(place: Place) -> None:
    token = f"Bearer {place.token()}"
    place.access.directory.become([])
    with pytest.raises(TokenRefused):
        place.token()
    with pytest.raises(NotSignedIn):
        place.access.by_token(token, "::1", PATIENTS)


class Web:
    """Where a client keeps its keys."""

    def __init__(self, *keys: Key) -> None:
        self.keys, self.asked, self.cache_control, self.fault = keys, 0, "", None

    def __call__(self, _url: str) -> tuple[bytes, str]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return jwks(*self.keys).encode(), self.cache_control


def _at_url(place: Place, web: Web) -> None:
    place.add("moving", "system/Patient.rs", jwks_url="https://ris.example/jwks")
    place.access.systems._keys = Keys(place.clock, web)


def test_keys_are_rotated_where_the_client_keeps_them(place: Place) -> None:
    web = Web(rsa_key("a"))
    _at_url(place, web)
    for _ in range(3):
        place.token(place.assertion(rsa_key("a"), "moving"))
    assert web.asked == 1
    web.keys = (rsa_key("a"), rsa_key("b"))
    with pytest.raises(TokenRefused, match="unknown kid"):
        place.token(place.assertion(rsa_key("b"), "moving"))  # asked a moment ago: not asked again so soon
    place.clock.pass_s(10)
    place.token(place.assertion(rsa_key("b"), "moving"))
    assert web.asked == 2
    web.keys = (rsa_key("b"),)
    place.clock.pass_s(301)
    with pytest.raises(TokenRefused, match="unknown kid"):
        place.token(place.assertion(rsa_key("a"), "moving"))


def test_keys_are_kept_no_longer_than_their_server_says(place: Place) -> None:
    web = Web(rsa_key("a"))
    web.cache_control = "public, max-age=30"
    _at_url(place, web)
    place.token(place.assertion(rsa_key("a"), "moving"))
    place.clock.pass_s(29)
    place.token(place.assertion(rsa_key("a"), "moving"))
    assert web.asked == 1
    place.clock.pass_s(2)
    place.token(place.assertion(rsa_key("a"), "moving"))
    assert web.asked == 2
    web.fault = OSError("gone")
    place.clock.pass_s(31)
    with pytest.raises(TokenRefused):
        place.token(place.assertion(rsa_key("a"), "moving"))
    place.token()  # and another client is none the worse


def test_keys_that_were_registered_are_replaced(place: Place) -> None:
    actions.change_keys(place.access.local(), "ris", jwks=jwks(ec_key("new")))
    with pytest.raises(TokenRefused):
        place.token()
    assert place.token(place.assertion(ec_key("new")))


@pytest.mark.parametrize(
    "given",
    [
        {"jwks": "{}"},
        {"jwks": '{"keys": []}'},
        {"jwks": "nonsense"},
        {"jwks": json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]})},
        {"jwks": json.dumps({"keys": [{**ec_key().public, "d": "AAAA"}]})},
        {"jwks": jwks(rsa_key("short", 1024))},
        {"jwks": json.dumps({"keys": [{k: v for k, v in ec_key().public.items() if k != "kid"}]})},
        {"jwks_url": "http://ris.example/jwks"},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "https://user:secret@ris.example/jwks"},
        {},
        {"jwks": jwks(ec_key()), "jwks_url": "https://ris.example/jwks"},
    ],
)
def test_a_client_is_not_registered_with_keys_that_cannot_be_used(place: Place, given: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        place.add("new", "system/Patient.rs", **given)


def test_a_client_is_registered_once_for_an_institution_that_is_known(place: Place) -> None:
    with pytest.raises(BadRequest):
        place.add("ris", "system/Patient.rs", ec_key())
    with pytest.raises(BadRequest):
        place.add("new", "user/Patient.rs", ec_key())
    with pytest.raises(NotAllowed):
        place.add("new", "system/Patient.rs", ec_key(), institution="NOBODY")
    with pytest.raises(NotFound):
        actions.set_active(place.access.local(), "nobody", active=False)


def test_what_becomes_of_clients_stands_in_the_ledger(place: Place) -> None:
    actions.set_active(place.access.local(), "ris", active=False)
    with place.store.database.read() as tx:
        facts = [(f.kind, f.institution, f.subject) for f in ledger.follow(tx, 0) if f.kind.startswith("access.")]
    assert facts == [("access.client_added", "TAIYUAN", "ris"), ("access.client_disabled", "TAIYUAN", "ris")]


def test_loopback_may_keep_keys_without_tls() -> None:
    assert check_url("http://127.0.0.1:8000/jwks")
    assert read_keys(jwks(rsa_key(), ec_key())).keys.keys() == {("rsa-1", "RS384"), ("ec-1", "ES384")}
    assert issubclass(TokenRefused, HuitongError)


@pytest.mark.parametrize("path", ["/moved", "/large", "/missing"])
def test_keys_are_fetched_from_where_they_are_registered_and_nowhere_else(path: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response({"/moved": 302, "/missing": 404}.get(self.path, 200))
            self.send_header("Location", "/good")
            self.end_headers()
            self.wfile.write(jwks(ec_key()).encode() if self.path == "/good" else b"{" * 70_000)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{web.server_port}"
        try:
            assert read_keys(fetch(f"{base}/good")[0])
            with pytest.raises(OSError):
                fetch(f"{base}{path}")
        finally:
            web.shutdown()


@contextmanager
def dripping(begin: bytes) -> Iterator[str]:
    """The address of a server that answers with this, and then an octet at a time, without end."""
    over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.recv(65536)
                self.request.sendall(begin)
                while not over.wait(0.05):
                    self.request.sendall(b"x")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{web.server_address[1]}/jwks"
        finally:
            over.set()
            web.shutdown()


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\nServer: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"SSH-2.0-x\r\n"],
    ids=["in the header", "in the body", "no HTTP"],
)
def test_an_answer_that_drips_is_given_up_by_all_who_wait(begin: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_FETCH_S", 0.5)
    fetched = Fetched(Clock(), read_keys, fetch)
    with ThreadPoolExecutor(6) as pool, dripping(begin) as url:
        alone, *others = pool.submit(fetch, url), *(pool.submit(fetched.get, url) for _ in range(5))
        assert not wait([alone, *others], timeout=20).not_done
    assert isinstance(alone.exception(), OSError)
    assert [each.result() for each in others] == [None] * 5
