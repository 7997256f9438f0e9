"""The SQL that writes the index: studies, series and instances of a group of new objects, in one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from huitong.imaging import attributes as at
from huitong.imaging.preparing import Prepared
from huitong.imaging.tables import FLAGS, INSTANCE, PACK, SERIES, STUDY
from huitong.store.blobs import Placed
from huitong.wire.dicom import scan
from huitong.wire.grams import grams
from huitong.wire.text import text_forms

#: institution, study UID, series UID, SOP instance UID
Place = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Indexed:
    """An instance on its way into the index."""

    prepared: Prepared
    placed: Placed
    variant: int


@dataclass(frozen=True, slots=True)
class StudyKnown:
    """What a later instance of the same study needs of its row."""

    pk: int
    patient_id: str
    modalities: frozenset[str]


class Known:
    """Rows already met, so that the next slice of the same series costs no look-up. Staged until the commit."""

    _MOST = 20_000

    def __init__(self) -> None:
        self.studies: dict[tuple[str, str], StudyKnown] = {}
        self.series: dict[tuple[int, str], int] = {}
        self.packs: dict[str, int] = {}

    def adopt(self, staged: Known) -> None:
        for mine in (self.studies, self.series, self.packs):
            if len(mine) > self._MOST:
                mine.clear()
        self.studies.update(staged.studies)
        self.series.update(staged.series)
        self.packs.update(staged.packs)


def place_of(p: Prepared) -> Place:
    return (p.institution, p.identity.study_uid, p.identity.series_uid, p.identity.sop_instance_uid)


def digests_at(read: Connection, places: Iterable[Place]) -> dict[Place, dict[bytes, int]]:
    """The contents already kept under these UIDs: place -> digest -> variant number."""
    found: dict[Place, dict[bytes, int]] = defaultdict(dict)
    uids = {place[3] for place in places}
    for r in read.execute(_DIGESTS, {"uids": sorted(uids)}):
        found[(r.institution, r.study_uid, r.series_uid, r.sop_uid)][r.sha256] = r.variant
    return found


_DIGESTS = (
    select(
        STUDY.c.institution, STUDY.c.study_uid, SERIES.c.series_uid, INSTANCE.c.sop_uid, INSTANCE.c.sha256,
        INSTANCE.c.variant,
    )
    .join_from(INSTANCE, SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
    .join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
    .where(INSTANCE.c.sop_uid.in_(bindparam("uids", expanding=True)))
)  # fmt: skip


def write(tx: Connection, group: Sequence[Indexed], known: Known) -> Known:
    """Index the group; gives what was learnt of the rows, to be adopted once the transaction is committed."""
    staged = Known()
    by_study: dict[tuple[str, str], list[Indexed]] = defaultdict(list)
    for each in group:
        by_study[(each.prepared.institution, each.prepared.identity.study_uid)].append(each)
    rows: list[dict[str, Any]] = []
    for key, members in by_study.items():
        study = staged.studies[key] = _study(tx, key, members, known)
        by_series: dict[str, list[Indexed]] = defaultdict(list)
        for each in members:
            by_series[each.prepared.identity.series_uid].append(each)
        for series_uid, slices in by_series.items():
            series_pk = known.series.get((study.pk, series_uid)) or _series(tx, study.pk, series_uid, slices)
            staged.series[(study.pk, series_uid)] = series_pk
            _count(tx, _COUNT_SERIES, series_pk, slices)
            rows += [_instance_row(each, series_pk, _pack(tx, each.placed, known, staged)) for each in slices]
    tx.execute(insert(INSTANCE), rows)
    _advance_packs(tx, group)
    return staged


# --- studies ---


def _study(tx: Connection, key: tuple[str, str], members: Sequence[Indexed], known: Known) -> StudyKnown:
    row = known.studies.get(key) or _find_study(tx, key) or _add_study(tx, key, members[0].prepared)
    modalities = row.modalities | {m for each in members if (m := scan.text(each.prepared.header, "00080060"))}
    flags = _flags(row, members)
    _count(tx, _COUNT_STUDY, row.pk, members, last=max(m.prepared.received_at_ms for m in members), flags=flags)
    if modalities != row.modalities:
        tx.execute(update(STUDY).where(STUDY.c.pk == row.pk).values(modalities=_spaced(modalities)))
    return replace(row, modalities=modalities)


def _flags(row: StudyKnown, members: Sequence[Indexed]) -> int:
    flags = 0
    if any(each.variant for each in members):
        flags |= FLAGS["variant"]
    if any(scan.text(each.prepared.header, "00100020") != row.patient_id for each in members):
        flags |= FLAGS["other-patient"]
    return flags


def _spaced(modalities: Iterable[str]) -> str:
    return f" {' '.join(sorted(modalities))} " if modalities else ""


def _find_study(tx: Connection, key: tuple[str, str]) -> StudyKnown | None:
    where = (STUDY.c.institution == key[0]) & (STUDY.c.study_uid == key[1])
    r = tx.execute(select(STUDY.c.pk, STUDY.c.patient_id, STUDY.c.modalities).where(where)).first()
    return StudyKnown(r.pk, r.patient_id, frozenset(r.modalities.split())) if r else None


def _add_study(tx: Connection, key: tuple[str, str], p: Prepared) -> StudyKnown:
    elsewhere = tx.execute(select(func.count()).select_from(STUDY).where(STUDY.c.study_uid == key[1])).scalar_one()
    row = {**_study_row(p), "institution": key[0], "study_uid": key[1], "shown": int(not elsewhere)}
    if elsewhere:
        row["flags"] = FLAGS["uid-elsewhere"]
        mark = STUDY.c.flags.op("|")(FLAGS["uid-elsewhere"])
        tx.execute(update(STUDY).where(STUDY.c.study_uid == key[1]).values(flags=mark))
    pk = tx.execute(insert(STUDY).values(row)).inserted_primary_key[0]  # type: ignore[index]
    tx.execute(_ADD_GRAMS, {"pk": pk, "grams": study_grams(row)})
    return StudyKnown(pk, row["patient_id"], frozenset())


_ADD_GRAMS = text("INSERT INTO study_grams(rowid, grams) VALUES (:pk, :grams)")


def _study_row(p: Prepared) -> dict[str, Any]:
    h = p.header
    return {
        "patient_id": scan.text(h, "00100020"),
        "patient_name": at.shown_name(h),
        "name_forms": at.forms(h, "00100010"),
        "patient_birth_date": at.date(scan.text(h, "00100030")),
        "patient_sex": scan.text(h, "00100040"),
        "study_date": at.date(scan.text(h, "00080020")),
        "study_time": at.time(scan.text(h, "00080030")),
        "accession_number": scan.text(h, "00080050"),
        "study_id": scan.text(h, "00200010"),
        "referring_forms": at.forms(h, "00080090"),
        "description": scan.text(h, "00081030"),
        "modalities": "",
        "series_count": 0,
        "instance_count": 0,
        "size_bytes": 0,
        "first_at_ms": p.received_at_ms,
        "last_at_ms": p.received_at_ms,
        "revision": 0,
        "attributes": orjson.dumps(at.study_level(h)),
    }


def study_grams(row: dict[str, Any]) -> str:
    """The tokens by which a study is found in `study_grams`."""
    tokens = grams("n", row["name_forms"].split("\n")) | grams("r", row["referring_forms"].split("\n"))
    for field, column in (("i", "patient_id"), ("a", "accession_number"), ("d", "description")):
        tokens |= grams(field, text_forms(row[column]))
    return " ".join(sorted(tokens))


# --- series and instances ---


def _series(tx: Connection, study_pk: int, series_uid: str, slices: Sequence[Indexed]) -> int:
    where = (SERIES.c.study_pk == study_pk) & (SERIES.c.series_uid == series_uid)
    if (pk := tx.execute(select(SERIES.c.pk).where(where)).scalar()) is not None:
        return int(pk)
    h = slices[0].prepared.header
    row = {
        "study_pk": study_pk,
        "series_uid": series_uid,
        "modality": scan.text(h, "00080060"),
        "series_number": at.number(scan.text(h, "00200011")),
        "description": scan.text(h, "0008103E"),
        "instance_count": 0,
        "size_bytes": 0,
        "revision": 0,
        "attributes": orjson.dumps(at.series_level(h)),
    }
    tx.execute(update(STUDY).where(STUDY.c.pk == study_pk).values(series_count=STUDY.c.series_count + 1))
    return int(tx.execute(insert(SERIES).values(row)).inserted_primary_key[0])  # type: ignore[index]


def _count(tx: Connection, statement: Any, pk: int, members: Sequence[Indexed], **more: Any) -> None:
    firsts = sum(1 for each in members if each.variant == 0)
    size = sum(each.placed.payload_bytes for each in members)
    tx.execute(statement, {"row": pk, "instances": firsts, "bytes": size, **more})


_COUNT_SERIES = text(
    "UPDATE series SET instance_count = instance_count + :instances, size_bytes = size_bytes + :bytes, "
    "revision = revision + 1 WHERE pk = :row"
)
_COUNT_STUDY = text(
    "UPDATE study SET instance_count = instance_count + :instances, size_bytes = size_bytes + :bytes, "
    "revision = revision + 1, last_at_ms = max(last_at_ms, :last), flags = flags | :flags WHERE pk = :row"
)


def _instance_row(each: Indexed, series_pk: int, pack_pk: int) -> dict[str, Any]:
    p, placed = each.prepared, each.placed
    return {
        "series_pk": series_pk,
        "sop_uid": p.identity.sop_instance_uid,
        "sop_class_uid": p.identity.sop_class_uid,
        "transfer_syntax_uid": p.transfer_syntax_uid,
        "instance_number": at.number(scan.text(p.header, "00200013")),
        "variant": each.variant,
        "sha256": p.body_sha256,
        "pack_pk": pack_pk,
        "record_at": placed.offset,
        "payload_at": placed.payload_offset,
        "payload_bytes": placed.payload_bytes,
        "tail_bytes": placed.tail_bytes,
        "frames": p.frames.pack() if p.frames else None,
        "deflated": int(p.deflated),
        "received_at_ms": p.received_at_ms,
    }


def _pack(tx: Connection, placed: Placed, known: Known, staged: Known) -> int:
    pk = known.packs.get(placed.blob) or staged.packs.get(placed.blob) or pack_pk(tx, placed.blob)
    staged.packs[placed.blob] = pk
    return pk


def pack_pk(tx: Connection, name: str) -> int:
    """The pack's row, made if it is new."""
    found = tx.execute(select(PACK.c.pk).where(PACK.c.name == name)).scalar()
    return int(found or tx.execute(insert(PACK).values(name=name)).inserted_primary_key[0])  # type: ignore[index]


def _advance_packs(tx: Connection, group: Sequence[Indexed]) -> None:
    ends: dict[str, int] = {}
    for each in group:
        ends[each.placed.blob] = max(ends.get(each.placed.blob, 0), each.placed.end)
    for name, end in ends.items():
        advance_pack(tx, name, end)


def advance_pack(tx: Connection, name: str, end: int) -> None:
    """All records of the pack before `end` are in the index."""
    tx.execute(_ADVANCE, {"name": name, "end": end})


_ADVANCE = text("UPDATE pack SET indexed_bytes = max(indexed_bytes, :end) WHERE name = :name")
