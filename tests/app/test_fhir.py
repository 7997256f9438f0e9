"""The common part of the FHIR door, on a resource type made for these tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.archives import TestArchive, archive_in

from huitong.access.work import Work
from huitong.app.asgi import Mounted
from huitong.app.fhir import ROOT, Fhir
from huitong.base.errors import Gone, HuitongError, NotFound, StoreUnavailable
from huitong.wire.fhir.bundle import Page
from huitong.wire.fhir.interactions import Operation, OperationCall, ResourceType
from huitong.wire.fhir.resources import Resource, meta, parameter_of
from huitong.wire.fhir.search import Search, SearchParameter

FHIR_JSON = "application/fhir+json"
#: What is served: five, named by their numbers.
BASICS = [{"resourceType": "Basic", "id": str(number), "meta": meta(3, 0)} for number in range(5)]
_FAULTS: dict[str, Exception] = {
    "gone": Gone("gone"),
    "away": StoreUnavailable("away"),
    "odd": RuntimeError("王小东 has measles"),
}


def _read(work: Work, logical_id: str) -> Resource:
    assert work.host
    if logical_id in _FAULTS:
        raise _FAULTS[logical_id]
    if not logical_id.isdecimal() or int(logical_id) >= len(BASICS):
        raise NotFound(f"Basic/{logical_id}")
    return BASICS[int(logical_id)]


def _search(_work: Work, search: Search) -> Page:
    ids = [text for condition in search.of("_id") for text in condition.texts()]
    found = [each for each in BASICS if not ids or each["id"] in ids]
    start = int(search.after or 0)
    rest = found[start : start + search.count]
    more = str(start + search.count) if search.count and start + search.count < len(found) else ""
    return Page(rest, len(found), more)


def _echo(_work: Work, call: OperationCall) -> Resource | Page:
    said = parameter_of(call.parameters, "say")
    if said is None:
        return Page(BASICS[:1], 1, scores=(0.98765,), grades=("certain",))
    return {"resourceType": "Basic", "id": call.id or "none", "language": said["valueString"]}


_OPERATIONS = (
    Operation("echo", "urn:echo", _echo, "Says it again.", on_instance=True, by_get=True),
    Operation("post-only", "urn:post-only", _echo, "Says it again."),
)
TYPE = ResourceType[Work](
    "Basic", _read, _search, (SearchParameter("code", "token", "A code.", ("missing",)),), _OPERATIONS
)


class Client:
    """Asks from loopback."""

    def __init__(self, archive: TestArchive, host: str = "127.0.0.1") -> None:
        served = Fhir(archive.access, archive.store.settings, (TYPE,))
        self.app, self.host = Mounted(ROOT, served, served), host

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self._ask(method, path, more))

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    async def _ask(self, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, client=(self.host, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://huitong.example") as client:
            return await client.request(method, f"/fhir/{path}", **more)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def fhir(archive: TestArchive) -> Client:
    return Client(archive)


def issue(answer: httpx.Response) -> dict[str, Any]:
    said = answer.json()
    assert said["resourceType"] == "OperationOutcome"
    assert answer.headers["content-type"].startswith(FHIR_JSON)
    return dict(said["issue"][0])


def test_a_resource_is_read_with_its_version_as_etag(fhir: Client) -> None:
    answer = fhir.get("Basic/3")
    assert (answer.status_code, answer.json()["id"], answer.headers["etag"]) == (200, "3", 'W/"3"')
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert fhir.get("Basic/3", **{"If-None-Match": 'W/"3"'}).status_code == 304


def test_head_is_a_get_without_body(fhir: Client) -> None:
    assert fhir.ask("HEAD", "Basic/3").status_code == 200


def test_a_search_is_paged_by_its_links(fhir: Client) -> None:
    found, path = [], "Basic?_count=2"
    while path:
        bundle = fhir.get(path).json()
        assert (bundle["type"], bundle["total"]) == ("searchset", 5)
        found += [entry["fullUrl"] for entry in bundle["entry"]]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        path = links.get("next", "").removeprefix("http://huitong.example/fhir/")
    assert found == [f"http://huitong.example/fhir/Basic/{number}" for number in range(5)]


def test_a_total_that_is_not_wanted_is_left_out(fhir: Client) -> None:
    assert "total" not in fhir.get("Basic?_total=none").json()


def test_a_search_may_be_posted(fhir: Client) -> None:
    bundle = fhir.ask("POST", "Basic/_search?_count=1", data={"_id": "2,4"}).json()
    assert (bundle["total"], [each["resource"]["id"] for each in bundle["entry"]]) == (2, ["2"])


def test_a_search_that_is_posted_as_something_else_is_refused(fhir: Client) -> None:
    answer = fhir.ask("POST", "Basic/_search", json={})
    assert (answer.status_code, issue(answer)["code"]) == (415, "not-supported")


def test_a_bundle_without_entries_has_none(fhir: Client) -> None:
    bundle = fhir.get("Basic?_id=9").json()
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_what_is_not_known_is_ignored_and_said_or_refused_when_asked(fhir: Client) -> None:
    entries = fhir.get("Basic?colour=red&_id=1").json()["entry"]
    assert [each["search"]["mode"] for each in entries] == ["match", "outcome"]
    assert "colour" in entries[1]["resource"]["issue"][0]["details"]["text"]
    answer = fhir.get("Basic?colour=red", Prefer="handling=strict")
    assert (answer.status_code, issue(answer)["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("Basic/9", 404, "not-found"),
        ("Patient/9", 404, "not-found"),
        ("Basic/1/2/3", 404, "not-found"),
        ("", 404, "not-found"),
        ("Basic/$nothing", 404, "not-found"),
        ("Basic/1/$post-only", 404, "not-found"),
        ("Basic/gone", 410, "deleted"),
        ("Basic/away", 503, "transient"),
        ("Basic?code:above=x", 400, "invalid"),
        ("Basic/$post-only", 405, "not-supported"),
        ("Basic/1?_format=xml", 406, "not-supported"),
    ],
)
def test_a_fault_is_an_operation_outcome_with_its_status(fhir: Client, path: str, status: int, code: str) -> None:
    answer = fhir.get(path)
    assert (answer.status_code, issue(answer)["code"]) == (status, code)


def test_a_stranger_s_exception_tells_nothing(fhir: Client) -> None:
    answer = fhir.get("Basic/odd")
    assert (answer.status_code, issue(answer)["severity"]) == (500, "fatal")
    assert "measles" not in answer.text
    assert not isinstance(_FAULTS["odd"], HuitongError)


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*", 200),
        ("application/json", 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+xml, application/fhir+json;q=0.5", 200),
        ("application/fhir+xml", 406),
    ],
)
def test_there_is_json_only(fhir: Client, accept: str, status: int) -> None:
    assert fhir.get("Basic/1", Accept=accept).status_code == status


@pytest.mark.parametrize("wanted", ["json", "application/json", "application/fhir+json", "application/fhir%2Bjson"])
def test_the_format_in_the_address_wins(fhir: Client, wanted: str) -> None:
    assert fhir.get(f"Basic/1?_format={wanted}", Accept="text/html").status_code == 200


def test_options_and_405_name_what_there_is(fhir: Client) -> None:
    assert fhir.ask("OPTIONS", "Basic").headers["allow"] == "GET, HEAD, OPTIONS"
    answer = fhir.ask("DELETE", "Basic/1")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert issue(answer)["code"] == "not-supported"


def test_a_stranger_must_say_who_asks_but_may_read_what_there_is(archive: TestArchive) -> None:
    stranger = Client(archive, "203.0.113.9")
    answer = stranger.get("Basic/1")
    assert (answer.status_code, issue(answer)["code"]) == (401, "login")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert stranger.get("metadata").status_code == 200


def test_operations_are_asked_with_parameters_or_by_get(fhir: Client) -> None:
    said = {"resourceType": "Parameters", "parameter": [{"name": "say", "valueString": "zh"}]}
    assert fhir.ask("POST", "Basic/1/$echo", json=said).json() == {"resourceType": "Basic", "id": "1", "language": "zh"}
    assert fhir.get("Basic/$echo?say=en").json()["language"] == "en"


def test_a_match_is_a_bundle_with_scores(fhir: Client) -> None:
    entry = fhir.ask("POST", "Basic/$post-only", json={"resourceType": "Parameters"}).json()["entry"][0]
    assert entry["search"]["score"] == 0.9877
    assert entry["search"]["extension"][0]["valueCode"] == "certain"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", FHIR_JSON, 400),
        (b"[]", FHIR_JSON, 400),
        (b'{"resourceType": "Patient"}', FHIR_JSON, 400),
        (b"<Parameters/>", "application/fhir+xml", 415),
        (b" " * ((1 << 20) + 1), FHIR_JSON, 413),
    ],
)
def test_what_is_no_parameters_resource_is_refused(fhir: Client, content: bytes, kind: str, status: int) -> None:
    answer = fhir.ask("POST", "Basic/$echo", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert issue(answer)["severity"] == "error"


def test_the_capability_statement_says_what_the_tables_say(fhir: Client) -> None:
    said = fhir.get("metadata").json()
    assert (said["fhirVersion"], said["implementation"]["url"]) == ("4.0.1", "http://huitong.example/fhir")
    (resource,) = said["rest"][0]["resource"]
    assert [each["code"] for each in resource["interaction"]] == ["read", "search-type"]
    assert [each["name"] for each in resource["searchParam"]] == ["_id", "_lastUpdated", "code"]
    assert [each["name"] for each in resource["operation"]] == ["echo", "post-only"]
