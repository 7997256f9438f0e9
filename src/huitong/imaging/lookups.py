"""The SQL that reads the index by UID: where an instance is, what a study and its series hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select

from huitong.base.clock import moment
from huitong.imaging.model import SeriesRow, StoredInstance, StudyRow
from huitong.imaging.tables import FLAGS, INSTANCE, PACK, SERIES, STUDY
from huitong.wire.dicom.frames import Frames

#: Instances with all that `stored_of` reads.
STORED = (
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
    query = STORED.where(whose(study_uid, institution))
    if series_uid is not None:
        query = query.where(SERIES.c.series_uid == series_uid)
    if sop_uid is not None:
        query = query.where(INSTANCE.c.sop_uid == sop_uid)
    if not variants:
        query = query.where(INSTANCE.c.variant == 0)
    return [stored_of(r) for r in tx.execute(query.order_by(*IN_STUDY, *IN_SERIES, INSTANCE.c.variant)).mappings()]


#: Instances without a number come last, in the order of arrival.
IN_SERIES = (INSTANCE.c.instance_number.is_(None), INSTANCE.c.instance_number, INSTANCE.c.pk)


def instances_of_series(tx: Connection, series_pk: int) -> list[StoredInstance]:
    query = STORED.where(SERIES.c.pk == series_pk, INSTANCE.c.variant == 0)
    return [stored_of(r) for r in tx.execute(query.order_by(*IN_SERIES)).mappings()]


def shared_packs(tx: Connection, instance_pk: int, names: Iterable[str]) -> set[str]:
    """Those of the packs in which not all is of the study that this instance is of."""
    own = select(SERIES.c.study_pk).join_from(INSTANCE, SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
    study = own.where(INSTANCE.c.pk == instance_pk).scalar_subquery()
    others = (
        select(PACK.c.name)
        .join_from(PACK, INSTANCE, INSTANCE.c.pack_pk == PACK.c.pk)
        .join(SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
        .where(PACK.c.name.in_(list(names)), SERIES.c.study_pk != study)
    )
    return set(tx.execute(others.distinct()).scalars())


def stored_by_pk(tx: Connection, pk: int) -> StoredInstance | None:
    r = tx.execute(STORED.where(INSTANCE.c.pk == pk)).mappings().first()
    return stored_of(r) if r else None


def stored_of(r: Any) -> StoredInstance:
    """Of a row with values by name."""
    return StoredInstance(
        study_uid=r["study_uid"],
        series_uid=r["series_uid"],
        sop_class_uid=r["sop_class_uid"],
        sop_instance_uid=r["sop_uid"],
        transfer_syntax_uid=r["transfer_syntax_uid"],
        institution=r["institution"],
        sha256=r["sha256"].hex(),
        size_bytes=r["payload_bytes"],
        blob=r["pack"],
        blob_offset=r["payload_at"],
        frames=Frames.unpack(r["frames"]) if r["frames"] else None,
        instance_number=r["instance_number"],
        deflated=bool(r["deflated"]),
        pk=r["pk"],
        variant=r["variant"],
        tail_bytes=r["tail_bytes"],
    )


def series_of(
    tx: Connection, study_uid: str, series_uid: str | None, institution: str | None, limit: int | None = None
) -> list[Row[Any]]:
    """Rows of `series` (all columns), in series number order; the first `limit` of them."""
    query: Select[Any] = select(SERIES).join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
    query = query.where(whose(study_uid, institution))
    if series_uid is not None:
        query = query.where(SERIES.c.series_uid == series_uid)
    return list(tx.execute(query.order_by(*IN_STUDY).limit(limit)))


#: Series without a number come last, in the order of arrival.
IN_STUDY = (SERIES.c.series_number.is_(None), SERIES.c.series_number, SERIES.c.pk)


def study_row(tx: Connection, study_uid: str, institution: str | None) -> StudyRow | None:
    r = tx.execute(select(STUDY).where(whose(study_uid, institution))).mappings().first()
    return study_row_of(r) if r else None


def study_row_of(r: Any, exchange_id: str = "") -> StudyRow:
    """Of a row with values by name, and the exchange id of its person."""
    return StudyRow(
        study_uid=r["study_uid"],
        institution=r["institution"],
        patient_id=r["patient_id"],
        patient_name=r["patient_name"],
        patient_sex=r["patient_sex"],
        patient_birth_date=r["patient_birth_date"],
        study_date=r["study_date"],
        study_time=r["study_time"],
        accession_number=r["accession_number"],
        description=r["description"],
        modalities=tuple(r["modalities"].split()),
        series_count=r["series_count"],
        instance_count=r["instance_count"],
        size_bytes=r["size_bytes"],
        received_at=moment(r["first_at_ms"]),
        settled=r["settled_revision"] == r["revision"],
        flags=tuple(name for name, bit in FLAGS.items() if r["flags"] & bit),
        shown=bool(r["shown"]),
        exchange_id=exchange_id,
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


def middle_uids(tx: Connection, series_pks: Iterable[int]) -> dict[int, str]:
    """Of each series the SOP Instance UID in its middle."""
    rank = func.row_number().over(partition_by=INSTANCE.c.series_pk, order_by=IN_SERIES)
    ranked = (
        select(INSTANCE.c.series_pk, INSTANCE.c.sop_uid, rank.label("at"))
        .where(INSTANCE.c.series_pk.in_(list(series_pks)), INSTANCE.c.variant == 0)
        .subquery()
    )
    query = select(ranked.c.series_pk, ranked.c.sop_uid).join(SERIES, SERIES.c.pk == ranked.c.series_pk)
    middle = query.where(ranked.c.at == (SERIES.c.instance_count + 1) // 2)
    return {r.series_pk: r.sop_uid for r in tx.execute(middle)}


def representatives(tx: Connection, studies: Sequence[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str]]:
    """Of each study, given and found by (institution, study UID), the (series UID, SOP instance UID) in the middle of
    its largest series that is likely a picture."""
    wanted = set(studies)
    named = select(STUDY.c.pk, STUDY.c.institution, STUDY.c.study_uid).where(
        STUDY.c.study_uid.in_({study_uid for _, study_uid in wanted})
    )
    # Two questions, as of a join SQLite ranks all series there are before it looks at the studies that are meant.
    keys = {r.pk: key for r in tx.execute(named) if (key := (r.institution, r.study_uid)) in wanted}
    best_first = (SERIES.c.modality.in_(_NO_PICTURES), SERIES.c.instance_count.desc(), *IN_STUDY)
    rank = func.row_number().over(partition_by=SERIES.c.study_pk, order_by=best_first)
    of_these = SERIES.c.study_pk.in_(list(keys))
    ranked = select(SERIES.c.study_pk, SERIES.c.pk, SERIES.c.series_uid, rank.label("at")).where(of_these).subquery()
    best = list(tx.execute(select(ranked).where(ranked.c.at == 1)))
    middle = middle_uids(tx, [r.pk for r in best])
    return {keys[r.study_pk]: (r.series_uid, middle.get(r.pk, "")) for r in best}


_NO_PICTURES = ("SR", "PR", "KO", "DOC", "SEG", "RTSTRUCT", "RTPLAN", "REG", "FID", "AU")
