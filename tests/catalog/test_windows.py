"""The windows that the light page offers, as the catalogue has them."""

from __future__ import annotations

from huitong.catalog.windows import CT_WINDOWS, DATE, SOURCE


def test_windows_say_where_they_come_from() -> None:
    assert DATE.year >= 2026
    assert "Radiopaedia" in SOURCE


def test_every_window_has_both_names_and_a_width() -> None:
    assert {"lung", "bone", "soft"} <= set(CT_WINDOWS)
    for each in CT_WINDOWS.values():
        assert all(each.names)
        assert each.width > 0
