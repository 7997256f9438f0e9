"""`huitong serve` as an operator starts it, in a process of its own, and a way to send it files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx


class Server:
    """A running server in demo mode."""

    def __init__(self, base: str) -> None:
        self.base = base

    def stow(self, *objects: bytes, institution: str = "TAIYUAN") -> None:
        """Send PS3.10 files in one STOW-RS request; all must be taken."""
        boundary = uuid4().hex
        parts = [
            f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + each + b"\r\n" for each in objects
        ]
        answer = httpx.post(
            f"{self.base}/dicom-web/studies",
            content=b"".join([*parts, f"--{boundary}--\r\n".encode()]),
            headers={
                "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
                "Authorization": f"Bearer demo-{institution}",
                "Accept": "application/dicom+json",
            },
            timeout=60,
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Started on free ports; stopped, and waited for, at the end."""
    command = [str(Path(sys.executable).parent / "huitong"), "serve", "--demo", "--data", str(folder)]
    command += ["--http", "127.0.0.1:0", "--dimse", "0", "--settle-s", "0.5", "--log-format", "json"]
    log = folder.with_suffix(".log")
    with log.open("wb") as lines, subprocess.Popen(command, stderr=lines) as process:
        try:
            yield Server(_ready(process, log).rstrip("/"))
        finally:
            process.terminate()


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address that the server says it answers at."""
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        for line in log.read_text("utf-8").splitlines():
            if line.startswith("{") and (said := json.loads(line)).get("event") == "ready":
                return str(said["http"])
        time.sleep(0.05)
    raise AssertionError("the server did not start:\n" + log.read_text("utf-8"))
