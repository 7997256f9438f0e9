"""How hanzi are read."""

from __future__ import annotations

from huitong.wire import pinyin


def test_tones_are_told_and_the_dots_of_umlauts_dropped() -> None:
    assert [pinyin.toned(one) for one in "小晓吕"] == ["xiǎo", "xiǎo", "lǚ"]
    assert pinyin.toned("a") == ""
    assert [pinyin.without_umlaut(one) for one in ("lv", "lyue", "nu", "wang")] == ["lu", "lue", "nu", "wang"]
