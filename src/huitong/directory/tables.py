"""The tables of the directory. Every value is text, normalised when it came; dates are YYYYMMDD, empty is not known."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, UniqueConstraint

from huitong.store.tables import METADATA, Key, Words


def _table(name: str, values: str, key: str) -> Table:
    """With what every kind has: FHIR's logical id and version, and the folded text by which a row is looked for."""
    return Table(
        name,
        METADATA,
        Column("pk", Key, primary_key=True),
        Column("logical_id", Words, nullable=False, unique=True),
        Column("version", Integer, nullable=False),
        Column("changed_at_ms", BigInteger, nullable=False),
        Column("folded", Words, nullable=False),
        *(Column(each, Words, nullable=False) for each in values.split()),
        UniqueConstraint(*key.split(), name=f"{name}_key"),
    )


INSTITUTION = _table(
    "institution",
    "code name name_en level region county_group credit_code parent address phone active",
    "code",
)
DEPARTMENT = _table("department", "institution code name name_en place phone active", "institution code")
PRACTITIONER = _table("practitioner", "code name name_en sex licence active", "code")
ROLE = _table(
    "practitioner_role",
    "practitioner institution department role title specialty valid_from valid_until active",
    "practitioner institution department role",
)
#: An address of an institution: from where it calls, or where it is called.
ENDPOINT = _table(
    "endpoint",
    "institution code kind name address ae_title networks hl7_application hl7_facility certificate_sha256 token_sha256"
    " certificate_name active",
    "institution code",
)
#: That an institution passed quality control for an item in a period, at a level; or that it did not.
CERTIFICATE = _table(
    "certificate",
    "institution item item_name level valid_from valid_until result number issuer",
    "institution item level valid_from",
)
Index("role_at_institution", ROLE.c.institution)
Index("certificate_of_item", CERTIFICATE.c.item, CERTIFICATE.c.institution)

#: A file that was loaded, and what became of its lines.
LOAD = Table(
    "directory_load",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("file", Words, nullable=False),
    Column("sha256", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    #: JSON list of the columns that mean nothing here.
    Column("ignored", Words, nullable=False),
)
REFUSED = Table(
    "directory_refused",
    METADATA,
    Column("pk", Key, primary_key=True),
    Column("load_pk", Key, nullable=False),
    Column("line", Integer, nullable=False),
    Column("field", Words, nullable=False),
    Column("value", Words, nullable=False),
    Column("reason_zh", Words, nullable=False),
    Column("reason_en", Words, nullable=False),
)
Index("directory_refused_of", REFUSED.c.load_pk)
#: In the order in which they refer to one another.
TABLES = (INSTITUTION, DEPARTMENT, PRACTITIONER, ROLE, ENDPOINT, CERTIFICATE, LOAD, REFUSED)
