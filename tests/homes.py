"""Where the archives of a test run live: SQLite and files, or PostgreSQL and S3 (`pytest --home scaled`).

Every data folder of a scaled run has a database and a prefix of its own; the servers are started at the first one.
"""

from __future__ import annotations

import atexit
import itertools
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psycopg

from huitong.cli.servers import LocalPostgres, LocalS3, local_servers
from huitong.store.postgres import PostgresDatabase

EMBEDDED, SCALED = "embedded", "scaled"
#: Of this run; pytest's option `--home` sets it.
kind = EMBEDDED
_number = itertools.count(1)
#: Nobody cuts the power of a test run; what is killed in tests are our processes.
_QUICK = {"fsync": "off", "full_page_writes": "off", "max_connections": "300", "shared_buffers": "64MB"}


@cache
def servers() -> tuple[LocalPostgres, LocalS3]:
    """Running until the end of the tests."""
    stack = ExitStack()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="huitong-homes-", ignore_cleanup_errors=True)))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else where the tests run as root
    postgres, s3 = stack.enter_context(local_servers(folder, _QUICK))
    _administer(postgres, "CREATE DATABASE pattern")
    pattern = PostgresDatabase(postgres.url("pattern"))
    pattern.migrate()
    pattern.close()
    atexit.register(stack.close)
    return postgres, s3


def new_database(*, empty: bool = False) -> str:
    """The URL of a migrated database without rows; `empty`: without tables."""
    postgres, _ = servers()
    name = f"test{next(_number)}_{os.getpid()}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {'template0' if empty else 'pattern'}")
    return postgres.url(name)


def _administer(postgres: LocalPostgres, sql: str) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(sql.encode())


def s3_settings(prefix: str) -> dict[str, str]:
    _, s3 = servers()
    return {"blobs": s3.url(prefix), "s3_key_id": s3.key_id, "s3_secret": s3.secret}


@cache
def _home_of(folder: Path) -> dict[str, str]:
    return {"database": new_database(), **s3_settings(f"test{next(_number)}_{os.getpid()}")}


def settings_of(folder: Path) -> dict[str, str]:
    """What a data folder's archive needs to be told beside the folder; the same for the same folder."""
    return _home_of(folder.absolute()) if kind == SCALED else {}


def flags_of(folder: Path) -> list[str]:
    """The same for the command line."""
    return [part for name, value in settings_of(folder).items() for part in (f"--{name.replace('_', '-')}", value)]


def with_flags(arguments: Sequence[str]) -> list[str]:
    """A command line that names a data folder, with what that folder's archive needs."""
    if "--data" not in arguments:
        return list(arguments)
    return [*arguments, *flags_of(Path(arguments[list(arguments).index("--data") + 1]))]
