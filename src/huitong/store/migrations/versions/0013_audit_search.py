"""The audit is found by account, institution, action, object and day: two columns beside what the asker's JSON says.

Revision: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_FROM_JSON = {"sqlite": "json_extract(asker, '$.{0}')", "postgresql": "asker::json->>'{0}'"}


def upgrade() -> None:
    for column, key in (("account", "name"), ("asker_institution", "institution")):
        op.add_column("audit", sa.Column(column, _WORDS, nullable=False, server_default=""))
        said = _FROM_JSON[op.get_bind().dialect.name].format(key)
        op.execute(f"UPDATE audit SET {column} = coalesce({said}, '')")  # noqa: S608 - all of it is ours
    for name, column in (
        ("audit_by_account", "account"),
        ("audit_by_asker_institution", "asker_institution"),
        ("audit_by_action", "action"),
        ("audit_by_object", "object"),
        ("audit_by_time", "at_ms"),
    ):
        op.create_index(name, "audit", [column, "seq"])
    refused = sa.text("allowed = 0")
    op.create_index("audit_refused", "audit", ["seq"], sqlite_where=refused, postgresql_where=refused)
