"""The doctor's page and the supervisor's, on the screen of a county hospital and on a phone, in Chromium."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.archives import TestArchive, archive_in
from tests.askers import KnowingAccess, doctor, staff
from tests.browser.conftest import NODE_MODULES
from tests.imaging.test_persons import certificate, id_of, send

from huitong.access.model import Role
from huitong.app.asgi import application
from huitong.app.http import serve_http
from huitong.base.clock import now
from huitong.directory.actions import read_directory
from huitong.people.adt import Effect, VisitChange
from huitong.people.visiting import change_visit

DESK, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
REASON = "车祸昏迷，需要既往影像"


class Ward:
    """A server in this process, which takes everybody for `access.asker`, and a patient of two hospitals."""

    def __init__(self, archive: TestArchive, base: str) -> None:
        self.archive, self.base = archive, base
        assert isinstance(archive.access, KnowingAccess)
        self.access = archive.access
        born = {"OtherPatientIDsSequence": certificate("11010519491231002X"), "PatientName": "Li^Ming=李^明"}
        self.there = send(archive, "TAIYUAN", "T1", StudyDescription="胸部平扫", **born)
        self.here = send(archive, "YUNCHENG", "Y1", StudyDescription="头颅平扫", StudyDate="20250301", **born)
        archive.settle()
        self.person = id_of(archive, "TAIYUAN", "T1")

    def visit(self) -> None:
        with self.archive.store.database.write() as tx:
            change_visit(tx, "YUNCHENG", VisitChange(Effect.OPENS, "Y1", "V1", "I", now()), now())


@pytest.fixture
def ward(chromium: Browser, tmp_path: Path) -> Iterator[Ward]:
    with archive_in(tmp_path) as archive:
        archive.access = KnowingAccess(archive.store, read_directory(None, demo=True))
        app = application(archive.store, archive.access, lambda: 0)
        ports: list[int] = []
        ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

        def started(port: int) -> None:
            ports.append(port)
            ready.set()

        def run() -> None:
            loop.run_until_complete(serve_http(app, "127.0.0.1", 0, stop=stop, grace_s=1, started=started))

        thread = threading.Thread(target=run)
        thread.start()
        assert ready.wait(20)
        try:
            with ThreadPoolExecutor(1) as pool:  # Playwright has a loop in this thread, and sending begins another
                made = pool.submit(Ward, archive, f"http://127.0.0.1:{ports[0]}").result()
            yield made
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            loop.close()


@pytest.fixture
def context(chromium: Browser, ward: Ward) -> Iterator[BrowserContext]:
    opened = chromium.new_context(base_url=ward.base, viewport={"width": 1366, "height": 768})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


def check(tab: Page, picture: Path) -> None:
    """Looked at on both screens; nothing is wider than the phone, and axe has nothing to say."""
    axe = NODE_MODULES / "axe-core/axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed; `make setup` does it")
    for name, size in (("desk", DESK), ("phone", PHONE)):
        tab.set_viewport_size({"width": size["width"], "height": size["height"]})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        tab.screenshot(path=picture.with_name(f"{picture.name}-{name}.png"), full_page=True)
    tab.set_viewport_size({"width": DESK["width"], "height": DESK["height"]})
    tab.evaluate(axe.read_text("utf-8"))
    assert [(each["id"], each["nodes"][0]["html"]) for each in tab.evaluate("axe.run()")["violations"]] == []


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_an_emergency_from_the_doctors_form_to_the_supervisors_verdict(
    tab: Page, ward: Ward, pictures: Path, language: str
) -> None:
    tab.goto(f"/language/{language}")
    ward.access.asker = doctor()
    tab.goto(f"/person/{ward.person}")
    expect(tab.get_by_text("头颅平扫")).to_be_visible()
    expect(tab.get_by_text("胸部平扫")).to_have_count(0)
    tab.locator(".emergency summary").click()
    check(tab, pictures / f"doctor-closed-{language}")
    tab.locator("#reason").fill(REASON)
    tab.locator(".emergency button").click()
    expect(tab.get_by_text("胸部平扫")).to_be_visible()
    check(tab, pictures / f"doctor-open-{language}")
    ward.access.asker = staff(Role.SUPERVISOR, institution=None)
    tab.goto("/break-glass")
    expect(tab.get_by_text(REASON)).to_be_visible()
    check(tab, pictures / f"emergencies-{language}")
    tab.locator("button[value=unjustified]").click()
    expect(tab.get_by_text(REASON)).to_have_count(0)
    check(tab, pictures / f"emergencies-none-{language}")


def test_an_outside_study_opens_in_the_viewer_while_a_visit_is_open(
    tab: Page, ward: Ward, ohif: None, pictures: Path
) -> None:
    ward.access.asker = doctor()
    refused = tab.request.get(f"/dicom-web/studies/{ward.there}/metadata")
    assert refused.status == 404
    ward.visit()
    tab.goto(f"/person/{ward.person}")
    tab.get_by_role("link", name="胸部平扫").click()
    expect(tab.locator(".cornerstone-canvas").first).to_be_visible()
    tab.screenshot(path=pictures / "doctor-viewer.png")
