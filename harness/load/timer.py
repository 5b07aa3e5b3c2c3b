"""Waiting in a gevent loop to a tenth of a millisecond.

libev hands whole milliseconds to epoll, so that a plain `gevent.sleep` ends up to 1 ms late. A timerfd is a file that
becomes readable at an absolute time of the kernel's high-resolution timers, and epoll returns for it at once: no
spinning, which on a small machine would take the core from the system under test.
"""

import ctypes
import os
import sys
import time

import gevent
from gevent.hub import get_hub

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_SPIN_BELOW = 1_500_000


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class HubTimer:
    """A `Clock` whose waits let the other greenlets run. One waiter at a time."""

    now = staticmethod(time.perf_counter_ns)

    def __init__(self) -> None:
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd >= 0:
            self._watcher = get_hub().loop.io(self._fd, 1)
            self._spec = _TimerSpec()

    def wait_until(self, deadline: int) -> None:
        """Let others run until `deadline`, nanoseconds of `perf_counter_ns`; at least once even if it has passed."""
        left = deadline - time.perf_counter_ns()
        if left <= 0:
            gevent.sleep(0)
        elif self._fd >= 0:
            # perf_counter reads CLOCK_MONOTONIC on Linux, so its stamps are timerfd's absolute times.
            self._spec.value.seconds, self._spec.value.nanoseconds = divmod(deadline, 1_000_000_000)
            self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(self._spec), None)
            get_hub().wait(self._watcher)
            os.read(self._fd, 8)
        else:
            if left > _SPIN_BELOW:
                gevent.sleep((left - _SPIN_BELOW) / 1e9)
            while time.perf_counter_ns() < deadline:
                gevent.sleep(0)

    def close(self) -> None:
        """Give the timer back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
