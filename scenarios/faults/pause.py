"""Sleeps to the microsecond on an event loop, whose own timers know milliseconds only."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import heapq
import itertools
import os
import time
from typing import Final

_CLOCK_MONOTONIC: Final = 1
_ABSOLUTE: Final = 1
_SPIN_NS: Final = 50_000
"""About what it takes from the timer's end until the sleeper runs: the rest of a sleep is spun away."""


class _Times(ctypes.Structure):
    """`struct itimerspec` of timerfd_settime(2): interval and end, each in seconds and nanoseconds."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("end_s", ctypes.c_long),
        ("end_ns", ctypes.c_long),
    )


class Pauses:
    """All sleeps of one event loop, by one kernel timer (Linux' timerfd).

    libuv rounds to milliseconds, and a fifth of a search is less. To owe time until a millisecond has come together
    would keep the mean and not the percentiles: most requests would not be slower at all.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = -1
        self._number = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        """Returns after this time, or as soon as the loop has nothing else to do then."""
        end = time.monotonic_ns() + round(seconds * 1e9)
        if seconds * 1e9 > _SPIN_NS:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (end - _SPIN_NS, next(self._number), future))
            if self._sleepers[0][2] is future:
                self._wind()
            await future
        while time.monotonic_ns() < end:
            pass

    def _wind(self) -> None:
        """Sets the timer to the first sleeper's end."""
        if self._timer < 0:
            self._timer = self._checked(self._libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
            asyncio.get_running_loop().add_reader(self._timer, self._wake)
        times = _Times(0, 0, *divmod(self._sleepers[0][0], 1_000_000_000))
        self._checked(self._libc.timerfd_settime(self._timer, _ABSOLUTE, ctypes.byref(times), None))

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._timer, 8)
        while self._sleepers and self._sleepers[0][0] <= time.monotonic_ns():
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        if self._sleepers:
            self._wind()

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
