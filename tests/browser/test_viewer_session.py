"""A session that ends while somebody looks at images: the viewer leads to the sign-in, and that back to the study."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from pydicom.uid import ExplicitVRLittleEndian
from tests.archives import PASSWORD, archive_in, signed_in
from tests.browser import images
from tests.browser.images import Sent
from tests.serving import Server, huitong, serving

from huitong.access.model import Role

pytestmark = pytest.mark.usefixtures("ohif")
SLICES = 12
CANVAS = ".cornerstone-canvas"


@pytest.fixture(scope="module")
def server(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Nobody reads by address."""
    data = tmp_path_factory.mktemp("viewer-session") / "data"
    with archive_in(data) as archive:
        signed_in(archive, "zhang", Role.DOCTOR, institution="TAIYUAN")
    with serving(data, "--readers", "192.0.2.0/24") as running:
        running.data = data  # type: ignore[attr-defined]
        yield running


@pytest.fixture(scope="module")
def study(server: Server) -> Sent:
    """A CT of several slices."""
    first = images.ct_as(ExplicitVRLittleEndian)
    server.stow(first.data, *(images.slice_of(first, number) for number in range(2, SLICES + 1)))
    return first


def _address(study: Sent) -> str:
    return f"/viewer?StudyInstanceUIDs={study.study_uid}&institution=TAIYUAN"


def _sign_in(tab: Page) -> None:
    tab.fill("#name", "zhang")
    tab.fill("#password", PASSWORD)
    tab.click("main form button")


def test_a_viewer_without_a_session_leads_to_the_sign_in_and_back(server: Server, tab: Page, study: Sent) -> None:
    tab.goto(_address(study))
    tab.wait_for_url("**/sign-in?next=*")
    _sign_in(tab)
    tab.wait_for_url(f"{server.base}{_address(study)}")
    tab.wait_for_selector(CANVAS)


def test_who_scrolls_on_after_the_session_has_ended_signs_in_and_sees_the_same_study(
    server: Server, context: BrowserContext, tab: Page, study: Sent
) -> None:
    held: list[Route] = []
    hold = [True]

    def frame(route: Route) -> None:
        """Slices beyond the first two wait, as they do on a slow line."""
        if hold[0] and len(seen) >= 2:
            held.append(route)
        else:
            seen.append(route.request.url)
            route.continue_()

    seen: list[str] = []
    tab.goto(f"/sign-in?next={_address(study).replace('&', '%26')}")
    tab.route("**/frames/*", frame)
    _sign_in(tab)
    tab.wait_for_selector(CANVAS)
    while not held:
        tab.wait_for_timeout(100)
    # Ended from elsewhere: by the operator, as an admin or the account's owner does.
    done = huitong("account", "disable", "zhang", "--data", str(server.data), "--demo")  # type: ignore[attr-defined]
    assert done.returncode == 0, done.stderr
    huitong("account", "enable", "zhang", "--data", str(server.data), "--demo")  # type: ignore[attr-defined]
    tab.wait_for_timeout(2500)  # until this process has heard of it
    hold[0] = False
    tab.locator(CANVAS).first.hover()
    tab.mouse.wheel(0, 300)
    for route in held:
        route.continue_()
    tab.wait_for_url("**/sign-in?next=*")
    expect(tab.locator("#name")).to_be_visible()
    _sign_in(tab)
    tab.wait_for_url(f"{server.base}{_address(study)}")
    tab.wait_for_selector(CANVAS)
    expect(tab.get_by_text("401")).to_have_count(0)
