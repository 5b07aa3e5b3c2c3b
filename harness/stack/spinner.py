"""Keeps one core awake at idle priority: `python spinner.py CORE PARENT SECONDS`.

A virtual CPU that has nothing to do is put to sleep by its hypervisor, and waking it takes some tenths of a
millisecond, on each request. This takes only what nobody wants: any other process pushes it aside at once. It ends with
its parent, however that ends, and after its time in any case. It imports nothing of the project, to start in no time.
"""

import ctypes
import os
import signal
import sys
import time

_PR_SET_PDEATHSIG = 1
_TURNS = 100_000


def spin(core: int, parent: int, seconds: float) -> None:
    """Use up a core's idle time.

    Args:
        core: its number.
        parent: process id of who started this; when it is another's child, it ends.
        seconds: after which it ends by itself.

    Raises:
        OSError: the kernel grants no idle priority. It must not run at any other.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, {core})
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    print("spinning", flush=True)
    end = time.monotonic() + seconds
    # The kernel's signal is for a parent that dies from now on; one may have died before it was asked for.
    while os.getppid() == parent and time.monotonic() < end:
        for _ in range(_TURNS):
            pass


if __name__ == "__main__":
    try:
        spin(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
    except OSError as error:
        sys.exit(f"{error.strerror}")
