"""The SQL that writes the index: studies, series and instances of a group of new objects, in one transaction.

Longer than most: what is looked up, what is written and what is remembered of both have to fit each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import orjson
from sqlalchemy import Connection

from huitong.imaging import attributes as at
from huitong.imaging.preparing import Prepared
from huitong.imaging.tables import FLAGS
from huitong.people import actions as people
from huitong.store.blobs import Placed
from huitong.store.database import Session
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

    _MOST, _MOST_ADDED = 20_000, 200_000

    def __init__(self) -> None:
        self.studies: dict[tuple[str, str], StudyKnown] = {}
        self.series: dict[tuple[int, str], int] = {}
        self.packs: dict[str, int] = {}
        #: Of series that this process began: hashes of the SOP Instance UIDs that it has put there.
        self.added: dict[int, set[int]] = {}
        self._added_count = 0

    def adopt(self, staged: Known) -> None:
        for mine in (self.studies, self.series, self.packs):
            if len(mine) > self._MOST:
                mine.clear()
        self.studies.update(staged.studies)
        self.series.update(staged.series)
        self.packs.update(staged.packs)
        self._added_count += sum(1 + len(uids) for uids in staged.added.values())
        if self._added_count > self._MOST_ADDED:
            self.added.clear()
            self._added_count = 0
            return
        for pk, uids in staged.added.items():
            self.added.setdefault(pk, set()).update(uids)

    def series_pk(self, place: Place) -> int | None:
        study = self.studies.get(place[:2])
        return self.series.get((study.pk, place[2])) if study else None

    def is_new(self, place: Place) -> bool:
        """Whether nothing is kept there, unless another process has put it there meanwhile."""
        pk = self.series_pk(place)
        added = self.added.get(pk) if pk is not None else None
        return added is not None and hash(place[3]) not in added


def place_of(p: Prepared) -> Place:
    return (p.institution, p.identity.study_uid, p.identity.series_uid, p.identity.sop_instance_uid)


def digests_at(session: Session, places: Iterable[Place], known: Known) -> dict[Place, dict[bytes, int]]:
    """The contents already kept under these UIDs: place -> digest -> variant number."""
    found: dict[Place, dict[bytes, int]] = {}
    of_series: dict[tuple[int, str], Place] = {}
    for place in set(places):
        if (series_pk := known.series_pk(place)) is not None:
            of_series[series_pk, place[3]] = place
        elif rows := session.rows(_DIGESTS[session.kind], _named(place)):
            found[place] = dict(rows)
    for keys, count in _portions(list(of_series)):
        for series_pk, uid, sha256, variant in session.rows(_digests_of(count), keys):
            found.setdefault(of_series[series_pk, uid], {})[sha256] = variant
    return found


def _portions(keys: Sequence[tuple[int, str]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Parameters for statements about several instances, and about how many: the last is repeated until they are 1, 2,
    4, 8 and so on, so that there are few statements to prepare.
    """
    for start in range(0, len(keys), _MOST_AT_ONCE):
        some = keys[start : start + _MOST_AT_ONCE]
        count = 1 << (len(some) - 1).bit_length()
        parameters: dict[str, Any] = {}
        for n in range(count):
            parameters[f"series_{n}"], parameters[f"uid_{n}"] = some[min(n, len(some) - 1)]
        yield parameters, count


_MOST_AT_ONCE = 64


@cache
def _digests_of(count: int) -> str:
    which = " OR ".join(f"(series_pk = :series_{n} AND sop_uid = :uid_{n})" for n in range(count))
    return f"SELECT series_pk, sop_uid, sha256, variant FROM instance WHERE {which}"  # noqa: S608 - all ours


def spot_of(session: Session, place: Place, sha256: bytes) -> Any:
    """The row of one content: `pk`, its `pack`'s name, `study_pk`, `series_pk`, `payload_at` and the sizes."""
    return session.rows(_SPOT[session.kind], {**_named(place), "sha256": sha256})[0]


def _named(place: Place) -> dict[str, Any]:
    return dict(zip(("institution", "study_uid", "series_uid", "sop_uid"), place, strict=True))


def _in_order(sql: str) -> dict[str, str]:
    """The statement for each database. SQLite joins in the order written when told CROSS; PostgreSQL estimates."""
    return {"sqlite": sql, "postgresql": sql.replace("CROSS JOIN", "JOIN")}


