"""A mid-range phone: its screen, fingers by CDP, its slow processor and its network."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, Page
from tests.browser.conftest import NODE_MODULES

PHONE: dict[str, Any] = {
    "viewport": {"width": 393, "height": 851}, "device_scale_factor": 2.75, "is_mobile": True, "has_touch": True,
}  # fmt: skip
DESK: dict[str, Any] = {"viewport": {"width": 1366, "height": 768}}
#: DevTools' "Fast 4G" as it applies it: 9 Mbit/s less a tenth, 165 ms for each request.
FAST_4G = {
    "offline": False, "latency": 165, "downloadThroughput": 9e6 / 8 * 0.9, "uploadThroughput": 1.5e6 / 8 * 0.9,
}  # fmt: skip
#: Times slower than this machine: what DevTools offers for a mid-range phone.
SLOWER = 4


def phone(chromium: Browser, base: str) -> BrowserContext:
    opened = chromium.new_context(base_url=base, **PHONE)
    opened.set_default_timeout(30_000)
    return opened


def slowed(tab: Page) -> CDPSession:
    """The page runs as on a mid-range phone, out of doors."""
    session = tab.context.new_cdp_session(tab)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", FAST_4G)
    session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    return session


class Fingers:
    """Touches of the screen, as the browser gets them from its device."""

    def __init__(self, tab: Page) -> None:
        self._session = tab.context.new_cdp_session(tab)

    def swipe(self, begin: tuple[float, float], end: tuple[float, float], steps: int = 12) -> None:
        self.move([(begin, end)], steps)

    def move(self, ways: list[tuple[tuple[float, float], tuple[float, float]]], steps: int = 12) -> None:
        """Each finger its way, all at once."""
        for step in range(steps + 1):
            share = step / steps
            points = [
                {"x": a[0] + (b[0] - a[0]) * share, "y": a[1] + (b[1] - a[1]) * share, "id": at}
                for at, (a, b) in enumerate(ways)
            ]
            self._touch("touchMove" if step else "touchStart", points)
        self._touch("touchEnd", [])

    def tap(self, at: tuple[float, float]) -> None:
        self._touch("touchStart", [{"x": at[0], "y": at[1], "id": 0}])
        self._touch("touchEnd", [])

    def _touch(self, kind: str, points: list[dict[str, float]]) -> None:
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def axe(tab: Page) -> list[tuple[str, str]]:
    """What keeps people out of the page as it stands: rule and element."""
    file = NODE_MODULES / "axe-core/axe.min.js"
    tab.evaluate(file.read_text("utf-8"))
    return [(each["id"], each["nodes"][0]["html"]) for each in tab.evaluate("axe.run()")["violations"]]
