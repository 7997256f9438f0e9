"""The SQL that reads the index by UID: where an instance is, what a study and its series hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, select

from huitong.imaging.model import SeriesRow, StoredInstance, StudyRow
from huitong.imaging.tables import FLAGS, INSTANCE, PACK, SERIES, STUDY
from huitong.wire.dicom.frames import Frames

_STORED = (
    select(
        STUDY.c.study_uid, STUDY.c.institution, SERIES.c.series_uid, PACK.c.name.label("pack"), INSTANCE,
    )
    .join_from(INSTANCE, SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
    .join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
    .join(PACK, PACK.c.pk == INSTANCE.c.pack_pk)
)  # fmt: skip


def whose(study_uid: str, institution: str | None) -> Any:
    """The condition that picks one study: this institution's, or the one shown where none is named."""
    sender = STUDY.c.shown == 1 if institution is None else STUDY.c.institution == institution
    return and_(STUDY.c.study_uid == study_uid, sender)


def instances(
    tx: Connection,
    study_uid: str,
    series_uid: str | None,
    institution: str | None,
    sop_uid: str | None = None,
    *,
    variants: bool = False,
) -> list[StoredInstance]:
    """Instances in the order of series and instance number; only the first content of each unless `variants`."""
    query = _STORED.where(whose(study_uid, institution))
    if series_uid is not None:
        query = query.where(SERIES.c.series_uid == series_uid)
    if sop_uid is not None:
        query = query.where(INSTANCE.c.sop_uid == sop_uid)
    if not variants:
        query = query.where(INSTANCE.c.variant == 0)
    order = (SERIES.c.series_number.is_(None), SERIES.c.series_number, SERIES.c.pk)
    return [stored_of(r) for r in tx.execute(query.order_by(*order, *IN_SERIES, INSTANCE.c.variant))]


#: Instances without a number come last, in the order of arrival.
IN_SERIES = (INSTANCE.c.instance_number.is_(None), INSTANCE.c.instance_number, INSTANCE.c.pk)


def instances_of_series(tx: Connection, series_pk: int) -> list[StoredInstance]:
    query = _STORED.where(SERIES.c.pk == series_pk, INSTANCE.c.variant == 0)
    return [stored_of(r) for r in tx.execute(query.order_by(*IN_SERIES))]


def instances_by_pk(tx: Connection, pks: list[int]) -> dict[int, StoredInstance]:
    return {r.pk: stored_of(r) for r in tx.execute(_STORED.where(INSTANCE.c.pk.in_(pks)))}


def stored_of(r: Row[Any]) -> StoredInstance:
    return StoredInstance(
        study_uid=r.study_uid,
        series_uid=r.series_uid,
        sop_class_uid=r.sop_class_uid,
        sop_instance_uid=r.sop_uid,
        transfer_syntax_uid=r.transfer_syntax_uid,
        institution=r.institution,
        sha256=r.sha256.hex(),
        size_bytes=r.payload_bytes,
        blob=r.pack,
        blob_offset=r.payload_at,
        frames=Frames.unpack(r.frames) if r.frames else None,
        instance_number=r.instance_number,
        deflated=bool(r.deflated),
        pk=r.pk,
        variant=r.variant,
        tail_bytes=r.tail_bytes,
    )


def series_of(tx: Connection, study_uid: str, series_uid: str | None, institution: str | None) -> list[Row[Any]]:
    """Rows of `series` (all columns), in series number order."""
    query: Select[Any] = select(SERIES).join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
    query = query.where(whose(study_uid, institution))
    if series_uid is not None:
        query = query.where(SERIES.c.series_uid == series_uid)
    order = (SERIES.c.series_number.is_(None), SERIES.c.series_number, SERIES.c.pk)
    return list(tx.execute(query.order_by(*order)))


def study_row(tx: Connection, study_uid: str, institution: str | None) -> StudyRow | None:
    r = tx.execute(select(STUDY).where(whose(study_uid, institution))).first()
    return study_row_of(r) if r else None


def study_row_of(r: Row[Any]) -> StudyRow:
    return StudyRow(
        study_uid=r.study_uid,
        institution=r.institution,
        patient_id=r.patient_id,
        patient_name=r.patient_name,
        patient_sex=r.patient_sex,
        patient_birth_date=r.patient_birth_date,
        study_date=r.study_date,
        study_time=r.study_time,
        accession_number=r.accession_number,
        description=r.description,
        modalities=tuple(r.modalities.split()),
        series_count=r.series_count,
        instance_count=r.instance_count,
        size_bytes=r.size_bytes,
        received_at=datetime.fromtimestamp(r.first_at_ms / 1000, UTC),
        settled=r.settled_revision == r.revision,
        flags=tuple(name for name, bit in FLAGS.items() if r.flags & bit),
    )


def series_row(r: Row[Any], middle_uid: str) -> SeriesRow:
    return SeriesRow(
        series_uid=r.series_uid,
        modality=r.modality,
        number=r.series_number,
        description=r.description,
        instance_count=r.instance_count,
        size_bytes=r.size_bytes,
        representative_uid=middle_uid,
    )


def middle_uid(tx: Connection, series_pk: int, count: int) -> str:
    """The SOP Instance UID in the middle of the series."""
    query = select(INSTANCE.c.sop_uid).where(INSTANCE.c.series_pk == series_pk, INSTANCE.c.variant == 0)
    return tx.execute(query.order_by(*IN_SERIES).offset(max(count - 1, 0) // 2).limit(1)).scalar() or ""


def representative(tx: Connection, study_uid: str, institution: str) -> tuple[str, str] | None:
    """(series UID, SOP instance UID) in the middle of the study's largest series that is likely a picture."""
    series = series_of(tx, study_uid, None, institution)
    if not series:
        return None
    best = max(series, key=lambda s: (s.modality not in _NO_PICTURES, s.instance_count))
    return best.series_uid, middle_uid(tx, best.pk, best.instance_count)


_NO_PICTURES = frozenset({"SR", "PR", "KO", "DOC", "SEG", "RTSTRUCT", "RTPLAN", "REG", "FID", "AU"})
