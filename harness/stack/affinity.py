"""Which part of a run has which cores, and how that was before."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import psutil

Role = Literal["generator", "service", "postgres"]
"""A part of a run that can be given cores."""

ENOUGH: Final = 4
"""Cores from which generator, service and PostgreSQL get their own."""
_TOPOLOGY: Final = Path("/sys/devices/system/cpu")
_PASSES: Final = 3


def layout(cores: Sequence[int]) -> Mapping[Role, frozenset[int]]:
    """Who gets which of these cores.

    From four on: a quarter for the generator, a quarter for the service, the rest for PostgreSQL. Below that nobody is
    held. With two cores, a core each would halve what the system under test can carry, and the verdict would be on the
    layout; and a generator that alone is held waits for whoever runs on its core while the other one is idle.

    Args:
        cores: numbers of those that there are, siblings of one physical core beside each other.

    Returns:
        the cores of each part; nothing where there are too few.
    """
    if len(cores) < ENOUGH:
        return {}
    share = len(cores) // 4
    return {
        "generator": frozenset(cores[:share]),
        "service": frozenset(cores[share : 2 * share]),
        "postgres": frozenset(cores[2 * share :]),
    }


def cores() -> list[int]:
    """The cores that this process may use, siblings of one physical core beside each other."""
    return sorted(os.sched_getaffinity(0), key=lambda core: (*_physical(core), core))


def _physical(core: int) -> tuple[int, int]:
    """Package and physical core, so that two parts do not share one where it can be helped."""
    with contextlib.suppress(OSError, ValueError):
        folder = _TOPOLOGY / f"cpu{core}" / "topology"
        return int((folder / "physical_package_id").read_text()), int((folder / "core_id").read_text())
    return 0, core


class Affinity:
    """Gives processes their cores, and takes them back.

    The kernel keeps affinity per thread, and what is born inherits it: so each thread of a process and of its
    descendants is set, a postmaster's later backends follow by themselves, and the way back is the same.
    """

    def __init__(self) -> None:
        self._before: list[tuple[psutil.Process, set[int], dict[int, set[int]]]] = []

    def pin(self, pid: int, cores: frozenset[int]) -> None:
        """Hold a process and its descendants to some cores.

        Raises:
            OSError: this user may not, or the cores are not there.
            psutil.Error: there is no such process.
        """
        root = psutil.Process(pid)
        before: dict[int, set[int]] = {}
        self._before.append((root, os.sched_getaffinity(pid), before))
        for _ in range(_PASSES):  # one may be born of a thread that was not set yet
            strays = [tid for tid in _threads(root) if _affinity(tid) not in (None, cores)]
            if not strays:
                return
            for tid in strays:
                with contextlib.suppress(ProcessLookupError):
                    before.setdefault(tid, os.sched_getaffinity(tid))
                    os.sched_setaffinity(tid, cores)

    def restore(self) -> None:
        """Give everything that still lives the cores that it had. Safe to call twice."""
        while self._before:
            root, usual, before = self._before.pop()
            with contextlib.suppress(psutil.Error, OSError):
                for tid in _threads(root):
                    with contextlib.suppress(OSError):
                        os.sched_setaffinity(tid, before.get(tid, usual))


def _affinity(tid: int) -> set[int] | None:
    with contextlib.suppress(ProcessLookupError):
        return os.sched_getaffinity(tid)
    return None


def _threads(root: psutil.Process) -> list[int]:
    """Thread ids of a process and its descendants."""
    found: list[int] = []
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            found += [thread.id for thread in process.threads()]
    return found
