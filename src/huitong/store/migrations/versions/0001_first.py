"""Packs, ledger, and the index of studies, series and instances.

Revision: 0001
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, WORDS, nullable=False)


def _number(name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, **more)


def _small(name: str, **more: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, **more)


def upgrade() -> None:
    op.create_table(
        "pack",
        sa.Column("pk", KEY, primary_key=True),
        sa.Column("name", WORDS, nullable=False, unique=True),
        _number("indexed_bytes", server_default="0"),
        _small("sealed", server_default="0"),
    )
    op.create_table(
        "ledger",
        sa.Column("seq", KEY, primary_key=True, autoincrement=True),
        _number("at_ms"),
        *map(_text, ("kind", "institution", "subject", "body")),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ledger_by_subject", "ledger", ["subject", "kind"])
    _study()
    _series_and_instances()
    op.create_table(
        "ready",
        sa.Column("kind", WORDS, primary_key=True),
        sa.Column("owner_pk", KEY, primary_key=True, autoincrement=False),
        _small("revision"),
        *map(_text, ("etag", "pack")),
        *map(_number, ("payload_at", "payload_bytes")),
    )
    if op.get_bind().dialect.name == "postgresql":
        _grams_in_postgresql()
        return
    # Tokens come ready-made from wire.grams; contentless, without positions: a third of the size of a text index.
    op.execute(
        "CREATE VIRTUAL TABLE study_grams USING fts5"
        "(grams, content='', detail=none, columnsize=0, tokenize=\"unicode61\")"
    )


def _grams_in_postgresql() -> None:
    op.create_table(
        "study_grams",
        sa.Column("study_pk", KEY, primary_key=True, autoincrement=False),
        sa.Column("grams", postgresql.ARRAY(WORDS), nullable=False),
    )
    # Without a list of pending entries: a search would have to read it through, and now and then an insert empty it.
    op.create_index(
        "study_by_grams", "study_grams", ["grams"], postgresql_using="gin", postgresql_with={"fastupdate": "off"}
    )


def _study() -> None:
    op.create_table(
        "study",
        sa.Column("pk", KEY, primary_key=True, autoincrement=True),
        *map(_text, ("institution", "study_uid")),
        _small("shown"),
        *map(_text, ("patient_id", "patient_name", "name_forms", "patient_birth_date", "patient_sex")),
        *map(_text, ("study_date", "study_time", "accession_number", "study_id", "referring_forms", "description")),
        _text("modalities"),
        *map(_small, ("series_count", "instance_count")),
        *map(_number, ("size_bytes", "first_at_ms", "last_at_ms")),
        _small("revision"),
        _small("settled_revision", server_default="0"),
        _small("flags", server_default="0"),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("institution", "study_uid"),
    )
    op.create_index("study_by_uid", "study", ["study_uid"])
    op.create_index("study_by_date", "study", ["study_date", "study_time", "pk"])
    op.create_index("study_by_patient", "study", ["patient_id"])
    op.create_index("study_by_accession", "study", ["accession_number"])
    op.create_index("study_by_institution", "study", ["institution", "study_date", "study_time", "pk"])
    unsettled = sa.text("settled_revision < revision")
    op.create_index("study_unsettled", "study", ["last_at_ms"], sqlite_where=unsettled, postgresql_where=unsettled)


def _series_and_instances() -> None:
    op.create_table(
        "series",
        sa.Column("pk", KEY, primary_key=True, autoincrement=True),
        sa.Column("study_pk", KEY, sa.ForeignKey("study.pk"), nullable=False),
        *map(_text, ("series_uid", "modality")),
        sa.Column("series_number", sa.Integer),
        _text("description"),
        _small("instance_count"),
        _number("size_bytes"),
        _small("revision"),
        sa.Column("attributes", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("study_pk", "series_uid"),
    )
    op.create_index("series_by_uid", "series", ["series_uid"])
    op.create_table(
        "instance",
        sa.Column("pk", KEY, primary_key=True, autoincrement=True),
        sa.Column("series_pk", KEY, sa.ForeignKey("series.pk"), nullable=False),
        *map(_text, ("sop_uid", "sop_class_uid", "transfer_syntax_uid")),
        sa.Column("instance_number", sa.Integer),
        _small("variant"),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("pack_pk", KEY, sa.ForeignKey("pack.pk"), nullable=False),
        *map(_number, ("record_at", "payload_at", "payload_bytes")),
        _small("tail_bytes"),
        sa.Column("frames", sa.LargeBinary),
        _small("deflated"),
        _number("received_at_ms"),
        sa.UniqueConstraint("series_pk", "sop_uid", "sha256"),
    )
    op.create_index("instance_by_uid", "instance", ["sop_uid"])
    op.create_index("instance_by_pack", "instance", ["pack_pk", "record_at"])
