"""What a study's page shows: its series, what of them OHIF does not show, what was kept beside its first version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from huitong.access.work import Work
from huitong.base.errors import NotFound
from huitong.imaging.actions import locate_all, open_slice, show_study, variants
from huitong.imaging.model import SeriesRow, StoredInstance, StudyRow
from huitong.web.look import dicomweb_url
from huitong.web.modalities import _

#: SOP classes that are read on the study's page, by the beginning of their UID (PS3.4 table B.5-1):
#: (kind, title, media type asked of /rendered).
SHOWN_HERE = (
    ("1.2.840.10008.5.1.4.1.1.9.", "waveform", _("Waveform"), "image/svg+xml"),
    ("1.2.840.10008.5.1.4.1.1.104.1", "document", _("Document (PDF)"), "application/pdf"),
    ("1.2.840.10008.5.1.4.1.1.88.", "report", _("Structured report"), "text/html"),
)
#: More than this of a series on one page serves nobody; the rest is in the viewer.
_SHOWN_LIMIT = 12
_CHUNK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Shown:
    """An object that the page shows itself."""

    kind: str
    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Version:
    """One of several contents that came under the same SOP Instance UID; 1 is the one that is shown everywhere."""

    number: int
    instance_number: int | None
    sha256: str
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """A series of the page."""

    row: SeriesRow
    thumbnail: str
    shown_here: tuple[Shown, ...]
    versions: tuple[Version, ...]


def study_page(work: Work, study_uid: str, institution: str) -> tuple[StudyRow, list[SeriesPart]]:
    """The study as this institution sent it. Raises NotFound."""
    study, rows = show_study(work, study_uid, institution)
    instances = _by_series(locate_all(work, study_uid, institution=institution))
    doubled = _by_series(variants(work, study_uid, institution) if "variant" in study.flags else [])
    parts = []
    for row in rows:
        taken = {each.sop_instance_uid for each in doubled[row.series_uid]}
        first = [each for each in instances[row.series_uid] if each.sop_instance_uid in taken]
        every = sorted([*first, *doubled[row.series_uid]], key=lambda each: (each.sop_instance_uid, each.variant))
        parts.append(
            SeriesPart(
                row,
                thumbnail_url(institution, study_uid, row.series_uid, row.representative_uid),
                tuple(shown_here(instances[row.series_uid]))[:_SHOWN_LIMIT],
                tuple(_version(each) for each in every),
            )
        )
    return study, parts


def thumbnail_url(institution: str, study_uid: str, series_uid: str, sop_uid: str) -> str:
    """Where the small picture of an instance is."""
    parts = ("studies", study_uid, "series", series_uid, "instances", sop_uid, "thumbnail")
    return dicomweb_url(institution, *parts)


def version(work: Work, study_uid: str, institution: str, sha256: str) -> StoredInstance:
    """One content of the study by its digest. Raises NotFound."""
    for each in (*locate_all(work, study_uid, institution=institution), *variants(work, study_uid, institution)):
        if each.sha256 == sha256:
            return each
    raise NotFound("version")


def read(work: Work, stored: StoredInstance) -> Iterator[bytes]:
    """The object's bytes as received, piece by piece."""
    piece = open_slice(work, stored)
    try:
        for at in range(0, piece.length, _CHUNK_BYTES):
            yield piece.read(at, _CHUNK_BYTES)
    finally:
        piece.close()


def _by_series(instances: list[StoredInstance]) -> dict[str, list[StoredInstance]]:
    found: dict[str, list[StoredInstance]] = defaultdict(list)
    for each in instances:
        found[each.series_uid].append(each)
    return found


def _version(each: StoredInstance) -> Version:
    url = f"/study/{quote(each.institution)}/{quote(each.study_uid)}/version/{each.sha256}"
    return Version(each.variant + 1, each.instance_number, each.sha256, each.size_bytes, url)


def shown_here(instances: list[StoredInstance]) -> Iterator[Shown]:
    """What of these is no picture and is shown by the page itself."""
    for each in instances:
        for prefix, kind, title, media_type in SHOWN_HERE:
            if each.sop_class_uid.startswith(prefix):
                parts = ("studies", each.study_uid, "series", each.series_uid, "instances", each.sop_instance_uid)
                url = dicomweb_url(each.institution, *parts, "rendered")
                yield Shown(kind, title, f"{url}?accept={quote(media_type, safe='')}")
