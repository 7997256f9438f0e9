"""The tables of the imaging room."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, Table, UniqueConstraint

from huitong.store.tables import METADATA, PACK, Key, Words

#: Why a study should be looked at twice; bits of `study.flags`.
FLAGS = {"variant": 1, "other-patient": 2, "uid-elsewhere": 4}

STUDY = Table(
    "study",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("institution", Words, nullable=False),
    Column("study_uid", Words, nullable=False),
    #: 1 for the first institution that sent this UID: the one shown where no institution is named.
    Column("shown", Integer, nullable=False),
    Column("patient_id", Words, nullable=False),
    #: The record of people's `patient` of this number; NULL without a number.
    Column("patient_pk", Key),
    Column("patient_name", Words, nullable=False),
    #: Every searchable form of the name, one a line (`wire.names.name_forms`).
    Column("name_forms", Words, nullable=False),
    Column("patient_birth_date", Words, nullable=False),
    Column("patient_sex", Words, nullable=False),
    #: YYYYMMDD, empty when absent or no date.
    Column("study_date", Words, nullable=False),
    Column("study_time", Words, nullable=False),
    Column("accession_number", Words, nullable=False),
    Column("study_id", Words, nullable=False),
    Column("referring_forms", Words, nullable=False),
    Column("description", Words, nullable=False),
    #: Sorted, with a space around each: " CT SR ".
    Column("modalities", Words, nullable=False),
    Column("series_count", Integer, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("first_at_ms", BigInteger, nullable=False),
    Column("last_at_ms", BigInteger, nullable=False),
    #: Counts the groups that changed the study; settled when `settled_revision` has caught up.
    Column("revision", Integer, nullable=False),
    Column("settled_revision", Integer, nullable=False, server_default="0"),
    Column("flags", Integer, nullable=False, server_default="0"),
    #: Patient and study level DICOM JSON of the first instance.
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint("institution", "study_uid"),
)
Index("study_by_uid", STUDY.c.study_uid)
#: Every index on studies goes on in the order of the list, then with what is filtered most: pages and counts are read
#: from one index alone (`imaging.search`).
_LISTED = (STUDY.c.study_date, STUDY.c.study_time, STUDY.c.pk)
Index("study_by_date", *_LISTED, STUDY.c.shown, STUDY.c.modalities)
Index("study_by_institution", STUDY.c.institution, *_LISTED, STUDY.c.modalities)
Index("study_by_modalities", STUDY.c.modalities, *_LISTED, STUDY.c.shown, STUDY.c.institution)
Index("study_by_patient", STUDY.c.patient_id, *_LISTED, STUDY.c.shown)
Index("study_by_record", STUDY.c.patient_pk, *_LISTED, STUDY.c.shown)
Index("study_by_accession", STUDY.c.accession_number, *_LISTED, STUDY.c.shown)
Index("study_by_study_id", STUDY.c.study_id, *_LISTED, STUDY.c.shown)
Index("study_by_birth_date", STUDY.c.patient_birth_date, *_LISTED, STUDY.c.shown)
Index("study_by_sex", STUDY.c.patient_sex, *_LISTED, STUDY.c.shown)
_UNSETTLED = STUDY.c.settled_revision < STUDY.c.revision
Index("study_unsettled", STUDY.c.last_at_ms, sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED)

SERIES = Table(
    "series",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("study_pk", ForeignKey("study.pk"), nullable=False),
    Column("series_uid", Words, nullable=False),
    Column("modality", Words, nullable=False),
    Column("series_number", Integer),
    Column("description", Words, nullable=False),
    Column("instance_count", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    #: Counts the groups that changed the series; what was made ready for an older one is made again.
    Column("revision", Integer, nullable=False),
    #: Series level DICOM JSON of the first instance.
    Column("attributes", LargeBinary, nullable=False),
    UniqueConstraint("study_pk", "series_uid"),
)
Index("series_by_uid", SERIES.c.series_uid)

INSTANCE = Table(
    "instance",
    METADATA,
    Column("pk", Key, primary_key=True, autoincrement=True),
    Column("series_pk", ForeignKey("series.pk"), nullable=False),
    Column("sop_uid", Words, nullable=False),
    Column("sop_class_uid", Words, nullable=False),
    Column("transfer_syntax_uid", Words, nullable=False),
    Column("instance_number", Integer),
    #: 0 for the first content under these UIDs, then 1, 2 … in the order of arrival.
    Column("variant", Integer, nullable=False),
    #: SHA-256 of the data set.
    Column("sha256", LargeBinary(32), nullable=False),
    Column("pack_pk", ForeignKey("pack.pk"), nullable=False),
    #: Of the record in the pack; the payload's and the tail's follow.
    Column("record_at", BigInteger, nullable=False),
    Column("payload_at", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("tail_bytes", Integer, nullable=False),
    #: `wire.dicom.frames.Frames.pack()`, NULL without addressable frames.
    Column("frames", LargeBinary),
    Column("deflated", Integer, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    UniqueConstraint("series_pk", "sop_uid", "sha256"),
)
Index("instance_by_uid", INSTANCE.c.sop_uid)
Index("instance_by_pack", INSTANCE.c.pack_pk, INSTANCE.c.record_at)

#: Ready-made things in the derived packs: a series' metadata, an instance's thumbnail.
READY = Table(
    "ready",
    METADATA,
    Column("kind", Words, primary_key=True),
    #: `series.pk` or `instance.pk`, as the kind has it.
    Column("owner_pk", Key, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("etag", Words, nullable=False),
    Column("pack", Words, nullable=False),
    Column("payload_at", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
)

__all__ = ["FLAGS", "INSTANCE", "PACK", "READY", "SERIES", "STUDY"]