# From the institution's study down by unique keys, in this order: one SOP Instance UID under which thousands of other
# studies have objects costs nothing.
_AT_PLACE = """
    FROM study CROSS JOIN series ON series.study_pk = study.pk CROSS JOIN instance ON instance.series_pk = series.pk
    WHERE study.institution = :institution AND study.study_uid = :study_uid AND series.series_uid = :series_uid
    AND instance.sop_uid = :sop_uid
"""
_DIGESTS = _in_order(f"SELECT instance.sha256, instance.variant {_AT_PLACE}")
_SPOT = _in_order(f"""
    SELECT instance.pk, study.pk AS study_pk, series.pk AS series_pk, instance.payload_at, instance.payload_bytes,
    instance.tail_bytes, (SELECT name FROM pack WHERE pack.pk = instance.pack_pk) AS pack
    {_AT_PLACE} AND instance.sha256 = :sha256
""")  # noqa: S608 - all ours


def write(session: Session, group: Sequence[Indexed], known: Known) -> Known:
    """Index the group within the session's transaction; gives what was learnt of the rows, to be adopted after it."""
    staged = Known()
    by_study: dict[tuple[str, str], list[Indexed]] = defaultdict(list)
    for each in group:
        by_study[(each.prepared.institution, each.prepared.identity.study_uid)].append(each)
    rows: list[dict[str, Any]] = []
    studies: dict[int, int] = {}
    for key, members in by_study.items():
        study = staged.studies[key] = _study(session, key, members, known)
        by_series: dict[str, list[Indexed]] = defaultdict(list)
        for each in members:
            by_series[each.prepared.identity.series_uid].append(each)
        for series_uid, slices in by_series.items():
            series_pk = known.series.get((study.pk, series_uid))
            if series_pk is None:
                series_pk, begun = _series(session, study.pk, series_uid, slices)
                if begun:
                    staged.added[series_pk] = set()
            staged.series[(study.pk, series_uid)] = series_pk
            studies[series_pk] = study.pk
            session.run(_COUNT_SERIES, _sums(series_pk, slices))
            rows += [_instance_row(each, series_pk, _pack(session, each.placed, known, staged)) for each in slices]
            if series_pk in known.added or series_pk in staged.added:
                staged.added.setdefault(series_pk, set()).update(
                    hash(p.prepared.identity.sop_instance_uid) for p in slices
                )
    session.run_many(_ADD_INSTANCE, rows)
    _mark_uids_twice(session, [(row["series_pk"], row["sop_uid"]) for row in rows], studies)
    _advance_packs(session, group)
    return staged


def _insert(table: str, columns: Iterable[str], ending: str = "") -> str:
    names = list(columns)
    values = ", ".join(f":{name}" for name in names)
    return f"INSERT INTO {table}({', '.join(names)}) VALUES ({values}) {ending}"  # noqa: S608 - names are ours


# --- studies ---


def _study(session: Session, key: tuple[str, str], members: Sequence[Indexed], known: Known) -> StudyKnown:
    row = known.studies.get(key) or _find_study(session, key) or _add_study(session, key, members[0].prepared)
    last = max(each.prepared.received_at_ms for each in members)
    session.run(_COUNT_STUDY, {**_sums(row.pk, members), "last": last, "flags": _flags(row, members)})
    arrived = {m for each in members if (m := at.short(each.prepared.header, "00080060"))}
    if not arrived <= row.modalities:
        written = session.rows("SELECT modalities FROM study WHERE pk = :pk", {"pk": row.pk})  # by whatever process
        modalities = frozenset(written[0][0].split()) | arrived
        session.run("UPDATE study SET modalities = :m WHERE pk = :pk", {"m": at.spaced(modalities), "pk": row.pk})
        row = replace(row, modalities=modalities)
    return row


_COUNT_STUDY = """
    UPDATE study SET instance_count = instance_count + :instances, size_bytes = size_bytes + :bytes,
    revision = revision + 1, last_at_ms = CASE WHEN last_at_ms < :last THEN :last ELSE last_at_ms END,
    flags = flags | :flags WHERE pk = :pk
"""


def _sums(pk: int, members: Sequence[Indexed]) -> dict[str, Any]:
    firsts = sum(1 for each in members if each.variant == 0)
    return {"pk": pk, "instances": firsts, "bytes": sum(each.placed.payload_bytes for each in members)}


def _flags(row: StudyKnown, members: Sequence[Indexed]) -> int:
    flags = 0
    if any(each.variant for each in members):
        flags |= FLAGS["variant"]
    if any(at.short(each.prepared.header, "00100020") != row.patient_id for each in members):
        flags |= FLAGS["other-patient"]
    return flags


