"""The pages about people: search, a person, the work list, and who may decide."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import TestArchive, archive_in
from tests.objects import part10
from tests.people.registry import LI_MING, Registry, certified
from tests.web.browsing import Browser, pages_on

from huitong.people.comparing import GUARDS, the_model
from huitong.people.rules import RULES
from huitong.web.evidence import LEVELS
from huitong.web.evidence import RULES as WORDS

OURS = {"origin": "http://huitong.example", "sec-fetch-site": "same-origin"}
A, B = "TAIYUAN/P0001", "YUNCHENG/77"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[TestArchive]:
    with archive_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def registry(archive: TestArchive) -> Registry:
    return Registry(archive)


@pytest.fixture
def pages(archive: TestArchive) -> Iterator[Browser]:
    with pages_on(archive) as browser:
        yield browser


def joined(registry: Registry) -> str:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING), sex="F")
    registry.register(B, names=("Li^Ming",), certificates=certified(LI_MING))
    return registry.id_of(A)


def asked(registry: Registry) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B, names=("王^芳",), certificates=certified(LI_MING))


@pytest.mark.parametrize("text", ["李明", "liming", "lm", "77", LI_MING, "HT"])
def test_people_are_searched(registry: Registry, pages: Browser, text: str) -> None:
    exchange_id = joined(registry)
    html = pages.get("/people", params={"q": exchange_id if text == "HT" else text}).text
    assert f'href="/person/{exchange_id}"' in html
    assert "太原市中心医院" in html
    assert "运城市人民医院" in html
    assert "没有符合条件的居民" in pages.get("/people", params={"q": "张三"}).text
    assert "要查找谁" in pages.get("/people").text


def test_a_persons_page_has_records_evidence_and_studies(
    archive: TestArchive, registry: Registry, pages: Browser
) -> None:
    exchange_id = joined(registry)
    archive.keep_now(part10(PatientID="77", StudyDescription="腹部 CT"), institution="YUNCHENG")
    html = pages.get(f"/person/{exchange_id}").text
    for shown in ("P0001", "77", LI_MING, "证件号相同，姓名一致", "腹部 CT", "按规则", "确认拆分"):
        assert shown in html


def test_an_id_that_was_joined_leads_to_who_it_is_now(registry: Registry, pages: Browser) -> None:
    registry.register(A, names=("李^明",), certificates=certified(LI_MING))
    registry.register(B)
    gone = registry.id_of(B)
    registry.register(B, hours=1, names=("李^明",), certificates=certified(LI_MING))
    answer = pages.get(f"/person/{gone}", follow=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/person/{registry.id_of(A)}")
    assert pages.get("/person/HT0").status_code == 404


def test_a_join_is_split_from_the_persons_page(registry: Registry, pages: Browser) -> None:
    exchange_id = joined(registry)
    event = re.search(r'name="event" value="(\d+)"', pages.get(f"/person/{exchange_id}").text)
    assert event is not None
    answer = pages.ask(
        "POST", f"/person/{exchange_id}/split", data={"event": event[1], "note": "电话核实"}, headers=OURS
    )
    assert answer.status_code == 200
    assert "已撤销" in answer.text
    assert "不是同一人" in answer.text
    assert "电话核实" in answer.text
    assert not registry.one(A, B)


def test_the_work_list_shows_two_records_side_by_side(registry: Registry, pages: Browser) -> None:
    asked(registry)
    html = pages.get("/questions").text
    assert "1 对待核对" in html
    (pk,) = set(re.findall(r"/question/(\d+)", html))
    html = pages.get(f"/question/{pk}").text
    for shown in ("李明", "王芳", "不一致", "证件号相同，姓名不同", "是同一人", "不是同一人", "以后再说"):
        assert shown in html
    assert html.count('class="differs"') == 1


@pytest.mark.parametrize(("said", "one"), [("joined", True), ("apart", False)])
def test_an_answer_is_given_and_leads_on(registry: Registry, pages: Browser, said: str, one: bool) -> None:
    asked(registry)
    pk = re.search(r"/question/(\d+)", pages.get("/questions").text)
    assert pk is not None
    answer = pages.ask("POST", f"/question/{pk[1]}", data={"answer": said, "note": "电话核实"}, headers=OURS)
    assert "没有待核对的记录" in answer.text
    assert registry.one(A, B) is one
    assert "电话核实" in pages.get(f"/question/{pk[1]}").text
    again = pages.ask("POST", f"/question/{pk[1]}", data={"answer": said}, headers=OURS)
    assert again.status_code == 400


def test_later_leaves_the_question_open_and_goes_to_the_next(registry: Registry, pages: Browser) -> None:
    asked(registry)
    registry.register("YUNCHENG/78", names=("赵^强",), certificates=certified(LI_MING))
    first, second = sorted(set(re.findall(r"/question/(\d+)", pages.get("/questions").text)))[:2]
    answer = pages.ask("POST", f"/question/{first}", data={"answer": "later"}, headers=OURS, follow=False)
    assert answer.headers["location"] == f"/question/{second}"
    assert "对待核对" in pages.get("/questions").text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "http://elsewhere.example", "sec-fetch-site": "cross-site"},
        {"origin": "http://huitong.example", "sec-fetch-site": "same-site"},
        {},
    ],
)
def test_what_another_sites_page_sends_decides_nothing(
    registry: Registry, pages: Browser, headers: dict[str, str]
) -> None:
    asked(registry)
    answer = pages.ask("POST", "/question/1", data={"answer": "joined"}, headers=headers)
    assert answer.status_code == 403
    assert len(registry.asked()) == 1


def test_whoever_is_no_registrar_may_look_and_not_decide(tmp_path: Path) -> None:
    with archive_in(tmp_path, registrars=()) as archive, pages_on(archive) as pages:
        registry = Registry(archive)
        registry.register(A, names=("李^明",), certificates=certified(LI_MING))
        registry.register(B, names=("王^芳",), certificates=certified(LI_MING))
        html = pages.get("/question/1").text
        assert "登记管理员答复" in html
        assert 'name="answer"' not in html
        assert pages.ask("POST", "/question/1", data={"answer": "joined"}, headers=OURS).status_code == 403


def test_the_evidence_has_words_for_every_rule_level_and_guard() -> None:
    guards, kinds = {name for name, _ in GUARDS}, the_model().comparisons
    assert guards | {level for each in kinds for level in each.levels} <= set(LEVELS)
    assert {rule.name for rule in RULES} | {"human"} == set(WORDS)


def test_the_pages_speak_english(registry: Registry, pages: Browser) -> None:
    asked(registry)
    pages.get("/language/en-US")
    assert "Not the same person" in pages.get("/question/1").text
    assert "1 pair to look at" in pages.get("/people").text
