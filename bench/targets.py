"""The servers that are measured: how each is started, both durable, on folders of its own, and how it is spoken to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import huitong
from bench import procs
from huitong.base.setting_kinds import Address
from huitong.cli import servers

#: Until a study counts as complete (Huitong `settle_s`, Orthanc `StableAge`); as shipped both wait for 60 s, and the
#: work for one scenario would fall into the next.
SETTLE_S = 2
_START_TIMEOUT_S = 60
#: As on a machine of some gigabytes with a disk that seeks for nothing; durable, as it is by default.
POSTGRES = {
    "shared_buffers": "1GB", "effective_cache_size": "8GB", "maintenance_work_mem": "256MB", "max_wal_size": "4GB",
    "random_page_cost": "1.1",
}  # fmt: skip
_STOP_TIMEOUT_S = 60
#: A server that uses less than this for a while has nothing left to do.
_QUIET_CPUS = 0.03


class Target:
    """A server and its folder. Kinds differ in the class attributes and in `_command`."""

    name = ""
    #: How a table calls it.
    title = ""
    aet = ""
    #: What is added to the environment of the server and, so that it is not held back by us, of dcmtk's storescu.
    environment: Mapping[str, str] = {}
    stow_headers: Mapping[str, str] = {}
    #: Groups of scenarios that it can take part in.
    groups = frozenset(["ingest", "retrieve", "search"])

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.http = self.dimse = Address("127.0.0.1", 0)
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be measured here; empty when it can."""
        return ""

    @classmethod
    def version(cls) -> str:
        raise NotImplementedError

    def _command(self) -> list[str]:
        """What starts it; may write its configuration into `folder`."""
        raise NotImplementedError

    @property
    def dicomweb(self) -> str:
        return "/dicom-web"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def pids(self) -> list[int]:
        """The server's own process first, then those of the servers that it stands on."""
        return [self.pid, *self._helpers()]

    def _helpers(self) -> list[int]:
        return []

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """The servers that it stands on are there, without itself."""
        yield

    def remove(self) -> None:
        """All that it kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Return when it answers on HTTP and, if it has one, on its DICOM port. Raises RuntimeError if it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.http, self.dimse = _free_address(), _free_address()
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.name} did not start; see {self.folder / 'log.txt'}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"http://{self.http}/", timeout=5).close()
            if self.aet:
                socket.create_connection((self.dimse.host, self.dimse.port), 5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def wait_until_quiet(self, at_least_s: float = 0.3, at_most_s: float = 60) -> float:
        """Wait for `at_least_s` and then until nothing is done any more; returns the CPU seconds used meanwhile."""
        first = procs.usage(*self.pids).cpu_s
        time.sleep(at_least_s)
        end = time.monotonic() + at_most_s
        while time.monotonic() < end:
            before = procs.usage(*self.pids).cpu_s
            time.sleep(0.5)
            if procs.usage(*self.pids).cpu_s - before < _QUIET_CPUS * 0.5:
                break
        return procs.usage(*self.pids).cpu_s - first

    def prepare_search(self) -> None:
        """What its operator would do once after a large import."""

    def disk_bytes(self) -> int:
        """Allocated in its folder."""
        return sum(file.stat().st_blocks * 512 for file in self.folder.rglob("*") if file.is_file())


class Huitong(Target):
    name, title, aet = "huitong", "Huitong", "HUITONG"
    stow_headers = {"Authorization": "Bearer demo-TAIYUAN"}  # noqa: RUF012

    @classmethod
    def version(cls) -> str:
        here = Path(__file__).resolve().parent
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=10"], cwd=here, capture_output=True, text=True
        )
        commit = said.stdout.strip() if said.returncode == 0 else ""
        return f"Huitong {huitong.__version__}" + (f" ({commit})" if commit else "")

    def _command(self) -> list[str]:
        return [
            sys.executable, "-m", "huitong.cli", "serve", "--demo", "--data", str(self.folder / "data"),
            "--http", str(self.http), "--dimse", str(self.dimse), "--settle-s", str(SETTLE_S), "--log-format", "json",
            # One machine asks for a province: its limits are counted, as they are in service, and never reached.
            "--requests-per-s", "1e9", "--caller-requests-per-s", "1e9", "--max-associations-of-one", "64",
            # Orthanc is asked without signing in, too; what deciding costs is measured by itself (bench/access.py).
            "--readers", "127.0.0.0/8", *self._flags(),
        ]  # fmt: skip

    def _flags(self) -> list[str]:
        """Further settings."""
        return []


class Orthanc(Target):
    """As Debian ships it, made durable and freed of two handbrakes: Nagle's algorithm, and an index never analysed."""

    name, title, aet = "orthanc", "Orthanc", "ORTHANC"
    # Without it every C-STORE waits for a delayed acknowledgement, and Orthanc is 5 to 7 times slower.
    environment = {"TCP_NODELAY": "1"}  # noqa: RUF012
    _PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

    @classmethod
    def missing(cls) -> str:
        if shutil.which("Orthanc") and cls._PLUGIN.exists():
            return ""
        return "Orthanc with its DICOMweb plugin is not installed: apt-get install orthanc orthanc-dicomweb"

    @classmethod
    def version(cls) -> str:
        return _first_line("Orthanc", "--version")

    def _command(self) -> list[str]:
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        configuration = {
            "Name": "bench", "StorageDirectory": str(data), "IndexDirectory": str(data), "StorageCompression": False,
            "SyncStorageArea": True, "Plugins": [str(plugin) for plugin in self._plugins()],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "HttpPort": self.http.port, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "DicomAet": self.aet, "DicomPort": self.dimse.port, "DicomAlwaysAllowStore": True, "StableAge": SETTLE_S,
            **self._more(),
        }  # fmt: skip
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(configuration, indent=1))
        return ["Orthanc", str(path)]

    def _plugins(self) -> list[Path]:
        return [self._PLUGIN]

    def _more(self) -> dict[str, object]:
        """Further configuration."""
        return {}

    def prepare_search(self) -> None:
        # Without statistics SQLite scans where it could seek: patient number 137 ms instead of 3 at 50,000 studies.
        self.stop()
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "index")) as index:
            index.execute("ANALYZE")
            index.commit()
        self.start()


