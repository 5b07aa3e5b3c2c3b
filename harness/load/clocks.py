"""Whether this machine's clocks agree with each other over a phase."""

import time


class ClockWatch:
    """Compares the clocks now with what they said when it was made.

    Stamps are monotonic, so a wall clock that is set moves no figure by itself. But a host that was suspended, or moved
    to another machine, or overslept, is known by just that: its clocks no longer agree on how long it was.
    """

    def __init__(self) -> None:
        self._wall, self._asleep = _apart()

    def shift(self) -> float:
        """Seconds that the wall clock gained on the monotonic clock; negative where it fell behind."""
        return _apart()[0] - self._wall

    def suspended(self) -> float:
        """Seconds that the host slept (Linux's CLOCK_BOOTTIME counts them, CLOCK_MONOTONIC does not)."""
        return _apart()[1] - self._asleep


def _apart() -> tuple[float, float]:
    """How far the wall clock and the boot clock are ahead of the monotonic one, seconds."""
    monotonic = time.monotonic()
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else monotonic
    return time.time() - monotonic, boot - monotonic
