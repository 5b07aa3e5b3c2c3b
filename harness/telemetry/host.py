"""What the host did over an interval: cores, memory, disk, and time lost waiting for them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

from harness.telemetry.notes import Notes

MIB: Final = 1024 * 1024
PRESSURE: Final = Path("/proc/pressure")
"""Pressure stall information: https://docs.kernel.org/accounting/psi.html."""
_RESOURCES: Final = {"cpu": "CPU", "memory": "memory", "io": "I/O"}


class StealMeter:
    """The share of CPU time that a hypervisor gave to others, between two readings of the kernel's counters."""

    def __init__(self) -> None:
        self._then = psutil.cpu_times()

    def share(self) -> float | None:
        """0 to 1 since the meter was made; None where the kernel does not count steal."""
        now = psutil.cpu_times()
        if not hasattr(now, "steal"):
            return None
        total = sum(now) - sum(self._then)
        return max(now.steal - self._then.steal, 0.0) / total if total > 0 else 0.0


class HostSource:
    """The host each second, from the kernel's own counters.

    Args:
        pressure: the folder of pressure stall information.
    """

    name = "the host"
    period = 1.0

    def __init__(self, pressure: Path = PRESSURE) -> None:
        self.notes = Notes("host")
        self._pressure = pressure
        self._cores = psutil.cpu_times(percpu=True)
        self.steal: float | None = None
        self._meter = StealMeter()

    def open(self) -> None:
        """Say what this kernel does not tell."""
        if not list(self._stalled()):
            self.notes.lacks(f"pressure stall information of the host: the kernel has no {self._pressure}")
        if psutil.disk_io_counters() is None:
            self.notes.lacks("disk traffic of the host: the kernel does not count it here")

    def begin(self) -> None:
        """The measure phase begins."""
        self._meter = StealMeter()

    def read(self) -> None:
        """One reading."""
        notes = self.notes
        self._read_cores()
        memory = psutil.virtual_memory()
        notes.gauge("memory used", "MiB", memory.used / MIB)
        notes.gauge("memory available", "MiB", memory.available / MIB)
        disk = psutil.disk_io_counters()
        if disk is not None:
            notes.counter("disk read", "MiB/s", disk.read_bytes, scale=1 / MIB)
            notes.counter("disk written", "MiB/s", disk.write_bytes, scale=1 / MIB)
        for resource, seconds in self._stalled():
            notes.counter(f"{resource} pressure", "%", seconds, scale=100)

    def close(self) -> None:
        """The measure phase is over."""
        self.steal = self._meter.share()

    def _read_cores(self) -> None:
        now = psutil.cpu_times(percpu=True)
        stolen = whole = 0.0
        for number, (core, before) in enumerate(zip(now, self._cores, strict=False)):
            # Guest time stands in user time already.
            idle = core.idle - before.idle + getattr(core, "iowait", 0.0) - getattr(before, "iowait", 0.0)
            total = _total(core) - _total(before)
            if total > 0:
                self.notes.gauge(f"core {number}", "%", min(max(100 * (1 - idle / total), 0.0), 100.0))
            whole += total
            stolen += getattr(core, "steal", 0.0) - getattr(before, "steal", 0.0)
        self._cores = now
        if whole > 0 and hasattr(now[0], "steal"):
            self.notes.gauge("CPU steal", "%", max(100 * stolen / whole, 0.0))

    def _stalled(self) -> Iterator[tuple[str, float]]:
        """Seconds since boot in which some task waited, per resource."""
        for file, resource in _RESOURCES.items():
            try:
                some = (self._pressure / file).read_text().partition("\n")[0]
                yield resource, int(some.rpartition("total=")[2]) / 1e6
            except (OSError, ValueError):
                continue


def _total(times: object) -> float:
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    return sum(float(getattr(times, name, 0.0)) for name in names)
