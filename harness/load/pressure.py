"""Pressure on the host while load runs: bounded, stated, and gone with who started it."""

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from os import getpid
from types import TracebackType
from typing import Final, Self

import psutil

from harness.core.errors import LoadError
from harness.load.burden import machine_mib

CPU_SHARE: Final = 0.5
"""Of each core: the service must still be able to run, and half a machine is what a noisy neighbour takes."""
MEMORY_SHARE: Final = 0.5
"""Of the memory that is available when the pressure begins."""
SETTLES: Final = 60.0
"""Seconds within which the pressure must stand."""


@dataclass(frozen=True)
class Wanted:
    """What to press on.

    Attributes:
        cpu: the processor: one process for each core, each using CPU_SHARE of it.
        memory: the memory: one process that holds MEMORY_SHARE of what is available.
        memory_most_mib: the most memory to hold; None for no other bound than that.
    """

    cpu: bool = False
    memory: bool = False
    memory_most_mib: float | None = None

    @property
    def memory_mib(self) -> float:
        """MiB to hold at most."""
        share = MEMORY_SHARE * machine_mib()[1]
        return share if self.memory_most_mib is None else min(share, self.memory_most_mib)


class Pressure:
    """Presses within the block. A context manager that leaves nothing behind.

    Args:
        wanted: on what; nothing wanted does nothing.
        seconds: that it has to stand; soon after them its processes end by themselves.
        environment: of the processes, by which a later run knows them.
    """

    def __init__(self, wanted: Wanted, seconds: float, environment: Mapping[str, str]) -> None:
        self._wanted, self._seconds, self._environment = wanted, seconds, environment
        self._memory: list[subprocess.Popen[bytes]] = []
        self._cpu: list[subprocess.Popen[bytes]] = []
        self._began = self._used = 0.0
        self._held: list[int] = []
        self._said: list[str] = []

    @property
    def said(self) -> str:
        """What was done, in words, with what it really came to; empty for nothing. Complete after the block."""
        return "; ".join(self._said)

    def __enter__(self) -> Self:
        try:
            if self._wanted.memory:
                self._start(self._memory, "memory", self._wanted.memory_mib)
            if self._wanted.cpu:
                for _ in range(_cores()):
                    self._start(self._cpu, "cpu", CPU_SHARE)
            self._settle()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            used, seconds = self._cpu_seconds() - self._used, time.monotonic() - self._began
            early = sum(process.poll() is not None for process in self._all)
        finally:
            self._end()
        if self._cpu:
            share = used / max(seconds, 1e-9) / len(self._cpu)
            self._said.append(f"CPU: {CPU_SHARE:.0%} of each of {len(self._cpu)} cores wanted, {share:.0%} had")
        if self._memory:
            most, least = max(self._held), min(self._held)
            self._said.append(f"memory: {most:,} MiB held{f', {least:,} in the end' if least < most else ''}")
        if early:
            self._said.append(f"{early} of {len(self._all)} pressing processes ended before the load did")

    @property
    def _all(self) -> list[subprocess.Popen[bytes]]:
        return self._memory + self._cpu

    def _start(self, group: list[subprocess.Popen[bytes]], kind: str, amount: float) -> None:
        words = [kind, f"{amount:.3f}", f"{SETTLES + self._seconds:.3f}", str(getpid())]
        group.append(
            subprocess.Popen(
                [sys.executable, "-m", "harness.load.burden", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the command's own: it ends these in good order
                env=self._environment,
            )
        )

    def _settle(self) -> None:
        """Wait until all press.

        Raises:
            LoadError: one does not.
        """
        deadline = time.monotonic() + SETTLES
        for process in self._all:
            assert process.stdout is not None
            readable, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0))
            line = process.stdout.readline() if readable else b""
            if not line:
                raise LoadError("the pressure on the host did not stand in time", hint="see how much memory is free")
            if process in self._memory:
                self._held.append(int(line))
        self._began, self._used = time.monotonic(), self._cpu_seconds()

    def _cpu_seconds(self) -> float:
        total = 0.0
        for process in self._cpu:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(process.pid).cpu_times()
                total += times.user + times.system
        return total

    def _end(self) -> None:
        for process in self._all:
            process.kill()
        for process in self._all:
            process.wait()
            assert process.stdout is not None
            rest = process.stdout.read().split()
            process.stdout.close()
            if process in self._memory:
                self._held += map(int, rest)


def _cores() -> int:
    return psutil.cpu_count() or 1
