"""What the host did over an interval."""

import psutil


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
