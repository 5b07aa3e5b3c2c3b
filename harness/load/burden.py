"""One process that presses on the host: `python -m harness.load.burden KIND AMOUNT SECONDS PARENT`.

KIND is `cpu`, AMOUNT then the share of one core to use, or `memory`, AMOUNT then the MiB to hold at most. It ends by
itself after SECONDS, and with its parent, however that ends. It has the priority of any other program (nice 0): a
politer neighbour would give way and press on nothing.

It writes the MiB that it holds once it has settled, and again each time it had to give some back.
"""

import contextlib
import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psutil

from harness.load.parent import end_with

MIB: Final = 2**20
CHUNK_MIB: Final = 64
LEAST_LEFT_MIB: Final = 1024
LEAST_LEFT_SHARE: Final = 0.2
"""What always stays available: 1 GiB or a fifth of the memory, whichever is more."""
GROWS: Final = 45.0
"""Seconds within which memory is taken: a virtual machine may get each page from its host only now, and slowly."""
_CYCLE: Final = 0.02
_CGROUP: Final = Path("/sys/fs/cgroup")


def cpu(share: float, alive: Callable[[], bool]) -> None:
    """Use a share of one core at most, in turns of a fiftieth of a second.

    A turn is over when it has had its CPU time, so that others who want the core make it longer, not lighter.
    """
    _tell(0)
    while alive():
        began, until = time.perf_counter(), time.process_time() + _CYCLE * share
        while time.process_time() < until:
            pass
        time.sleep(max(_CYCLE - (time.perf_counter() - began), 0))


def memory(most_mib: float, alive: Callable[[], bool]) -> None:
    """Hold memory, in use and not merely allocated, for as long as others have enough."""
    _die_first()
    chunks: list[mmap.mmap] = []
    settled, turn, until = False, 0, time.monotonic() + GROWS
    while alive():
        total, available = machine_mib()
        left = max(LEAST_LEFT_MIB, LEAST_LEFT_SHARE * total)
        if available < left and chunks:
            chunks.pop().close()
            _tell(len(chunks) * CHUNK_MIB)
        elif (
            (len(chunks) + 1) * CHUNK_MIB <= most_mib
            and available - 2 * CHUNK_MIB > left
            and not settled
            and time.monotonic() < until
        ):
            chunks.append(mmap.mmap(-1, CHUNK_MIB * MIB))
            _touch(chunks[-1])
        else:
            if not settled:
                # Once is enough: growing again later would press unevenly.
                settled = True
                _tell(len(chunks) * CHUNK_MIB)
            if chunks:
                turn = (turn + 1) % len(chunks)
                _touch(chunks[turn])  # else it might be swapped out
            time.sleep(0.1)


def machine_mib() -> tuple[float, float]:
    """Memory in all, and available, MiB: of the machine, or of the control group where that has less."""
    machine = psutil.virtual_memory()
    total, available = machine.total / MIB, machine.available / MIB
    with contextlib.suppress(OSError, ValueError):
        limit = int((_CGROUP / "memory.max").read_text()) / MIB
        used = int((_CGROUP / "memory.current").read_text()) / MIB
        total, available = min(total, limit), min(available, limit - used)
    return total, available


def _touch(chunk: mmap.mmap) -> None:
    chunk[:: mmap.PAGESIZE] = b"\1" * (len(chunk) // mmap.PAGESIZE)


def _die_first() -> None:
    """Have the kernel take this process before any other, should memory run out all the same."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _tell(mib: int) -> None:
    print(mib, flush=True)


def main(kind: str, amount: str, seconds: str, parent: str) -> None:
    """Press until the time is over or the parent has ended."""
    deadline = time.monotonic() + float(seconds)
    lives = end_with(int(parent))
    press = {"cpu": cpu, "memory": memory}[kind]
    press(float(amount), lambda: lives() and time.monotonic() < deadline)


if __name__ == "__main__":
    main(*sys.argv[1:])
