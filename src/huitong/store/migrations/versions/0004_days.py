"""How many studies there are of each day, kept by the database itself (docs/decisions/0009-studies-of-each-day.md).

Triggers do it, so that whoever writes studies need not know. A study counts in the list `every`, in that of its
institution (`at CODE`), and in `shown` if it is; and once more in each of these `by month`, where YYYYMM stands for the
day. A day may have several rows, of which the sum counts.

Revision: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"

#: Name, day and number of studies of each list that a study is in.
_LISTS = [
    (f"{name}{ending}", day, studies)
    for name, studies in (("'shown'", "{row}shown"), ("'every'", "1"), ("'at ' || {row}institution", "1"))
    for ending, day in (("", "{row}study_date"), (" || ' by month'", "substr({row}study_date, 1, 6)"))
]


def upgrade() -> None:
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)


def _values(row: str, sign: str, *more: str) -> str:
    """One row for each list that the study `row` is in."""
    of_lists = [", ".join((name, day, sign + studies, *more)).format(row=row) for name, day, studies in _LISTS]
    return ", ".join(f"({values})" for values in of_lists)


def _grouped(table: str, sign: str = "", *more: str) -> str:
    """Rows for all studies of the table."""
    days = f"SELECT institution, study_date, sum(shown) AS shown, count(*) AS studies FROM {table} GROUP BY 1, 2"
    each = " UNION ALL ".join(
        f"SELECT {name}, {day}, {'studies' if studies == '1' else studies} FROM days".format(row="")
        for name, day, studies in _LISTS
    )
    columns = ", ".join(("list", "study_date", f"{sign}sum(studies)", *more))
    return (
        f"INSERT INTO study_day WITH days AS ({days}), each(list, study_date, studies) AS ({each}) "
        f"SELECT {columns} FROM each GROUP BY list, study_date"
    )


# --- SQLite: one row for a day and list; who writes is alone ---


def _counted(row: str, sign: str = "") -> str:
    return (
        f"INSERT INTO study_day VALUES {_values(row, sign)} "
        "ON CONFLICT (list, study_date) DO UPDATE SET studies = studies + excluded.studies;"
    )


_MOVED = "UPDATE OF shown, study_date, institution ON study"
_SQLITE = (
    "CREATE TABLE study_day (list TEXT NOT NULL, study_date TEXT NOT NULL, studies INTEGER NOT NULL, "
    "PRIMARY KEY (list, study_date)) WITHOUT ROWID",
    _grouped("study"),
    f"CREATE TRIGGER study_day_added AFTER INSERT ON study BEGIN {_counted('NEW.')} END",
    f"CREATE TRIGGER study_day_gone AFTER DELETE ON study BEGIN {_counted('OLD.', '-')} END",
    f"CREATE TRIGGER study_day_moved AFTER {_MOVED} BEGIN {_counted('OLD.', '-')} {_counted('NEW.')} END",
)

# --- PostgreSQL: what is new is appended, so that no writer waits for another, and now and then added up ---

_POSTGRESQL = (
    'CREATE TABLE study_day (list text COLLATE "C" NOT NULL, study_date text COLLATE "C" NOT NULL, '
    "studies bigint NOT NULL, fresh boolean NOT NULL)",
    _grouped("study", "", "false"),
    "CREATE INDEX study_day_by_list ON study_day (list, study_date) INCLUDE (studies)",
    "CREATE INDEX study_day_fresh ON study_day (list, study_date) WHERE fresh",
    # One writer in a hundred adds up, unless another is at it; rows that are not committed yet stay for the next.
    f"""
    CREATE FUNCTION study_day_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE sign integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
    BEGIN
        {_grouped("changed", "sign * ", "true")};
        IF random() < 0.01 AND pg_try_advisory_xact_lock(hashtext('huitong'), hashtext('study_day')) THEN
            WITH apart AS (
                DELETE FROM study_day AS day
                USING (SELECT DISTINCT list, study_date FROM study_day WHERE fresh) AS grown
                WHERE day.list = grown.list AND day.study_date = grown.study_date RETURNING day.*
            ) INSERT INTO study_day
              SELECT list, study_date, sum(studies), false FROM apart GROUP BY list, study_date;
        END IF;
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION study_day_moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO study_day VALUES {_values("OLD.", "-", "true")}, {_values("NEW.", "", "true")};
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER study_day_added AFTER INSERT ON study REFERENCING NEW TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE FUNCTION study_day_changed()",
    "CREATE TRIGGER study_day_gone AFTER DELETE ON study REFERENCING OLD TABLE AS changed "
    "FOR EACH STATEMENT EXECUTE FUNCTION study_day_changed()",
    f"CREATE TRIGGER study_day_moved AFTER {_MOVED} FOR EACH ROW "
    "WHEN ((OLD.shown, OLD.study_date, OLD.institution) IS DISTINCT FROM (NEW.shown, NEW.study_date, NEW.institution)) "
    "EXECUTE FUNCTION study_day_moved()",
    # Also where a bulk load has switched triggers off: wrong counts would make wrong pages.
    *(f"ALTER TABLE study ENABLE ALWAYS TRIGGER study_day_{name}" for name in ("added", "gone", "moved")),
)
