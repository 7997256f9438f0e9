"""`huitong serve` as an operator starts it, in a process of its own, and ways to send it files."""

from __future__ import annotations

import json
import queue
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx
from tests.homes import flags_of, with_flags

#: This machine may see all, where a test does not say otherwise: most are not about who may.
_OPEN = ("--readers", "127.0.0.0/8", "--registrars", "127.0.0.0/8")
_QUICK = ("--settle-s", "0.5", "--keep-free-bytes", "0", *_OPEN)


def free_port() -> int:
    """For a server whose address has to be known before it runs.

    Below those that the system gives to outgoing connections: one of these could take it first.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(lowest // 2, lowest), 50):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


class Server:
    """A running server in demo mode."""

    def __init__(self, process: subprocess.Popen[str], ready: dict[str, object]) -> None:
        self.process = process
        self.base = str(ready["http"]).rstrip("/")
        self.http_port = int(self.base.rpartition(":")[2])
        self.dimse_port = int(str(ready["dimse"]))
        #: 0 unless `--mllp` was given.
        self.mllp_port = int(str(ready.get("mllp", 0)))
        #: 0 unless `--dimse-tls` was given.
        self.dimse_tls_port = int(str(ready.get("dimse_tls", 0)))
        self.dicomweb = f"{self.base}/dicom-web"

    #: Every line that it has logged; whole once it has stopped.
    said: list[str]

    def stow(self, *objects: bytes, institution: str = "TAIYUAN", allowed: tuple[int, ...] = (200,)) -> httpx.Response:
        """Send PS3.10 files in one STOW-RS request; all must be taken, unless `allowed` says otherwise."""
        boundary = uuid4().hex
        parts = [
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + each + b"\r\n" for each in objects
        ]
        answer = httpx.post(
            f"{self.dicomweb}/studies",
            content=b"".join([*parts, f"--{boundary}--\r\n".encode()]),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                "Authorization": f"Bearer demo-{institution}",
                "Accept": "application/dicom+json",
            },
            timeout=60,
        )
        assert answer.status_code in allowed, answer.text
        return answer

    def kill(self) -> None:
        """As the kernel does when memory runs out: without a word."""
        self.process.kill()
        self.process.wait()


@contextmanager
def serving(folder: Path, *flags: str, under: Sequence[str] = ()) -> Iterator[Server]:
    """Started on free ports; stopped, and waited for, at the end. Later `flags` win over the quick ones.

    `under` goes before the command: a program that runs it.
    """
    command = [
        *under,
        sys.executable,
        "-m",
        "huitong.cli",
        "serve",
        "--demo",
        "--data",
        str(folder),
        *_QUICK,
        *flags_of(folder),
    ]
    command += ["--http", "127.0.0.1:0", "--dimse", "0", "--log-format", "json", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    ready: queue.Queue[dict[str, object]] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, said, ready), daemon=True)
    reader.start()
    try:
        server = Server(process, _ready(process, said, ready))
        server.said = said
        yield server
    finally:
        process.terminate()
        process.wait(30)
        reader.join(10)


def _read(process: subprocess.Popen[str], said: list[str], ready: queue.Queue[dict[str, object]]) -> None:
    """Everything that the server logs, until its end."""
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            said.append(line)
            if '"event": "ready"' in line:
                ready.put(json.loads(line))
    ready.put({})


def _ready(process: subprocess.Popen[str], said: list[str], ready: queue.Queue[dict[str, object]]) -> dict[str, object]:
    """What the server says when it accepts."""
    if not (line := ready.get(timeout=30)):
        raise AssertionError(f"the server did not start ({process.wait()}):\n" + "".join(said))
    return line


def huitong(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of the operator, run to its end."""
    command = [sys.executable, "-m", "huitong.cli", *with_flags(arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
