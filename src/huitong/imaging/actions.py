"""What the imaging room does for whoever holds a `Work`: keep, find, locate, read. The doors of the room and the pages
use these and nothing below them. `recover`, `reindex`, `verify`, `move` and `Settler` work on a whole store, for its
operator.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Row

from huitong.access.model import Kind
from huitong.access.work import Work
from huitong.base.errors import NotAllowed, NotFound
from huitong.imaging import bulk, finding, lookups, permitting, persons, places, search
from huitong.imaging.bulk import Bulk
from huitong.imaging.keeping import keeper_of
from huitong.imaging.masking import masked_set
from huitong.imaging.model import Expected, Kept, Link, Metadata, Outline, SeriesRow, StoredInstance, StudyRow
from huitong.imaging.moving import Moved, admit, begin_here, move
from huitong.imaging.moving import cancel as cancel_move
from huitong.imaging.outline import outline_of, pictures_of
from huitong.imaging.persons import Persons
from huitong.imaging.places import PackSlice
from huitong.imaging.plan import study_plan
from huitong.imaging.ready import frame_bytes, header_text, ready_of
from huitong.imaging.recovering import Recovered, recover, reindex
from huitong.imaging.settling import Settler, count_unsettled
from huitong.imaging.sharing import share_study, study_to_share
from huitong.imaging.verifying import VerifyReport, verify
from huitong.people import actions as people
from huitong.store.intake import Intake
from huitong.store.store import Store
from huitong.wire.query import Found, Level, Query

__all__ = [
    "Bulk",
    "Intake",
    "Moved",
    "Recovered",
    "Settler",
    "VerifyReport",
    "admit",
    "begin_here",
    "cancel_move",
    "count_unsettled",
    "find",
    "find_bulk",
    "header",
    "keep_instance",
    "links",
    "list_studies",
    "locate",
    "locate_all",
    "locate_variant",
    "located",
    "metadata",
    "metadata_text",
    "move",
    "new_intake",
    "open_slice",
    "outline",
    "read_bulk",
    "read_frame",
    "recover",
    "reindex",
    "representatives",
    "share_study",
    "show_study",
    "study_to_share",
    "thumbnail",
    "variants",
    "verify",
]

#: Series of more instances are not read whole to find one of them.
_SMALL_SERIES = 5000
#: Series shown on a study's page at most.
_SHOWN_SERIES = 500


# --- keeping ---


def new_intake(work: Work) -> Intake:
    """Room for one object on its way in. Raises NotAllowed when the caller may not send."""
    permitting.permit_sending(work)
    return work.store.intakes.new()


async def keep_instance(work: Work, intake: Intake, expected: Expected | None = None) -> Kept:
    """The receipt of an object that is durably kept. The intake is consumed, whatever happens.

    `expected` is what C-STORE announced, `None` for a whole PS3.10 file. Raises NotDicom, MissingIdentity,
    IdentityMismatch (the sender's), StoreFull, StoreUnavailable (ours): then nothing of it was kept.
    """
    try:
        permitting.permit_sending(work)
    except NotAllowed:
        intake.abandon()
        raise
    return await keeper_of(work.store).keep(work, intake, expected)


# --- searching ---


def find(work: Work, query: Query) -> Found:
    """A page of answers in DICOM JSON, newest studies first, masked for whoever has a link (`masking`).

    Raises BadRequest for keys that cannot be matched.
    """
    found = _find(work, query)
    if work.asker.kind is not Kind.SHARE:
        return found
    return replace(found, rows=[masked_set(row) for row in found.rows])


def _find(work: Work, query: Query) -> Found:
    settings = work.store.settings
    limit = min(query.limit or settings.page_rows, settings.page_rows_limit)
    bounds = {"limit": limit, "count_limit": settings.count_limit}
    epoch = permitting.epoch_of(work)  # before the snapshot: what is taken away meanwhile is not remembered
    with work.store.database.reading() as session:
        if query.institution is None:
            query = persons.by_person(session, query, settings.exchange_issuer)
        seen = permitting.seen(session, work, query, epoch)
        if query.level is Level.SERIES:
            return finding.find_series(session, query, seen, settings.exchange_issuer, **bounds)
        if query.level is Level.INSTANCE:
            read = _header_reader(work)
            return finding.find_instances(session, query, seen, read, settings.exchange_issuer, **bounds)
        plan, columns = study_plan(session.kind, query), finding.STUDY_ANSWERED
        seen.narrow(plan)
        hits = search.find_studies(session, plan, query, columns=columns, **bounds)
        said = Persons(session, hits.rows, settings.exchange_issuer) if query.institution is None else None
    rows = [finding.study_json(r, query, said) for r in hits.rows]
    return Found(rows, hits.total, hits.at_least, hits.next)


def list_studies(work: Work, query: Query) -> tuple[list[StudyRow], Found]:
    """The same search as typed rows for pages, of every sender; `Found.rows` is empty."""
    settings = work.store.settings
    limit = min(query.limit or settings.page_rows, settings.page_rows_limit)
    epoch = permitting.epoch_of(work)
    with work.store.database.reading() as session:
        query = persons.by_person(session, query, settings.exchange_issuer)
        plan = study_plan(session.kind, query, every_sender=True)
        permitting.seen(session, work, query, epoch, every_sender=True).narrow(plan)
        hits = search.find_studies(session, plan, query, limit=limit, count_limit=settings.count_limit)
        known = people.exchange_ids(session, (r["patient_pk"] for r in hits.rows if r["patient_pk"] is not None))
    rows = [lookups.study_row_of(r, known.get(r["patient_pk"], "")) for r in hits.rows]
    return rows, Found([], hits.total, hits.at_least, hits.next)


def show_study(work: Work, study_uid: str, institution: str | None = None) -> tuple[StudyRow, list[SeriesRow]]:
    """A study and its series for a page, the first 500 (`StudyRow.series_count` says how many there are).

    Raises NotFound.
    """
    institution = permitting.permit(work, study_uid, institution)
    with work.store.database.read() as tx:
        row = lookups.study_row(tx, study_uid, institution)
        if row is None:
            raise NotFound("study")
        series = lookups.series_of(tx, study_uid, None, institution, _SHOWN_SERIES)
        middle = lookups.middle_uids(tx, [s.pk for s in series])
        person = people.person_of(work, row.institution, row.patient_id) if row.patient_id else None
        row = replace(row, exchange_id=person.exchange_id if person is not None else "")
        return row, [lookups.series_row(s, middle.get(s.pk, "")) for s in series]


def variants(work: Work, study_uid: str, institution: str | None = None) -> list[StoredInstance]:
    """Contents that arrived under UIDs that were taken, in series and instance order. Raises NotFound."""
    institution = permitting.permit(work, study_uid, institution)
    with work.store.database.read() as tx:
        every = lookups.instances(tx, study_uid, None, institution, variants=True)
    return [each for each in every if each.variant]


def representatives(work: Work, studies: list[StudyRow]) -> list[tuple[str, str] | None]:
    """For each study the (series UID, SOP instance UID) whose thumbnail stands for it: of its largest series."""
    keys = [(each.institution, each.study_uid) for each in studies]
    with work.store.database.read() as tx:
        found = lookups.representatives(tx, keys)
    return [found.get(key) for key in keys]


# --- finding bytes ---


def located(
    work: Work, study_uid: str, series_uid: str, sop_uid: str, institution: str | None = None
) -> StoredInstance | None:
    """As `locate`, from memory; None where it would have to ask the database."""
    permitted = permitting.at_hand(work, study_uid, institution)
    if permitted is None:
        return None
    known_places, key = places.by_uid(work.store), (permitted[0], study_uid, series_uid)
    known = known_places.get(key) or known_places.get((*key, sop_uid))
    return known.get(sop_uid) if known is not None else None


def locate(work: Work, study_uid: str, series_uid: str, sop_uid: str, institution: str | None = None) -> StoredInstance:
    """Where one instance is. Raises NotFound."""
    found = located(work, study_uid, series_uid, sop_uid, institution)
    if found is not None:
        return found
    institution = permitting.permit(work, study_uid, institution, "instance")
    known_places, key = places.by_uid(work.store), (institution, study_uid, series_uid)
    with work.store.database.read() as tx:
        known = _read_places(tx, key, sop_uid)
    if not known:
        raise NotFound("instance")
    weight = _weight_bytes(known.values())
    if len(known) > 1 and weight * 4 <= places.LIMIT_BYTES:
        known_places.put(key, known, weight)
    else:
        known_places.put((*key, sop_uid), one := {sop_uid: known[sop_uid]}, _weight_bytes(one.values()))
    return known[sop_uid]


def _read_places(tx: Connection, key: tuple[str | None, str, str], sop_uid: str) -> dict[str, StoredInstance]:
    """The instance, with its whole series where that is small; empty if there is no such instance."""
    institution, study_uid, series_uid = key
    found = lookups.instances(tx, study_uid, series_uid, institution, sop_uid)
    series = lookups.series_of(tx, study_uid, series_uid, institution) if found else []
    if series and 1 < series[0].instance_count <= _SMALL_SERIES:
        found = lookups.instances_of_series(tx, series[0].pk)
    return {each.sop_instance_uid: each for each in found}


def _weight_bytes(instances: Iterable[StoredInstance]) -> int:
    """About the memory that they take: every fragment of a frame is a tuple of two numbers."""
    frames = [each.frames for each in instances]
    fragments = sum(sum(map(len, each.fragments)) + each.count for each in frames if each and each.fragments)
    return 1500 * len(frames) + 130 * fragments


def locate_all(
    work: Work, study_uid: str, series_uid: str | None = None, institution: str | None = None
) -> list[StoredInstance]:
    """All instances of a study or series, in series and instance number order. Raises NotFound when there is none."""
    what = "study" if series_uid is None else "series"
    institution = permitting.permit(work, study_uid, institution, what)
    with work.store.database.read() as tx:
        series = lookups.series_of(tx, study_uid, series_uid, institution)
        found = [each for row in series for each in _of_series(work.store, tx, row)]
    if not found:
        raise NotFound(what)
    return found


def _of_series(store: Store, tx: Connection, row: Row[Any]) -> list[StoredInstance]:
    """The series' instances, remembered until it changes."""
    recent = places.by_series(store)
    found = recent.get((row.pk, row.revision))
    if found is None:
        found = lookups.instances_of_series(tx, row.pk)
        recent.put((row.pk, row.revision), found, _weight_bytes(found))
    return found


def locate_variant(
    work: Work, study_uid: str, sop_uid: str, sha256: str, institution: str | None = None
) -> StoredInstance:
    """One content by its digest, among all that arrived under the same UIDs. Raises NotFound."""
    institution = permitting.permit(work, study_uid, institution, "instance")
    with work.store.database.read() as tx:
        found = lookups.instances(tx, study_uid, None, institution, sop_uid, variants=True)
    for each in found:
        if each.sha256 == sha256:
            return each
    raise NotFound("instance")


def open_slice(work: Work, stored: StoredInstance) -> PackSlice:
    """The object's bytes as received. Raises StoreDamaged if they are not there."""
    return PackSlice(work.store, stored)


def links(
    work: Work, study_uid: str, series_uid: str | None, sop_uid: str | None, institution: str | None = None
) -> list[Link]:
    """Where the object store gives the instances away itself, for `link_s` seconds; without a URL what shares a blob
    with other studies, and everything on a store of files.

    Raises NotFound, also where `link_s` is 0, and for whoever was given a share: these links cannot be taken back.
    """
    store, lasts_s = work.store, work.store.settings.link_s
    if not lasts_s or work.asker.kind is Kind.SHARE:
        raise NotFound("signed links are not given here")
    what = "instance" if sop_uid is not None else "study" if series_uid is None else "series"
    institution = permitting.permit(work, study_uid, institution, what)
    with store.database.read() as tx:
        found = lookups.instances(tx, study_uid, series_uid, institution, sop_uid)
        if not found:
            raise NotFound(what)
        shared = lookups.shared_packs(tx, found[0].pk, {each.blob for each in found})
    urls = {blob: store.blobs.link(blob, lasts_s) for blob in {each.blob for each in found} - shared}
    expires_at = work.now() + timedelta(seconds=lasts_s)
    return [Link(each, urls.get(each.blob), expires_at) for each in found]


def read_frame(work: Work, stored: StoredInstance, number: int) -> bytes:
    """Frame `number` (from 1) as stored. Raises NotFound."""
    return frame_bytes(work.store, stored, number)


def find_bulk(work: Work, stored: StoredInstance, path: str) -> Bulk:
    """Where the bulk value behind a BulkDataURI (or its last part) lies. Raises NotFound."""
    return bulk.find_bulk(work.store, stored, path)


def read_bulk(work: Work, stored: StoredInstance, path: str) -> bytes:
    """The bulk value itself, in the byte order of the object. Raises NotFound."""
    return bulk.read_bulk(work.store, stored, path)


def header(work: Work, stored: StoredInstance) -> dict[str, Any]:
    """The instance's DICOM JSON as made at ingest; bulk values as BulkDataURI relative to the series.

    Masked for whoever has a link.
    """
    read: dict[str, Any] = orjson.loads(header_text(work.store, stored))
    return masked_set(read) if work.asker.kind is Kind.SHARE else read


def metadata(work: Work, study_uid: str, series_uid: str | None = None, institution: str | None = None) -> Metadata:
    """DICOM JSON of all instances of a series or study, ready-made; masked for whoever has a link. Raises NotFound."""
    what = "study" if series_uid is None else "series"
    institution = permitting.permit(work, study_uid, institution, what)
    with work.store.database.read() as tx:
        series = lookups.series_of(tx, study_uid, series_uid, institution)
    if not series:
        raise NotFound(what)
    ready = ready_of(work.store)
    made = ready.study_metadata(series) if series_uid is None else ready.series_metadata(series[0])
    return _masked(made) if work.asker.kind is Kind.SHARE else made


def _masked(made: Metadata) -> Metadata:
    rows = [masked_set(row) for row in orjson.loads(gzip.decompress(made.gzipped))]
    return Metadata(gzip.compress(orjson.dumps(rows), 1, mtime=0), f"{made.etag}-masked")


def outline(work: Work, instances: list[StoredInstance]) -> Outline | None:
    """What is to be known of a series to show its pictures; None where it has none."""
    pictures = pictures_of(instances)
    return outline_of(pictures, header(work, pictures[len(pictures) // 2])) if pictures else None


def metadata_text(work: Work, made: Metadata) -> bytes:
    """The metadata as plain JSON, for clients that take no gzip."""
    return ready_of(work.store).plain(made)


def thumbnail(work: Work, stored: StoredInstance) -> tuple[bytes, str]:
    """A small JPEG of at most 256 pixels and its etag; a tile naming the kind where there is no picture."""
    return ready_of(work.store).thumbnail(stored)


def _header_reader(work: Work) -> finding.HeaderReader:
    return lambda stored: header(work, stored)
