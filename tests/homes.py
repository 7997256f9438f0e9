"""Where the archives of a test run live: SQLite and files, or PostgreSQL and S3 (`pytest --home scaled`).

Every data folder of a scaled run has a database and a prefix of its own; the servers are started at the first one.
"""

from __future__ import annotations

import atexit
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest

from huitong.base.settings import Settings
from huitong.cli.servers import LocalPostgres, LocalS3, local_servers
from huitong.store.blobs import Blobs
from huitong.store.objects import Objects
from huitong.store.packs import Packs
from huitong.store.postgres import PostgresDatabase
from huitong.store.store import open_blobs

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


def new_database(*, migrated: bool = True) -> str:
    """The URL of a database without rows."""
    postgres, _ = servers()
    name = f"test{next(_number)}_{os.getpid()}"
    _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {'pattern' if migrated else 'template1'}")
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


# --- what becomes of blobs behind an archive's back; one that is open notices after `Blobs.close` ---


@contextmanager
def _blobs(folder: Path, kind: str) -> Iterator[Blobs]:
    with closing(open_blobs(Settings(data=folder, **settings_of(folder)), kind)) as blobs:  # type: ignore[arg-type]
        yield blobs


def blob_sizes(folder: Path, kind: str = "packs") -> dict[str, int]:
    """Every blob of the archive in `folder`, oldest first, and how long it is."""
    with _blobs(folder, kind) as blobs:
        return {name: blobs.open(name).size() for name in blobs.names()}


def read_blob(folder: Path, name: str, kind: str = "packs") -> bytes:
    with _blobs(folder, kind) as blobs:
        opened = blobs.open(name)
        return opened.read(0, opened.size())


def change_blob(folder: Path, name: str, change: Callable[[bytes], bytes], kind: str = "packs") -> None:
    data = change(read_blob(folder, name, kind))
    with _blobs(folder, kind) as blobs:
        if isinstance(blobs, Objects):
            blobs.s3.put(name, data)
        elif isinstance(blobs, Packs):
            (blobs.folder / name).write_bytes(data)


def flipped(at: int) -> Callable[[bytes], bytes]:
    """For `change_blob`: one bit of the byte at `at` is another."""
    return lambda data: data[: at % len(data)] + bytes([data[at] ^ 1]) + data[at % len(data) + 1 :]


def lose_blobs(folder: Path, *names: str, kind: str = "packs") -> None:
    """These, or all there are."""
    for name in names or blob_sizes(folder, kind):
        with _blobs(folder, kind) as blobs:
            if isinstance(blobs, Objects):
                blobs.s3.delete(name)
            elif isinstance(blobs, Packs):
                (blobs.folder / name).unlink()


def list_a_gone_blob(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names have one that another process deletes before it is read."""
    real = blobs.names
    monkeypatch.setattr(blobs, "names", lambda after="": iter([*real(after), "209901/gone.pack"]))
