"""The SQL of settling: which studies are quiet, what they hold, and that they have settled; many at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from huitong.imaging.ready import METADATA, THUMBNAIL
from huitong.store import ledger
from huitong.store.database import Session

FACT = "imaging.study_settled"
#: Instances whose rows are in memory together, of several studies; one study may have more.
_MOST_INSTANCES = 2000


@dataclass(slots=True)
class Content:
    """What a study holds at one moment."""

    #: Rows of `series` in the order of the study, with `pk`, `series_uid`, `modality` and `revision`.
    series: list[Any] = field(default_factory=list)
    #: What `lookups.stored_of` reads, in the order of series and instance number, variants too.
    instances: list[Any] = field(default_factory=list)
    #: (kind, owner, revision) of what the index says was made ready; whether it can be read back is another question.
    ready: set[tuple[str, int, int]] = field(default_factory=set)


def quiet_studies(session: Session, before_ms: int, but: Collection[int], most: int) -> list[Any]:
    """Rows of studies to settle: `pk`, `institution`, `study_uid`, `revision`, `instance_count`; the oldest first."""
    rows = session.rows(_QUIET, {"before": before_ms, "most": most + len(but)})
    some, instances = list[Any](), 0
    for row in rows:
        if row["pk"] in but:
            continue
        instances += row["instance_count"]
        if some and (len(some) == most or instances > _MOST_INSTANCES):
            break
        some.append(row)
    return some


def content_of(session: Session, study_pks: Sequence[int]) -> dict[int, Content]:
    """By `study.pk`."""
    which, parameters = _listed(study_pks)
    found: defaultdict[int, Content] = defaultdict(Content)
    for row in session.rows(_SERIES.format(which=which), parameters):
        found[row["study_pk"]].series.append(row)
    for row in session.rows(_INSTANCES.format(which=which), parameters):
        found[row["study_pk"]].instances.append(row)
    for row in session.rows(_READY.format(which=which), {"metadata": METADATA, "thumbnail": THUMBNAIL, **parameters}):
        found[row["study_pk"]].ready.add((row["kind"], row["owner_pk"], row["revision"]))
    return found


def say(session: Session, settled: Iterable[tuple[Any, dict[str, Any]]], at: datetime) -> None:
    """Within a transaction: of each study that has not changed since its row was read, that it has settled.

    With its manifest, unless the ledger's last line about the study says the same (after a reindex, say).
    """
    for study, body in settled:
        named = {"institution": study["institution"], "subject": study["study_uid"]}
        if not session.rows(_SETTLE, {"pk": study["pk"], "revision": study["revision"]}):
            continue
        said = ledger.latest(session, kind=FACT, **named)
        if said is None or said.body != body:
            ledger.append_by(session, at=at, kind=FACT, body=body, **named)


def _listed(keys: Sequence[int]) -> tuple[str, dict[str, int]]:
    """Names for as many values as a power of two, the last of them repeated: few statements to prepare."""
    count = 1 << (len(keys) - 1).bit_length()
    parameters = {f"key_{n}": keys[min(n, len(keys) - 1)] for n in range(count)}
    return ", ".join(f":{name}" for name in parameters), parameters


_QUIET = """
    SELECT pk, institution, study_uid, revision, instance_count FROM study
    WHERE settled_revision < revision AND last_at_ms <= :before ORDER BY last_at_ms LIMIT :most
"""
_SERIES = """
    SELECT pk, study_pk, series_uid, modality, revision FROM series
    WHERE study_pk IN ({which}) ORDER BY study_pk, series_number IS NULL, series_number, pk
"""
_INSTANCES = """
    SELECT study.study_uid, study.institution, series.study_pk, series.series_uid, pack.name AS pack, instance.*
    FROM instance
    JOIN series ON series.pk = instance.series_pk
    JOIN study ON study.pk = series.study_pk
    JOIN pack ON pack.pk = instance.pack_pk
    WHERE series.study_pk IN ({which})
    ORDER BY series.study_pk, series.series_number IS NULL, series.series_number, series.pk,
             instance.instance_number IS NULL, instance.instance_number, instance.pk, instance.variant
"""
_READY = """
    SELECT series.study_pk, ready.kind, ready.owner_pk, ready.revision
    FROM series
    JOIN ready ON ready.kind = :metadata AND ready.owner_pk = series.pk
    WHERE series.study_pk IN ({which})
    UNION ALL
    SELECT series.study_pk, ready.kind, ready.owner_pk, ready.revision
    FROM series
    JOIN instance ON instance.series_pk = series.pk
    JOIN ready ON ready.kind = :thumbnail AND ready.owner_pk = instance.pk
    WHERE series.study_pk IN ({which})
"""
_SETTLE = "UPDATE study SET settled_revision = :revision WHERE pk = :pk AND revision = :revision RETURNING pk"
