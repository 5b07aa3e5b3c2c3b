"""A host calmed for the length of a run: its parts kept off each other's cores, and no core asleep. Undone after it."""

import contextlib
import os
import select
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import psutil

from harness.stack import affinity
from harness.stack.affinity import Affinity, Role
from harness.stack.ledger import PATIENCE, Ledger

LATENCY_FILE: Final = Path("/dev/cpu_dma_latency")
"""Linux's "PM quality of service": while it is held open, cores enter no sleep that takes longer to leave than what was
written to it, microseconds (Documentation/power/pm_qos_interface)."""
_SPINNER: Final = Path(__file__).with_name("spinner.py")
_START_SECONDS: Final = 10.0
_CGROUPS: Final = Path("/sys/fs/cgroup")
_NAMES: Final[dict[Role, str]] = {"generator": "the generator", "service": "the service", "postgres": "PostgreSQL"}


class Calm:
    """A context manager: calms the host, and leaves it as it was, however the block ends.

    What cannot be done is no error: it is said, and the run goes on without it.

    Args:
        ledger: of the run; by it a killed run's spinners are found and ended.
        seconds: after which spinners end by themselves, whatever else fails.
        parts: process ids of those parts that run already; a part that is missing is left alone.
        missing: why a part that should be there has no process id to be held by.

    Attributes:
        said: what was done and what could not be, a sentence each.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        seconds: float,
        parts: Mapping[Role, int] | None = None,
        missing: Mapping[Role, str] | None = None,
    ) -> None:
        self._ledger, self._seconds = ledger, seconds
        self._parts, self._missing = dict(parts or {}), dict(missing or {})
        self._affinity, self._cores = Affinity(), affinity.cores()
        self._layout = affinity.layout(self._cores)
        self.said: list[str] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._hold_parts(undo)
            self._forbid_sleep(undo)
            self._keep_awake(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._undo.close()

    def pin(self, pid: int, role: Role = "generator") -> None:
        """Hold a process, and what it starts, to its part's cores; whether that could be done is said, once."""
        if role not in self._layout:
            return
        try:
            self._affinity.pin(pid, self._layout[role])
            self._say(f"{_NAMES[role]} was held to {_listed(self._layout[role])}")
        except (OSError, psutil.Error) as error:
            self._say(f"{_NAMES[role]} was not held to its cores: {_cause(error)}")

    def _say(self, sentence: str) -> None:
        if sentence not in self.said:
            self.said.append(sentence)

    def _hold_parts(self, undo: contextlib.ExitStack) -> None:
        undo.callback(self._affinity.restore)
        if not self._layout:
            self._say(
                f"nothing was held to cores of its own: {len(self._cores)} are too few to part, "
                f"{affinity.ENOUGH} would do"
            )
            return
        for role, pid in self._parts.items():
            self.pin(pid, role)
        for role, why in self._missing.items():
            self._say(f"{_NAMES[role]} was left on all cores: {why}")

    def _forbid_sleep(self, undo: contextlib.ExitStack) -> None:
        try:
            descriptor = os.open(LATENCY_FILE, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            self._say(f"cores were not kept from deep sleep: {LATENCY_FILE}: {_cause(error)}")
            return
        undo.callback(os.close, descriptor)
        try:
            os.write(descriptor, struct.pack("i", 0))
        except OSError as error:
            self._say(f"cores were not kept from deep sleep: {LATENCY_FILE}: {_cause(error)}")
            return
        self._say(f"cores were kept from deep sleep: {LATENCY_FILE} was held at 0 µs")

    def _keep_awake(self, undo: contextlib.ExitStack) -> None:
        if quota := cpu_quota():
            # Idle priority yields to processes, not to a quota: it would be used up, and everybody stopped.
            self._say(f"cores were not kept awake: this container has a CPU quota ({quota}), which would be used up")
            return
        spinners: list[subprocess.Popen[bytes]] = []
        undo.callback(self._end, spinners)
        spinners += map(self._spinner, self._cores)
        complaints = list(dict.fromkeys(filter(None, map(_complaint, spinners))))
        if complaints:
            _kill(spinners)
            self._say(f"cores were not kept awake: {'; '.join(complaints)}")
            return
        self._say(
            f"{len(spinners)} cores were kept awake by a process each at idle priority: "
            "the host's CPU reads 100%, of which the load is a part"
        )

    def _spinner(self, core: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(_SPINNER), str(core), str(os.getpid()), str(self._seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            env=self._ledger.environment(),
        )

    def _end(self, spinners: list[subprocess.Popen[bytes]]) -> None:
        if any(spinner.poll() is not None for spinner in spinners):
            self._say("a process that kept a core awake ended before the run did")
        _kill(spinners)


def _kill(spinners: list[subprocess.Popen[bytes]]) -> None:
    for spinner in spinners:
        spinner.kill()
    while spinners:
        spinner = spinners.pop()
        spinner.wait(PATIENCE)
        assert spinner.stdout is not None
        spinner.stdout.close()


def _complaint(spinner: subprocess.Popen[bytes]) -> str:
    """Why a spinner does not spin; empty when it does."""
    assert spinner.stdout is not None
    if not select.select([spinner.stdout], [], [], _START_SECONDS)[0]:
        return f"it did not start within {_START_SECONDS:g} s"
    line = spinner.stdout.readline().decode(errors="replace").strip()
    return "" if line == "spinning" else line or "it ended at once"


def cpu_quota() -> str:
    """The share of CPU time that a container's control group may use, in words; empty where there is no bound."""
    for path in _quota_files():
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = path.read_text().split()
            if path.name == "cpu.cfs_quota_us":
                words.append(path.with_name("cpu.cfs_period_us").read_text().strip())
            if words[0] not in ("max", "-1"):
                return f"{int(words[0]) / int(words[1]):g} cores"
    return ""


def _quota_files() -> list[Path]:
    """Where a quota may stand: at this process's control group or above it (v2), or at its controller's root (v1)."""
    found = [_CGROUPS / "cpu" / "cpu.cfs_quota_us"]
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                group = _CGROUPS / line.removeprefix("0::/")
                found += [folder / "cpu.max" for folder in (group, *group.parents) if folder.is_relative_to(_CGROUPS)]
    return found


def _listed(cores: frozenset[int]) -> str:
    return f"core{'s' if len(cores) > 1 else ''} {', '.join(map(str, sorted(cores)))}"


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