def _find_study(session: Session, key: tuple[str, str]) -> StudyKnown | None:
    sql = "SELECT pk, patient_id, modalities FROM study WHERE institution = :institution AND study_uid = :uid"
    found = session.rows(sql, {"institution": key[0], "uid": key[1]})
    return StudyKnown(found[0][0], found[0][1], frozenset(found[0][2].split())) if found else None


def _add_study(session: Session, key: tuple[str, str], p: Prepared) -> StudyKnown:
    elsewhere = session.rows("SELECT 1 FROM study WHERE study_uid = :uid LIMIT 1", {"uid": key[1]})
    mark = FLAGS["uid-elsewhere"] if elsewhere else 0
    if elsewhere:
        session.run("UPDATE study SET flags = flags | :mark WHERE study_uid = :uid", {"mark": mark, "uid": key[1]})
    row = {**_study_row(p), "institution": key[0], "study_uid": key[1], "shown": int(not elsewhere), "flags": mark}
    number = row["patient_id"]
    row["patient_pk"] = people.register_arrival(session, key[0], number, *at.patient_of(p.header)) if number else None
    pk = session.insert(_insert("study", row, "RETURNING pk"), row)
    add_grams(session, pk, row)
    return StudyKnown(pk, row["patient_id"], frozenset())


def add_grams(session: Session, pk: int, row: Mapping[str, Any]) -> None:
    """The study of this row is found by its names, numbers and description."""
    tokens = study_grams(row)
    session.run(_ADD_GRAMS[session.kind], {"pk": pk, "grams": " ".join(tokens) if session.kind == "sqlite" else tokens})


_ADD_GRAMS = {
    "sqlite": "INSERT INTO study_grams(rowid, grams) VALUES (:pk, :grams)",
    "postgresql": "INSERT INTO study_grams(study_pk, grams) VALUES (:pk, :grams)",
}


def forget_grams(tx: Connection) -> None:
    """No study is found by text any more."""
    delete = "INSERT INTO study_grams(study_grams) VALUES ('delete-all')"
    tx.exec_driver_sql(delete if tx.dialect.name == "sqlite" else "TRUNCATE study_grams")


