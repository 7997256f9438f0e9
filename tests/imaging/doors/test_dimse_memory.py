"""The memory of a server process that receives an instance far larger than its buffers."""

import subprocess
import sys
from pathlib import Path

import pytest
from tests.imaging.doors.dimse_sink import Requestor

from huitong.wire.dimse.messages import data_pdus

#: Spools to /dev/null, and tells in its answer how much that was.
SERVER = """
import asyncio, os
from huitong.imaging.doors.dimse import DimseServer, DimseService
from huitong.base.errors import TooLarge

class Spool:
    def __init__(self):
        self.fd, self.size = os.open("/dev/null", os.O_WRONLY), 0
    def write(self, chunk):
        self.size += os.write(self.fd, chunk)
    def abandon(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

async def keep(work, intake, expected):
    raise TooLarge(f"{intake.size} bytes")

async def main():
    service = DimseService(identify=lambda aet, host, certificate: aet, new_intake=lambda work: Spool(), keep=keep)
    print(await DimseServer(service).start("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def peak_kb(pid: int) -> int:
    """Peak resident size, in KB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak size from /proc (Linux)")
async def test_an_instance_of_300_mb_costs_no_memory():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            # The port is printed on a line of its own, after the log line that says the same.
            port = next(int(line) for line in server.stdout if line.strip().isdigit())
            peer = await Requestor.associate(port)
            await peer.write(*peer.store_bytes(1, bytes(1 << 20)))
            assert (await peer.response())["ErrorComment"].endswith(f" {1 << 20} bytes")
            before = peak_kb(server.pid)
            megabytes = 300
            await peer.write(peer.store_bytes(2, b"")[0])
            piece = b"".join(data_pdus(3, bytes(1 << 20), False, 262144))
            for _ in range(megabytes):
                await peer.write(piece)
            await peer.write(*data_pdus(3, b"", True, 0))
            assert (await peer.response())["ErrorComment"].endswith(f" {megabytes << 20} bytes")
            assert peak_kb(server.pid) - before < 4096
            await peer.close()
        finally:
            server.terminate()
