"""The two languages of the pages, and which of them a reader has chosen.

Messages are English in the source; `locale/<locale>/LC_MESSAGES/messages.po` has the others. The catalogues are read
when this module is imported (a few ms), so that there is nothing to compile and nothing that could be stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from starlette.requests import Request

#: OHIF keeps its language in this cookie too: one switch for both.
COOKIE = "i18next"
COOKIE_MAX_AGE_S = 365 * 24 * 3600
LOCALES = Path(__file__).parent / "locale"


@dataclass(frozen=True, slots=True)
class Language:
    """A language that the pages speak."""

    #: BCP 47, for `lang` attributes and the cookie.
    tag: str
    #: Folder of the catalogue.
    locale: str
    #: What its speakers call it.
    own_name: str
    translations: Translations


def _catalogue(locale: str) -> Translations:
    with (LOCALES / locale / "LC_MESSAGES" / "messages.po").open("rb") as source:
        catalogue = read_po(source, locale=locale)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)


LANGUAGES = {
    tag: Language(tag, locale, own_name, _catalogue(locale))
    for tag, locale, own_name in (("zh-CN", "zh_CN", "中文"), ("en-US", "en", "English"))
}
DEFAULT = LANGUAGES["zh-CN"]


def language_of(request: Request) -> Language:
    """The reader's choice; Chinese until one is made. Any English or Chinese that OHIF may have written counts."""
    chosen = request.cookies.get(COOKIE, "")
    return next((each for tag, each in LANGUAGES.items() if chosen[:2].lower() == tag[:2]), DEFAULT)
