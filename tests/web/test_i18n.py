"""Every message of templates and sources has its Chinese, and no catalogue holds what is not said any more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from huitong.web import i18n

WEB = Path(i18n.__file__).parent
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}


def said() -> Iterator[str | tuple[str, ...]]:
    for _, _, message, _, _ in extract_from_dir(WEB, METHODS, OPTIONS):
        yield message


def catalogue(locale: str) -> Catalog:
    path = WEB / "locale" / locale / "LC_MESSAGES" / "messages.po"
    return read_po(BytesIO(path.read_bytes()), locale=locale)


def test_everything_said_is_in_the_chinese_catalogue() -> None:
    chinese = catalogue("zh_CN")
    said_here = set(said())
    assert len(said_here) > 80
    missing = [each for each in said_here if (found := chinese.get(each)) is None or not _text(found.string)]
    assert missing == []


def test_no_catalogue_holds_what_is_not_said() -> None:
    keys = {each if isinstance(each, str) else each[0] for each in said()}
    for locale in ("zh_CN", "en"):
        held = {m.id if isinstance(m.id, str) else m.id[0] for m in catalogue(locale) if m.id}
        assert held - keys == set()


@pytest.mark.parametrize("locale", ["zh_CN", "en"])
def test_translations_keep_the_places_for_values(locale: str) -> None:
    for message in catalogue(locale):
        source = message.id if isinstance(message.id, str) else " ".join(message.id)
        assert _places(_text(message.string) or source) == _places(source), message.id


def test_the_chinese_catalogue_is_chinese() -> None:
    for message in catalogue("zh_CN"):
        if message.id:
            assert re.search("[\u4e00-\u9fff]", _text(message.string)), message.id


def _text(string: str | tuple[str, ...] | list[str]) -> str:
    return string if isinstance(string, str) else " ".join(string)


def _places(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))
