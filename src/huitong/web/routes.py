"""The routes of the pages, in the order in which they are tried; the app puts them after its own."""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute, Route

from huitong.access.actions import Access
from huitong.base.settings import Settings
from huitong.web import card
from huitong.web.account import AccountPage
from huitong.web.accounts import AccountsPages
from huitong.web.directory import DirectoryPages
from huitong.web.emergencies import EmergencyPages
from huitong.web.files import Files, under
from huitong.web.light import LightPages
from huitong.web.me import MyPages
from huitong.web.overseeing import OverseeingPages
from huitong.web.pages import Pages
from huitong.web.people import PeoplePages
from huitong.web.place import Place
from huitong.web.share import SharePages
from huitong.web.sign_in import SignInPages
from huitong.web.viewer import viewer_routes

_STATIC = Path(__file__).parent / "static"


def routes(access: Access, settings: Settings) -> list[BaseRoute]:
    """Everything that people open in a browser, and the files it needs."""
    place = Place(access, settings)
    pages, people = Pages(place), PeoplePages(place)
    return [
        Route("/", pages.studies, name="studies"),
        Route("/study/{institution}/{study_uid}", pages.study, name="study"),
        Route("/study/{institution}/{study_uid}/version/{sha256}", pages.version, name="version"),
        *LightPages(place).routes(),
        *card.routes(place),
        *MyPages(place).routes(),
        *SharePages(place).routes(),
        Route("/people", people.people, name="people"),
        Route("/person/{exchange_id}", people.person, name="person"),
        Route("/person/{exchange_id}/split", people.split, methods=["POST"]),
        Route("/person/{exchange_id}/guardians", people.guardians, methods=["POST"]),
        *EmergencyPages(place).routes(),
        *OverseeingPages(place).routes(),
        Route("/questions", people.questions, name="questions"),
        Route("/question/{pk:int}", people.question, name="question"),
        Route("/question/{pk:int}", people.answer, methods=["POST"]),
        *SignInPages(place).routes(),
        *AccountPage(place).routes(),
        *AccountsPages(place).routes(),
        Route("/about", pages.about, name="about"),
        Route("/language/{tag}", pages.language, name="language"),
        *DirectoryPages(place).routes(),
        Files(_own_files(place)),
        *viewer_routes(settings.ohif_path),
    ]


def _own_files(place: Place) -> dict[str, Path]:
    files = under(_STATIC, "/static/")
    files["/favicon.svg"] = _STATIC / "mark.svg"
    htmx = place.packages / "htmx.org" / "dist" / "htmx.min.js"
    if htmx.is_file():  # the pages work without it
        files["/static/htmx.min.js"] = htmx
    return files