def _study_row(p: Prepared) -> dict[str, Any]:
    h = p.header
    return {
        "patient_id": at.short(h, "00100020"),
        "patient_name": at.shown_name(h),
        "name_forms": at.forms(h, "00100010"),
        "patient_birth_date": at.date(scan.text(h, "00100030")),
        "patient_sex": at.short(h, "00100040"),
        "study_date": at.date(scan.text(h, "00080020")),
        "study_time": at.time(scan.text(h, "00080030")),
        "accession_number": at.short(h, "00080050"),
        "study_id": at.short(h, "00200010"),
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


def study_grams(row: Mapping[str, Any]) -> list[str]:
    """The tokens by which a study is found, sorted."""
    tokens = grams("n", row["name_forms"].split("\n")) | grams("r", row["referring_forms"].split("\n"))
    for field, column in (("i", "patient_id"), ("a", "accession_number"), ("d", "description")):
        tokens |= grams(field, text_forms(row[column]))
    return sorted(tokens)


# --- series and instances ---


def _mark_uids_twice(session: Session, keys: Sequence[tuple[int, str]], studies: Mapping[int, int]) -> None:
    """Flag studies that have an image of the same number in another series: its content differs by the Series Instance
    UID at least. `studies` has the study of each series in `keys`.
    """
    for parameters, count in _portions(keys):
        for series_pk, other in session.rows(_twins_of(count), parameters):
            session.run(_MARK, {"pk": studies[series_pk], "other": other, "mark": FLAGS["variant"]})


@cache
def _twins_of(count: int) -> str:
    """Pairs of series. Among the first hundred objects of a number, so that nobody can make this dear."""
    return " UNION ALL ".join(
        f"SELECT :series_{n} AS series_pk, other FROM (SELECT series_pk AS other FROM instance WHERE sop_uid = :uid_{n}"  # noqa: S608 - all ours
        f" LIMIT 100) AS same_{n} WHERE other <> :series_{n}"
        for n in range(count)
    )


_MARK = """
    UPDATE study SET flags = flags | :mark
    WHERE pk = :pk AND EXISTS (SELECT 1 FROM series WHERE series.pk = :other AND series.study_pk = :pk)
"""


def _series(session: Session, study_pk: int, series_uid: str, slices: Sequence[Indexed]) -> tuple[int, bool]:
    """The key of the series, and whether it is new."""
    sql = "SELECT pk FROM series WHERE study_pk = :study_pk AND series_uid = :uid"
    if found := session.rows(sql, {"study_pk": study_pk, "uid": series_uid}):
        return int(found[0][0]), False
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
    session.run("UPDATE study SET series_count = series_count + 1 WHERE pk = :pk", {"pk": study_pk})
    return session.insert(_insert("series", row, "RETURNING pk"), row), True


_COUNT_SERIES = """
    UPDATE series SET instance_count = instance_count + :instances, size_bytes = size_bytes + :bytes,
    revision = revision + 1 WHERE pk = :pk
"""


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


_ADD_INSTANCE = _insert(
    "instance",
    (
        "series_pk", "sop_uid", "sop_class_uid", "transfer_syntax_uid", "instance_number", "variant", "sha256",
        "pack_pk", "record_at", "payload_at", "payload_bytes", "tail_bytes", "frames", "deflated", "received_at_ms",
    ),
)  # fmt: skip


def point_again(session: Session, each: Indexed) -> None:
    """An instance whose bytes were lost and came again: its row names where they are now, its study settles anew."""
    p = each.prepared
    spot = spot_of(session, place_of(p), p.body_sha256)
    row = _instance_row(each, spot["series_pk"], pack_pk(session, each.placed.blob))
    session.run(_POINT, {name: row[name] for name in _PLACED} | {"pk": spot["pk"]})
    more = each.placed.payload_bytes - spot["payload_bytes"]
    for sql, pk in ((_GROW_STUDY, spot["study_pk"]), (_GROW_SERIES, spot["series_pk"])):
        session.run(sql, {"pk": pk, "more": more})
    advance_pack(session, each.placed)


#: What depends on where the bytes are, and on the file meta information before them.
_PLACED = (
    "transfer_syntax_uid", "pack_pk", "record_at", "payload_at", "payload_bytes", "tail_bytes", "frames", "deflated",
)  # fmt: skip
_POINT = f"UPDATE instance SET {', '.join(f'{name} = :{name}' for name in _PLACED)} WHERE pk = :pk"  # noqa: S608 - names are ours
_GROW_STUDY = "UPDATE study SET size_bytes = size_bytes + :more, revision = revision + 1 WHERE pk = :pk"
_GROW_SERIES = "UPDATE series SET size_bytes = size_bytes + :more, revision = revision + 1 WHERE pk = :pk"


def pass_over(session: Session, placed: Placed) -> None:
    """A record whose content another process indexed meanwhile: recovery need not look at it."""
    pack_pk(session, placed.blob)
    advance_pack(session, placed)


def mark_spare(session: Session, blob: str, at_ms: int) -> None:
    """A blob that is whole, and of which nothing is in the index, goes like those that were merged with others."""
    session.run(_MARK_SPARE, {"name": blob, "at_ms": at_ms})


_MARK_SPARE = """
    UPDATE pack SET emptied_at_ms = :at_ms
    WHERE name = :name AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.pack_pk = pack.pk)
"""


def _pack(session: Session, placed: Placed, known: Known, staged: Known) -> int:
    pk = known.packs.get(placed.blob) or staged.packs.get(placed.blob) or pack_pk(session, placed.blob)
    staged.packs[placed.blob] = pk
    return pk


def pack_pk(session: Session, name: str) -> int:
    """The pack's row, made if it is new."""
    found = session.rows("SELECT pk FROM pack WHERE name = :name", {"name": name})
    return int(found[0][0]) if found else session.insert(_insert("pack", ["name"], "RETURNING pk"), {"name": name})


def _advance_packs(session: Session, group: Sequence[Indexed]) -> None:
    last: dict[str, Placed] = {}
    for each in group:
        before = last.get(each.placed.blob)
        if before is None or before.end < each.placed.end:
            last[each.placed.blob] = each.placed
    for placed in last.values():
        advance_pack(session, placed)


def advance_pack(session: Session, placed: Placed) -> None:
    """All records of the pack up to this one are in the index; a blob that is whole needs no look at its end."""
    advance_to(session, placed.blob, placed.end)
    if placed.whole:
        session.run("UPDATE pack SET sealed = 1 WHERE name = :name AND sealed = 0", {"name": placed.blob})


def advance_to(session: Session, name: str, end: int) -> None:
    """All records of the pack before `end` are in the index."""
    sql = "UPDATE pack SET indexed_bytes = :end WHERE name = :name AND indexed_bytes < :end"
    session.run(sql, {"name": name, "end": end})
