"""The card on a phone and at a desk: readable by a decoder of others, renewed in time, opened by a scanner's typing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.archives import archive_in
from tests.browser.conftest import NODE_MODULES
from tests.people.cards.patients import register
from tests.serving import Server, serving

from huitong.people.cards import actions
from huitong.people.cards.codes import read

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with one person who has a card, and the person's exchange id."""
    folder = tmp_path_factory.mktemp("cards") / "data"
    with archive_in(folder) as archive:
        person = register(archive, "P1", "张小三", "11010519491231002X")
        actions.issue(archive.sender(), "P1")
    return folder, person


@pytest.fixture(scope="module")
def server(chromium: Browser, people: tuple[Path, str]) -> Iterator[Server]:
    with serving(people[0], "--card-code-s", "10") as running:
        yield running


def decoded(picture: Path) -> str:
    if shutil.which("zbarimg") is None:
        pytest.skip("zbar-tools is not installed")
    done = subprocess.run(["zbarimg", "-q", "--raw", picture], capture_output=True, text=True, check=False)
    return done.stdout.strip()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1366, "height": 768}], ids=["phone", "desk"])
def test_a_decoder_of_others_reads_the_code_off_the_screen(
    tab: Page, people: tuple[Path, str], pictures: Path, size: dict[str, int], scheme: str
) -> None:
    tab.set_viewport_size({"width": size["width"], "height": size["height"]})
    tab.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    tab.goto(f"/health-card/{people[1]}")
    expect(tab.get_by_text("张*三")).to_be_visible()
    expect(tab.locator(".qr")).to_be_in_viewport(ratio=1)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    picture = pictures / f"card-{size['width']}-{scheme}.png"
    tab.screenshot(path=picture)
    code = read(decoded(picture))
    assert code is not None
    assert code.dynamic


def test_the_code_is_counted_down_and_renewed(tab: Page, people: tuple[Path, str], pictures: Path) -> None:
    tab.goto(f"/health-card/{people[1]}")
    before = tab.locator(".qr path").last.get_attribute("d")
    left = tab.locator("[data-left]")
    expect(left).to_have_text(re.compile("^[1-9]$"))
    tab.wait_for_function("d => [...document.querySelectorAll('.qr path')].pop().getAttribute('d') !== d", arg=before)
    expect(left).to_have_text(re.compile("^(10|9|8)$"))
    tab.screenshot(path=pictures / "card-renewed.png")
    assert read(decoded(pictures / "card-renewed.png")) is not None


def test_a_code_that_cannot_be_renewed_is_not_shown_as_good(
    tab: Page, people: tuple[Path, str], pictures: Path
) -> None:
    tab.goto(f"/health-card/{people[1]}")
    tab.route("**/code", lambda route: route.abort())
    expect(tab.locator(".card-code.stale")).to_be_visible(timeout=20_000)
    expect(tab.get_by_text("这个码已过期")).to_be_visible()
    tab.screenshot(path=pictures / "card-stale.png")
    assert decoded(pictures / "card-stale.png") == ""
    tab.unroute("**/code")
    expect(tab.locator(".card-code:not(.stale)")).to_be_visible(timeout=20_000)


def test_a_scanner_types_into_the_field_and_the_person_opens(
    tab: Page, people: tuple[Path, str], pictures: Path
) -> None:
    tab.goto(f"/health-card/{people[1]}")
    tab.screenshot(path=pictures / "card-to-scan.png")
    text = decoded(pictures / "card-to-scan.png")
    tab.goto("/health-card")
    expect(tab.get_by_label("健康卡二维码")).to_be_focused()
    tab.screenshot(path=pictures / "card-scan.png")
    tab.keyboard.type(text)
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**/person/{people[1]}")
    expect(tab.get_by_role("heading", level=1)).to_contain_text("张小三")
    tab.goto("/health-card")
    tab.keyboard.type(text)
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("alert")).to_contain_text("这个码已经用过")
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.screenshot(path=pictures / "card-scan-refused.png")
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("path", ["/health-card", "/health-card/{person}", "/health-card/{person}?code=static"])
def test_nothing_keeps_people_out(tab: Page, people: tuple[Path, str], path: str) -> None:
    axe = NODE_MODULES / "axe-core/axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed")
    tab.goto(path.replace("{person}", people[1]))
    tab.evaluate(axe.read_text("utf-8"))
    found = tab.evaluate("axe.run()")["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
