"""The terminals' door: what it takes, and what it answers, in the words of its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from tests.archives import TestArchive, archive_in
from tests.people.cards.patients import register
from tests.web.browsing import Browser

from huitong.people.cards import actions
from huitong.people.doors import card as door
from huitong.web import errors

LI = "11010519491231002X"
USE = {"step": "010101", "terminal_id": "TY-0017", "terminal_type": "01"}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        yield opened


class Caller(Browser):
    """A program with an institution's token."""

    def call(self, method: str, path: str, body: Any = None, institution: str = "TAIYUAN") -> httpx.Response:
        headers = {"Authorization": f"Bearer demo-{institution}", "Accept": "application/json"}
        return self.ask(method, path, headers=headers, **({} if body is None else {"json": body}))


@pytest.fixture
def caller(archive: TestArchive) -> Caller:
    return Caller(Starlette(routes=door.routes(archive.access), exception_handlers=errors.handlers()))


def test_issued_once_and_found_again(archive: TestArchive, caller: Caller) -> None:
    person = register(archive, "P1", "李^梅", LI, sex="F", birth_date="19491231")
    first = caller.call("POST", "/card/issue", {"patient_number": "P1"})
    again = caller.call("POST", "/card/issue", {"patient_number": "P1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() == caller.call("GET", f"/card/{first.json()['id']}").json()
    assert first.json()["person"] == {"id": person, "name": "李梅", "sex": "F", "birth_date": "1949-12-31"}
    assert first.json()["certificate"] == {"type": "01", "number": LI}
    assert {first.json()[name] for name in ("attribute", "state")} == {2, 1}
    assert first.headers["cache-control"] == "no-store"


def test_a_code_gives_person_numbers_and_use_once(archive: TestArchive, caller: Caller) -> None:
    register(archive, "P1", "李梅", LI)
    issued = caller.call("POST", "/card/issue", {"patient_number": "P1"}).json()
    shown = actions.dynamic_code(archive.reader, actions.show_card(archive.reader, issued["id"]))
    taken = caller.call("POST", "/card/resolve", {"code": shown.text, **USE})
    assert taken.status_code == 200
    assert taken.json()["card"] == issued
    assert taken.json()["patient_numbers"] == ["P1"]
    assert {name: taken.json()["use"][name] for name in USE} == USE
    assert taken.json()["use"]["dynamic"] is True
    again = caller.call("POST", "/card/resolve", {"code": shown.text, **USE})
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert again.json()["type"] == "urn:huitong:problem:card-replayed"
    assert again.json()["hint"] == "let the holder show a fresh one"
    counted = caller.call("GET", "/card/figures").json()
    assert counted == {"issued": 1, "active": 1, "temporary": 0, "suspended": 0, "uses_by_step": {"010101": 1}}


def test_a_suspended_card_is_refused_with_its_reason(archive: TestArchive, caller: Caller) -> None:
    register(archive, "P1", "李梅", LI)
    known = caller.call("POST", "/card/issue", {"patient_number": "P1"}).json()["id"]
    assert caller.call("POST", f"/card/{known}/suspend").json()["state"] == 2
    refused = caller.call("POST", "/card/resolve", {"code": f"{known}:1", **USE})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:huitong:problem:card-suspended")
    assert caller.call("POST", f"/card/{known}/resume", institution="YUNCHENG").json()["state"] == 1
    assert caller.call("POST", "/card/resolve", {"code": f"{known}:1", **USE}).status_code == 200


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("x", 400, "card-malformed"),
        ("AB" * 32 + ":1", 404, "card-unknown"),
        (f"{'AB' * 32}:0:{'CD' * 16}", 403, "card-wrong-key"),
    ],
)
def test_what_is_not_taken_is_told_apart(caller: Caller, code: str, status: int, kind: str) -> None:
    refused = caller.call("POST", "/card/resolve", {"code": code, **USE})
    assert (refused.status_code, refused.json()["type"]) == (status, f"urn:huitong:problem:{kind}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"code": "x"},
        {"code": "x", **USE, "more": "x"},
        {"code": 7, **USE},
        {"code": "x", **USE, "step": ""},
        {"code": "x", **USE, "terminal_type": "window"},
    ],
)
def test_a_body_of_another_form_is_refused(caller: Caller, body: Any) -> None:
    refused = caller.call("POST", "/card/resolve", body)
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:huitong:problem:bad-request"


def test_what_is_no_json_and_what_is_too_long_is_refused(caller: Caller) -> None:
    token = {"Authorization": "Bearer demo-TAIYUAN"}
    for content in (b"", b"{", b"\xff", b" " * 20_000):
        refused = caller.ask("POST", "/card/resolve", headers=token, content=content)
        assert (refused.status_code, refused.json()["title"]) == (400, "The request cannot be understood.")


def test_without_a_known_token_nothing_is_answered(archive: TestArchive, caller: Caller) -> None:
    register(archive, "P1", "李梅", LI)
    known = caller.call("POST", "/card/issue", {"patient_number": "P1"}).json()["id"]
    for method, path in (("POST", "/card/resolve"), ("POST", "/card/issue"), ("GET", f"/card/{known}")):
        silent = caller.ask(method, path)
        assert (silent.status_code, silent.headers["www-authenticate"]) == (401, 'Bearer realm="huitong"')
        assert caller.ask(method, path, headers={"Authorization": "Bearer none"}).status_code == 403
        assert "李梅" not in silent.text


def test_a_number_or_card_that_is_not_known_is_not_found(caller: Caller) -> None:
    assert caller.call("POST", "/card/issue", {"patient_number": "P404"}).status_code == 404
    assert caller.call("GET", "/card/ABCD").status_code == 404
    assert caller.call("POST", "/card/ABCD/suspend").status_code == 404


def test_every_reason_has_its_answer() -> None:
    assert set(door.REFUSALS) == set(actions.Reason)
