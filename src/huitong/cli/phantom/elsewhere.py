"""The generated studies made in a process of their own, so that a server in this one is not slowed by drawing.

`python -m huitong.cli.phantom.elsewhere KIND…` writes files to standard output, each behind its length in 8 bytes;
a kind is a name in `KINDS`, "ct:100" a CT of 100 slices.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO

from huitong.cli.phantom import ct_study, dx_file, ecg_file, report_file, us_file
from huitong.cli.phantom.ct import SLICES

_LENGTH = struct.Struct(">Q")

KINDS: dict[str, Callable[[int], Iterable[bytes]]] = {
    "ct": lambda slices: ct_study(slices=slices),
    "dx": lambda _: [dx_file()],
    "us": lambda _: [us_file()],
    "ecg": lambda _: [ecg_file()],
    "report": lambda _: [report_file()],
}


def made_elsewhere(*kinds: str) -> Iterator[bytes]:
    """The files of these kinds in this order, as another process makes them; it ends when the iterator is closed.

    Raises RuntimeError if it fails.
    """
    # One thread: more of them wait for each other longer than the small matrices take.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", __name__, *kinds]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        try:
            yield from _read(process.stdout)
        except GeneratorExit:
            process.kill()
            raise
        if process.wait():
            raise RuntimeError(f"making {' '.join(kinds)} ended with status {process.returncode}")


def _read(pipe: IO[bytes]) -> Iterator[bytes]:
    while head := pipe.read(_LENGTH.size):
        yield pipe.read(*_LENGTH.unpack(head))


def _write(kinds: Iterable[str], out: IO[bytes]) -> None:
    for kind in kinds:
        name, _, slices = kind.partition(":")
        for file in KINDS[name](int(slices or SLICES)):
            out.write(_LENGTH.pack(len(file)))
            out.write(file)
            out.flush()


if __name__ == "__main__":
    _write(sys.argv[1:], sys.stdout.buffer)
