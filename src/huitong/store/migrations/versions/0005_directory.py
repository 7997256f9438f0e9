"""The directory: institutions, departments, practitioners and their roles, endpoints, certificates, load reports.

Revision: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
#: Name, values, and which of them are unique together.
_KINDS = (
    ("institution", "code name name_en level region county_group credit_code parent address phone active", "code"),
    ("department", "institution code name name_en place phone active", "institution code"),
    ("practitioner", "code name name_en sex licence active", "code"),
    (
        "practitioner_role",
        "practitioner institution department role title specialty valid_from valid_until active",
        "practitioner institution department role",
    ),
    (
        "endpoint",
        "institution code kind name address ae_title networks hl7_application hl7_facility certificate_sha256"
        " token_sha256 active",
        "institution code",
    ),
    (
        "certificate",
        "institution item item_name level valid_from valid_until result number issuer",
        "institution item level valid_from",
    ),
)


def upgrade() -> None:
    for name, values, key in _KINDS:
        op.create_table(
            name,
            sa.Column("pk", _KEY, primary_key=True),
            sa.Column("logical_id", _WORDS, nullable=False, unique=True),
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
            sa.Column("folded", _WORDS, nullable=False),
            *_words(values),
            sa.UniqueConstraint(*key.split(), name=f"{name}_key"),
        )
    op.create_index("role_at_institution", "practitioner_role", ["institution"])
    op.create_index("certificate_of_item", "certificate", ["item", "institution"])
    op.create_table(
        "directory_load",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        *_words("file sha256 kind"),
        *(sa.Column(each, sa.Integer, nullable=False) for each in ("added", "changed", "unchanged", "refused")),
        *_words("ignored"),
    )
    op.create_table(
        "directory_refused",
        sa.Column("pk", _KEY, primary_key=True),
        sa.Column("load_pk", _KEY, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        *_words("field value reason_zh reason_en"),
    )
    op.create_index("directory_refused_of", "directory_refused", ["load_pk"])


def _words(names: str) -> list[sa.Column[str]]:
    return [sa.Column(each, _WORDS, nullable=False) for each in names.split()]