class Nginx(Target):
    """No archive: ready-made answers as files, sent by the kernel. What retrieving could cost at least."""

    name, title = "nginx", "nginx (the limit)"
    groups = frozenset(["retrieve"])

    @classmethod
    def missing(cls) -> str:
        return "" if shutil.which("nginx") else "nginx is not installed: apt-get install nginx-light"

    @classmethod
    def version(cls) -> str:
        return _first_line("nginx", "-v").replace("nginx version: ", "")

    def file_for(self, path: str, packed: bool = False) -> Path:
        """What is to be answered at `path`; `packed` to those who take gzip."""
        return self.folder / "answers" / path.lstrip("/") / ("answer.gz" if packed else "answer")

    def _command(self) -> list[str]:
        run = self.folder / "run"
        run.mkdir(exist_ok=True)
        temporary = " ".join(f"{kind}_temp_path {run}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        # Workers give up root, so they could not read a folder that is root's alone.
        user = "user root;" if os.getuid() == 0 else ""
        configuration = f"""
daemon off; {user} worker_processes 2; pid {run}/pid; error_log {run}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; sendfile on; gzip_static on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000;
  client_body_temp_path {run}/body; {temporary}
  {self._upstreams()}
  server {{ listen {self.http}; {self._locations()} }}
}}
"""
        path = self.folder / "nginx.conf"
        path.write_text(configuration)
        return ["nginx", "-c", str(path), "-e", f"{run}/error.log"]

    def _upstreams(self) -> str:
        return ""

    def _locations(self) -> str:
        return f"root {self.folder}/answers; location / {{ try_files $uri/answer =404; }}"


class OnServers(Target):
    """An archive that stands on servers of its own, which are started before it; their CPU time is its."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.postgres = servers.LocalPostgres(folder / "postgresql", POSTGRES)

    def _servers(self) -> list[servers.LocalPostgres | servers.LocalS3]:
        return [self.postgres]

    def _helpers(self) -> list[int]:
        return [server.pid for server in self._servers()]

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        try:
            for server in self._servers():
                server.start()
            yield
        finally:
            self._stop_servers()

    def start(self) -> None:
        for server in self._servers():
            server.start()
        super().start()

    def stop(self) -> None:
        super().stop()
        self._stop_servers()

    def _stop_servers(self) -> None:
        for server in self._servers()[::-1]:
            server.stop()


class HuitongOnPostgres(OnServers, Huitong):
    """Index in PostgreSQL, images in files."""

    name, title = "huitong-postgresql", "Huitong on PostgreSQL"
    groups = frozenset[str]()

    @classmethod
    def missing(cls) -> str:
        return servers.missing()

    def _flags(self) -> list[str]:
        return ["--database", self.postgres.url()]


class HuitongScaled(HuitongOnPostgres):
    """Index in PostgreSQL, images in SeaweedFS by its S3 door."""

    name, title = "huitong-scaled", "Huitong on PostgreSQL and S3"
    groups = frozenset(["scaled"])

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._s3 = servers.LocalS3(folder / "s3")
        self.environment = {"HUITONG_S3_SECRET": self._s3.secret}

    def _servers(self) -> list[servers.LocalPostgres | servers.LocalS3]:
        return [self.postgres, self._s3]

    def _flags(self) -> list[str]:
        return [*super()._flags(), "--blobs", self._s3.url("bench"), "--s3-key-id", self._s3.key_id]


class OrthancOnPostgres(OnServers, Orthanc):
    """Index in PostgreSQL, images in files: with the images in PostgreSQL, too, it is slower."""

    name, title = "orthanc-postgresql", "Orthanc on PostgreSQL"
    groups = frozenset(["scaled"])
    _INDEX = Path("/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so")

    @classmethod
    def missing(cls) -> str:
        absent = (
            "" if cls._INDEX.exists() else "its PostgreSQL plugin is not installed: apt-get install orthanc-postgresql"
        )
        return super().missing() or absent or servers.missing()

    def _plugins(self) -> list[Path]:
        return [*super()._plugins(), self._INDEX]

    def _more(self) -> dict[str, object]:
        return {"PostgreSQL": {"EnableIndex": True, "EnableStorage": False, "ConnectionUri": self.postgres.url()}}

    def prepare_search(self) -> None:
        """PostgreSQL analyses by itself."""


#: In the order of tables: ratios are of the first over the second.
TARGETS: dict[str, type[Target]] = {
    kind.name: kind for kind in (Huitong, Orthanc, Nginx, HuitongScaled, OrthancOnPostgres)
}


@contextlib.contextmanager
def running(targets: list[Target]) -> Iterator[None]:
    """All of them started, and stopped at the end."""
    try:
        for target in targets:
            target.start()
        yield
    finally:
        for target in targets:
            target.stop()


def _free_address() -> Address:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Address("127.0.0.1", listener.getsockname()[1])


def _first_line(*command: str) -> str:
    """What a program says of its version, on whichever stream."""
    said = subprocess.run(command, capture_output=True, text=True)
    return next(iter((said.stdout or said.stderr).strip().splitlines()), "?")


def dcmtk_version() -> str:
    """Empty where storescu is not installed."""
    return _first_line("storescu", "--version").strip("$ ") if shutil.which("storescu") else ""
