"""The light image page, for phones: one picture at a time, made by this server at the size of the screen.

The document brings all that its first picture needs: the address of the picture, and what is to be known of its series.
Other series are asked for when they are opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from huitong.access.model import Kind
from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.catalog.windows import CT_WINDOWS
from huitong.imaging.actions import locate_all, outline, representatives, show_study
from huitong.imaging.model import Outline, SeriesRow, StudyRow
from huitong.web.i18n import Language, language_of
from huitong.web.look import answer, dicomweb_url, light_url
from huitong.web.modalities import NAMES
from huitong.web.place import Place
from huitong.web.study import shown_here, thumbnail_url
from huitong.wire.names import masked

#: Sides of the square that a picture is fitted into, in pixels: few, so that a turned phone finds again what it has.
BOXES = (512, 768, 1024, 1280, 1536, 2048, 3072)
_MOST_BOX = 4096
_QUALITY = 85
_MOST_OBJECTS = 12


class LightPages:
    """The endpoints; one object for each app."""

    def __init__(self, place: Place) -> None:
        self.place = place

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/look/{institution}/{study_uid}", self.look, name="look"),
            Route("/look/{institution}/{study_uid}/{series_uid}", self.series, name="look-series"),
        ]

    async def look(self, request: Request) -> Response:
        """The page, with `?series=` or the series that is most likely meant open. Raises NotFound."""
        work, study = self.place.reader(request), _Study.of(request)
        shown = await to_thread.run_sync(
            _shown, work, study, request.query_params.get("series", ""), language_of(request)
        )
        return answer(
            request,
            "light.html",
            row=shown.row,
            name=masked(shown.row.patient_name),
            series=shown.series,
            opened=shown.opened,
            first=shown.first,
            thumbnail=study.thumbnail,
            address=study.address,
            back=_back(work, shown.row),
            institution=self.place.institution_names(request).get(study.institution, study.institution),
            modality_names=NAMES,
        )

    async def series(self, request: Request) -> Response:
        """What is to be known of one series, as the page takes it. Raises NotFound."""
        work, study, uid = self.place.reader(request), _Study.of(request), request.path_params["series_uid"]
        found = await to_thread.run_sync(_alone, work, study, uid, language_of(request))
        return Response(orjson.dumps(found), headers={"Cache-Control": "no-store"}, media_type="application/json")


@dataclass(frozen=True, slots=True)
class _Study:
    """Which study, and where things of it are."""

    institution: str
    study_uid: str

    @classmethod
    def of(cls, request: Request) -> _Study:
        return cls(request.path_params["institution"], request.path_params["study_uid"])

    @property
    def address(self) -> str:
        return light_url(self.institution, self.study_uid)

    def instances(self, series_uid: str) -> str:
        """Below it each instance has its address."""
        return dicomweb_url(self.institution, "studies", self.study_uid, "series", series_uid, "instances") + "/"

    def thumbnail(self, row: SeriesRow) -> str:
        return thumbnail_url(self.institution, self.study_uid, row.series_uid, row.representative_uid)


@dataclass(frozen=True, slots=True)
class _Shown:
    row: StudyRow
    series: list[SeriesRow]
    #: As `_described` has it.
    opened: dict[str, Any]
    first: FirstPicture | None


@dataclass(frozen=True, slots=True)
class FirstPicture:
    """What the browser needs to choose and fetch the first picture before any script runs."""

    src: str
    srcset: str
    sizes: str
    width: int
    height: int


def _shown(work: Work, study: _Study, series_uid: str, language: Language) -> _Shown:
    row, series = show_study(work, study.study_uid, study.institution)
    if series_uid not in {each.series_uid for each in series}:
        found = representatives(work, [row])[0]
        series_uid = found[0] if found else ""
    meant = next((each for each in series if each.series_uid == series_uid), series[0])
    opened = _described(work, study, meant, language)
    return _Shown(row, series, opened, _first(opened))


def _alone(work: Work, study: _Study, series_uid: str, language: Language) -> dict[str, Any]:
    _, series = show_study(work, study.study_uid, study.institution)
    row = next((each for each in series if each.series_uid == series_uid), None)
    if row is None:
        raise NotFound("series")
    return _described(work, study, row, language)


def _described(work: Work, study: _Study, row: SeriesRow, language: Language) -> dict[str, Any]:
    """Of a series what the script of the page takes. Raises NotFound."""
    instances = locate_all(work, study.study_uid, row.series_uid, study.institution)
    say = language.translations.ugettext
    objects = [{"kind": each.kind, "title": say(each.title), "url": each.url} for each in shown_here(instances)]
    found = outline(work, instances)
    said: dict[str, Any] = {"uid": row.series_uid, "objects": objects[:_MOST_OBJECTS], "images": []}
    if found is not None:
        said |= _pictures(found, study.instances(row.series_uid), row.modality, language)
    return said


def _pictures(found: Outline, base: str, modality: str, language: Language) -> dict[str, Any]:
    """UIDs without what all of them begin with: of 500 slices that is most of what would be sent."""
    prefix = _common([uid for uid, _ in found.images])
    longest = max(found.width, found.height, 1)
    windows = [[name, center, width] for name, center, width in found.windows[1:]] if found.grey else []
    if modality == "CT" and found.grey:
        chinese = language.locale == "zh_CN"
        windows += [[each.names[0 if chinese else 1], each.center, each.width] for each in CT_WINDOWS.values()]
    films = any(frames > 1 for _, frames in found.images)
    return {
        "base": base + prefix,
        "images": [[uid[len(prefix) :], frames] if frames > 1 else uid[len(prefix) :] for uid, frames in found.images],
        # In the middle of a volume there is something to be seen; a film begins at its beginning.
        "at": 0 if films or modality not in ("CT", "MR", "PT") else len(found.images) // 2,
        "width": found.width,
        "height": found.height,
        "boxes": [*(box for box in BOXES if box < longest), min(longest, _MOST_BOX)],
        "quality": _QUALITY,
        "grey": found.grey,
        "start": found.start,
        "windows": windows,
        "film": films,
        "frame_ms": found.frame_ms,
    }


def _common(uids: list[str]) -> str:
    """What all of them begin with."""
    lowest, highest = min(uids), max(uids)
    same = (at for at, (one, other) in enumerate(zip(lowest, highest, strict=False)) if one != other)
    return lowest[: next(same, min(len(lowest), len(highest)))]


def _first(opened: dict[str, Any]) -> FirstPicture | None:
    """As the script would ask for it, so that the two are one request."""
    if not opened["images"]:
        return None
    image = opened["images"][opened["at"]]
    uid, frame = (image, "") if isinstance(image, str) else (image[0], "/frames/1")
    width, height, boxes = opened["width"], opened["height"], opened["boxes"]
    urls = {
        box: f"{opened['base']}{uid}{frame}/rendered?viewport={box},{box}&quality={opened['quality']}" for box in boxes
    }
    share = width / max(width, height)
    # The width that it will have on the screen: the bars take 176 px of the height.
    sizes = f"(max-aspect-ratio: {width}/{height}) 100vw, calc((100vh - 176px) * {width / max(height, 1):.4f})"
    srcset = ", ".join(f"{url} {max(1, round(box * share))}w" for box, url in urls.items())
    return FirstPicture(urls[boxes[0]], srcset if len(boxes) > 1 else "", sizes, width, height)


def _back(work: Work, row: StudyRow) -> str:
    """Where the asker came from; nowhere for whoever has only this study."""
    if work.asker.kind is Kind.SHARE:
        return ""
    if work.asker.kind is Kind.PERSON:
        own = row.exchange_id in ("", work.asker.person)
        return "/me/studies" if own else f"/me/child/{quote(row.exchange_id, safe='')}/studies"
    return f"/study/{quote(row.institution, safe='')}/{quote(row.study_uid, safe='')}"
