"""Screens and languages in which pages are looked at."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext
from tests.serving import Server

from huitong.access.actions import SESSION_COOKIE

#: Width, height, colour scheme.
SCREENS = {"desk": (1366, 768, "light"), "night": (1366, 768, "dark"), "phone": (390, 844, "light")}
LANGUAGES = {"zh": "zh-CN", "en": "en-US"}


def opened(
    chromium: Browser, server: Server, screen: str, language: str, *, session: str = "", **more: Any
) -> BrowserContext:
    """A new browser, signed in with the secret `session` where one is given."""
    wide, high, scheme = SCREENS[screen]
    shown: dict[str, Any] = {"viewport": {"width": wide, "height": high}, "color_scheme": scheme, **more}
    context = chromium.new_context(base_url=server.base, is_mobile=screen == "phone", **shown)
    if session:
        context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": server.base}])
    context.request.get(f"/language/{LANGUAGES[language]}")
    return context
