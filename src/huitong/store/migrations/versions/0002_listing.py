"""Indices on studies that hold the order of the list, so that pages and counts are read from an index alone.

Revision: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_ORDER = ["study_date", "study_time", "pk"]
_WIDER = {
    "study_by_date": [*_ORDER, "shown", "modalities"],
    "study_by_institution": ["institution", *_ORDER, "modalities"],
    "study_by_patient": ["patient_id", *_ORDER, "shown"],
    "study_by_accession": ["accession_number", *_ORDER, "shown"],
}
_NEW = {
    "study_by_modalities": ["modalities", *_ORDER, "shown", "institution"],
    "study_by_study_id": ["study_id", *_ORDER, "shown"],
    "study_by_birth_date": ["patient_birth_date", *_ORDER, "shown"],
    "study_by_sex": ["patient_sex", *_ORDER, "shown"],
}


def upgrade() -> None:
    for name in _WIDER:
        op.drop_index(name, "study")
    for name, columns in (_WIDER | _NEW).items():
        op.create_index(name, "study", columns)
