"""A study as a person shares it: decided, and put into words for the programs of whoever gets the link."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from huitong.access import auditing
from huitong.access.sharing.actions import Sharing
from huitong.access.sharing.model import Made, Study, Wish
from huitong.access.work import Work
from huitong.base.clock import milliseconds
from huitong.base.errors import NotFound
from huitong.imaging import lookups, permitting
from huitong.imaging.model import SeriesRow, StudyRow
from huitong.wire.fhir.shared_study import SharedSeries, SharedStudy, shared_study
from huitong.wire.names import masked

#: Series that are told; a program finds the others over DICOMweb.
_MOST_SERIES = 100


def share_study(
    work: Work, sharing: Sharing, study_uid: str, institution: str, wish: Wish, origin: str, name: str
) -> Made:
    """A link to the study, which the asker may see and whose it is. Raises NotFound, BadRequest.

    `origin` is our address as strangers reach it, `name` that of the institution.
    """
    looked = permitting.permit_share(work, study_uid, institution)
    with work.store.database.read() as tx:
        row = lookups.study_row(tx, study_uid, institution)
        series = lookups.series_of(tx, study_uid, None, institution, _MOST_SERIES)
    if row is None:
        raise NotFound("study")
    told = _told(row, [lookups.series_row(each, "") for each in series], name)
    root = f"{origin}/dicom-web/at/{quote(institution, safe='')}"

    def file(token: str, until: datetime) -> bytes:
        return shared_study(told, root, token, milliseconds(until))

    auditing.record(work, looked)
    return sharing.make(work, Study(institution, study_uid, looked.person, file), wish, origin)


def study_to_share(work: Work, study_uid: str, institution: str) -> StudyRow:
    """What is about to be shared. Raises NotFound for whoever may not."""
    permitting.permit_share(work, study_uid, institution)
    with work.store.database.read() as tx:
        row = lookups.study_row(tx, study_uid, institution)
    if row is None:
        raise NotFound("study")
    return row


def _told(row: StudyRow, series: list[SeriesRow], institution: str) -> SharedStudy:
    return SharedStudy(
        masked(row.patient_name),
        row.patient_sex,
        year if (year := row.patient_birth_date[:4]).isdecimal() and len(year) == 4 else "",
        row.study_uid,
        row.study_date,
        row.description,
        institution,
        row.modalities,
        row.instance_count,
        [SharedSeries(s.series_uid, s.modality, s.number, s.description, s.instance_count) for s in series],
    )
