"""What a process and its descendants cost: CPU time in nanoseconds' resolution, memory at its peak. Linux only."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    cpu_s: float
    rss_bytes: int
    #: Since the last `reset_peak`.
    peak_rss_bytes: int


def usage(root: int, *helpers: int) -> Usage:
    """Of process `root` and all below it; of `helpers`, the servers that it stands on, the CPU time as well."""
    cpu_s, rss, peak = sum(usage(helper).cpu_s for helper in helpers), 0, 0
    for pid in tree(root):
        try:
            cpu_s += _cpu_s(pid)
            status = dict(line.split(":", 1) for line in (_PROC / f"{pid}/status").read_text().splitlines())
        except (OSError, ValueError):
            continue  # it has just ended
        rss += int(status.get("VmRSS", "0").split()[0]) * 1024
        peak += int(status.get("VmHWM", "0").split()[0]) * 1024
    return Usage(cpu_s, rss, peak)


def _cpu_s(pid: int) -> float:
    """Of all threads that are or were, and of children that ended and were waited for.

    The kernel's clock of a process (clock_getcpuclockid(3): its ID is made of the inverted PID) counts what the
    scheduler counted. The ticks of /proc/PID/stat are 10 ms and miss a process that runs in short bursts.
    """
    fields = (_PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    ended_children_s = (int(fields[13]) + int(fields[14])) * _TICK_S
    try:
        return time.clock_gettime((~pid << 3) | 2) + ended_children_s
    except OSError:
        return (int(fields[11]) + int(fields[12])) * _TICK_S + ended_children_s


def reset_peak(root: int) -> None:
    """Let the peak of memory be what is used now (proc(5), clear_refs)."""
    for pid in tree(root):
        try:
            (_PROC / f"{pid}/clear_refs").write_text("5")
        except OSError:
            continue


def tree(root: int) -> list[int]:
    """`root` and its descendants."""
    children = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children[parent].append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found


def machine_cpu_s() -> float:
    """CPU time that everything on this machine has used."""
    fields = [int(field) for field in (_PROC / "stat").read_text().splitlines()[0].split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) * _TICK_S


def machine() -> dict[str, str]:
    """What a reader has to know of the machine."""
    cpuinfo = (_PROC / "cpuinfo").read_text()
    model = next((line.partition(":")[2].strip() for line in cpuinfo.splitlines() if "model name" in line), "?")
    memory = int((_PROC / "meminfo").read_text().split()[1]) * 1024
    return {
        "cpu": f"{os.cpu_count()} cores ({model})",
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": f"{os.uname().sysname} {os.uname().release}",
    }


def filesystem(folder: Path) -> str:
    """Type of the file system that holds `folder`: on tmpfs nothing is durable, and fsync says nothing."""
    mounts = [line.split()[1:3] for line in (_PROC / "mounts").read_text().splitlines()]
    around = [(Path(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(around, key=lambda each: len(each[0].parts), default=(Path("/"), "?"))[1]
